"""One optimiser step: BA-LoRA in every teacher mode, plain PiSSA ours and PEFT's, TRL, and the paper's naive way."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import datasets
import peft
import torch
from torch import Tensor
from transformers import Trainer, TrainingArguments

from balora import AdapterConfig, BALoraConfig, BALoraTrainer, prepare_model
from balora.teacher import LiveTeacher
from benchmarks.bodies import BODIES, Body, padded_batch
from benchmarks.measure import Result, cpu_peak_mib, cuda_peak_mib, time_in_turns

Step = Callable[[], Tensor]
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
CONSTANT = dict.fromkeys(["consistency_schedule", "diversity_schedule", "spectral_schedule"], "constant")
GATE = {"cpu": 1e-4, "cuda": 2e-2}


def arguments(device: str) -> TrainingArguments:
    """Nothing but what a step needs."""
    return TrainingArguments(
        output_dir=tempfile.mkdtemp(), report_to="none", use_cpu=device == "cpu", max_steps=1000, disable_tqdm=True
    )


def one_step(trainer: Trainer, batch: dict[str, Tensor], device: str) -> Step:
    """Loss, backward and AdamW, without the loop around them."""
    trainer.model.train()
    if device == "cuda":
        trainer.model.gradient_checkpointing_enable({"use_reentrant": False})
        trainer.model.enable_input_require_grads()
    trained = [parameter for parameter in trainer.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=device == "cuda")

    def step() -> Tensor:
        loss = trainer.compute_loss(trainer.model, dict(batch))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    return step


def ours(body: Body, device: str, batch: dict[str, Tensor], *, fold: bool = False, **config: Any) -> Step:
    """A step of `BALoraTrainer`."""
    adapter = AdapterConfig(
        method="pissa", r=body.rank, svd="randomized", svd_iterations=2, target_modules=TARGETS, fold_anchor=fold
    )
    trainer = BALoraTrainer(
        model=prepare_model(body.build(device), adapter),
        args=arguments(device),
        config=BALoraConfig.nlg(**{**CONSTANT, **config}),
    )
    trainer.state.max_steps = 1000
    trainer.teacher = LiveTeacher()
    return one_step(trainer, batch, device)


def peft_model(body: Body, device: str) -> peft.PeftModel:
    """PEFT's own PiSSA, which changes the base."""
    config = peft.LoraConfig(
        r=body.rank,
        lora_alpha=body.rank,
        init_lora_weights="pissa_niter_2",
        target_modules=TARGETS,
        task_type="CAUSAL_LM",
    )
    return peft.get_peft_model(body.build(device), config)


def plain(body: Body, device: str, batch: dict[str, Tensor]) -> Step:
    """PEFT's PiSSA under transformers' Trainer."""
    return one_step(Trainer(model=peft_model(body, device), args=arguments(device)), batch, device)


def trl_default(body: Body, device: str, batch: dict[str, Tensor]) -> Step:
    """PEFT's PiSSA under TRL's SFTTrainer with its default loss."""
    import trl
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({"<pad>": 0, "</s>": 1, "a": 2}, unk_token="<pad>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="</s>")
    settings = trl.SFTConfig(
        output_dir=tempfile.mkdtemp(), report_to="none", use_cpu=device == "cpu", max_steps=1000, bf16=False
    )
    trainer = trl.SFTTrainer(
        model=peft_model(body, device),
        args=settings,
        train_dataset=datasets.Dataset.from_list([{"input_ids": [2, 2]}]),
        processing_class=tokenizer,
    )
    return one_step(trainer, batch, device)


class NaiveTrainer(Trainer):
    """The paper's way, written anew: a second model, both logit matrices, a randomised SVD per 4 sequences."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **unused: Any) -> Any:
        """Equation (12) on full logits."""
        del unused
        labels = inputs.pop("labels")
        logits = model(**inputs).logits.float()
        with torch.no_grad():
            teacher = self.second_model(**inputs).logits.float()
        shifted = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=-100)
        valid = shifted != -100
        task = torch.nn.functional.cross_entropy(logits.flatten(0, 1), shifted.flatten())
        student = torch.log_softmax(logits[valid] / 2, -1)
        kl = torch.nn.functional.kl_div(student, torch.softmax(teacher[valid] / 2, -1), reduction="batchmean")
        share = torch.softmax(logits[valid].topk(20, dim=-1).values, -1)
        entropy = (share * share.log()).sum(-1).mean()
        values = []
        for rows, mask in zip(logits.split(4), valid.split(4), strict=True):
            chosen = rows[mask]
            values.append(-torch.svd_lowrank(chosen, q=15, niter=2)[1][:10].sum() / chosen.norm())
        loss = task + 0.025 * 4 * kl + 0.005 * entropy + 0.005 * torch.stack(values).mean()
        return (loss, None) if return_outputs else loss


def naive(body: Body, device: str, batch: dict[str, Tensor]) -> Step:
    """See `NaiveTrainer`."""
    model = peft_model(body, device)
    trainer = NaiveTrainer(model=model, args=arguments(device))
    trainer.second_model = body.build(device).eval()
    return one_step(trainer, batch, device)


NO_TERMS = {"consistency_weight": 0.0, "diversity_weight": 0.0, "spectral_weight": 0.0}
VARIANTS: dict[str, Callable[[Body, str, dict[str, Tensor]], Step]] = {
    "own PiSSA (weights 0)": lambda *given: ours(*given, **NO_TERMS),
    "balora": lambda *given: ours(*given),
    "balora, teacher on 1/4": lambda *given: ours(*given, teacher_fraction=0.25),
    "balora, folded anchor": lambda *given: ours(*given, fold=True),
    "balora, padding-free": lambda *given: ours(*given, padding_free=True),
    "balora, explicit logits": lambda *given: ours(*given, loss_path="explicit"),
    "PEFT PiSSA + Trainer": plain,
    "PEFT PiSSA + TRL SFT": trl_default,
    "naive (2nd model, svd_lowrank)": naive,
}


def make_step(variant: str, body: Body, device: str) -> Step:
    """A step that can be taken again and again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return VARIANTS[variant](body, device, padded_batch(body, device))


def work_for(variant: str, body: Body) -> Callable[[], Any]:
    """For a fresh process: model, optimizer and one step, all counted."""
    return lambda: make_step(variant, body, "cpu")()


def gate(steps: dict[str, Step]) -> dict[str, float]:
    """First losses that must agree: with and without logits, and ours with PEFT's."""
    first = {name: step().item() for name, step in steps.items()}
    pairs = [("balora", "balora, explicit logits"), ("own PiSSA (weights 0)", "PEFT PiSSA + Trainer")]
    return {f"{a} against {b}": abs(first[a] - first[b]) / abs(first[b]) for a, b in pairs if a in first and b in first}


def run(device: str, *, rounds: int, shapes: tuple[str, ...] = ()) -> list[Result]:
    """Every variant at every body that fits the device."""
    names = shapes or (("small-V152k", "small-V32k") if device == "cpu" else ("0.5B", "7B"))
    results = []
    for name in names:
        body = BODIES[name]
        size = f"{body.sequences} padded sequences of up to {body.length}"
        result = Result(f"step, {name}: {size}", device, "own PiSSA (weights 0)")
        steps: dict[str, Step] = {}
        for variant in VARIANTS:
            try:
                if device == "cuda":
                    # Peaks one model at a time; the clock below has them all in memory.
                    taken: dict[str, Step] = {}
                    result.peak_mib[variant] = cuda_peak_mib(
                        lambda v=variant, t=taken, b=body: t.update(step=make_step(v, b, "cuda")) or t["step"]()
                    )
                    taken.clear()
                else:
                    result.peak_mib[variant] = cpu_peak_mib("benchmarks.step", "work_for", variant, body)
                steps[variant] = make_step(variant, body, device)
            except (ImportError, torch.OutOfMemoryError) as error:
                result.notes.append(f"{variant}: {type(error).__name__}: {' '.join(str(error).split())[:100]}")
        result.gates = gate(steps)
        bad = {pair: gap for pair, gap in result.gates.items() if not gap <= GATE[device]}
        if bad:
            raise SystemExit(f"losses that must agree differ: {bad}; nothing was timed")
        result.seconds = time_in_turns(steps, device=device, rounds=rounds)
        results.append(result)
    return results
