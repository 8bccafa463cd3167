"""The trainer without logits: the same run as with them, on every head, and no logits anywhere."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from balora.adapters import AdapterConfig
from balora.losses import GenerationObjective
from balora.teacher import transformers_model
from balora.training import BALoraConfig, BALoraTrainer, fused_path, prepare_model
from balora.training.fused_path import fused_path_for
from tests.support import rows, tiny
from tests.support.largest import LargestTensor

STRONG = {"consistency_weight": 0.3, "diversity_weight": 0.2, "spectral_weight": 0.1}
CONSTANT = dict.fromkeys(["consistency_schedule", "diversity_schedule", "spectral_schedule"], "constant")


def trainer(
    folder: Path,
    model: Any,
    *,
    encoder_decoder: bool = False,
    config: Any = None,
    adapter: Any = None,
    data: Any = None,
    **changes: Any,
) -> Any:
    data = data or (rows.translated_rows() if encoder_decoder else rows.language_rows())
    return BALoraTrainer(
        model=prepare_model(model, adapter or AdapterConfig(method="pissa", r=4)),
        args=rows.arguments(folder, learning_rate=2e-3, **changes),
        config=BALoraConfig.nlg(**{**STRONG, **CONSTANT, "spectral_k": 3, **(config or {})}),
        train_dataset=data,
        eval_dataset=data,
        data_collator=rows.collator("generation", encoder_decoder=encoder_decoder),
    )


def losses(run: BALoraTrainer) -> torch.Tensor:
    names = ("loss", "task_loss", "consistency", "diversity", "spectral", "grad_norm")
    return torch.tensor([[log[name] for name in names] for log in run.state.log_history if "loss" in log])


def losses_after(run: BALoraTrainer) -> torch.Tensor:
    run.train()
    return losses(run)


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {}),
        ("llama", {"tie_word_embeddings": True}),
        ("gpt2", {}),
        ("t5", {"tie_word_embeddings": True}),
        ("phi", {}),
        ("cohere", {"logit_scale": 0.3}),
        ("gemma2", {"final_logit_softcapping": 2.0}),
    ],
    ids=["llama", "tied", "gpt2", "t5-scaled-states", "phi-head-bias", "cohere-logit-scale", "gemma2-soft-cap"],
)
def test_fifty_steps_without_logits_follow_fifty_with_them(family: str, changes: Any, tmp_path: Path) -> None:
    curves = []
    for path in ("auto", "explicit"):
        model = tiny.build(family, "seq2seq_lm" if family == "t5" else "causal_lm", **changes)
        run = trainer(tmp_path / path, model, encoder_decoder=family == "t5", config={"loss_path": path}, max_steps=50)
        assert (run.fused is None) == (path == "explicit")
        run.train()
        curves.append(losses(run))
    assert curves[0].shape == (50, 6)
    torch.testing.assert_close(curves[0], curves[1], rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize(
    "settings",
    [
        *({"regularized_tokens": tokens} for tokens in ("response", "response_unshifted", "all")),
        *({"center": center} for center in ("batch", "batch_and_class")),
    ],
)
def test_the_terms_see_the_same_on_both_paths(settings: dict[str, str], tmp_path: Path) -> None:
    runs = [
        trainer(tmp_path, tiny.build("llama"), config={"loss_path": path, **settings}, max_steps=3)
        for path in ("auto", "explicit")
    ]
    for run in runs:
        run.train()
    torch.testing.assert_close(losses(runs[0]), losses(runs[1]), rtol=1e-3, atol=1e-5)


def test_training_and_evaluation_never_make_the_logits(tmp_path: Path) -> None:
    vocabulary = 8000
    largest = {}
    for path in ("auto", "explicit"):
        run = trainer(
            tmp_path / path,
            tiny.build("llama", vocab_size=vocabulary, tie_word_embeddings=False),
            config={"loss_path": path, "loss_chunk_mib": 1},
            data=rows.language_rows(48),
            max_steps=1,
            per_device_train_batch_size=48,
            per_device_eval_batch_size=48,
        )
        with LargestTensor() as watch:
            run.train()
            run.evaluate()
        largest[path] = watch.elements
    assert largest["auto"] <= 64 * vocabulary
    assert largest["explicit"] > 3 * 64 * vocabulary, "the watch must see what it looks for"


def test_whoever_asks_for_logits_gets_logits(tmp_path: Path) -> None:
    run = trainer(tmp_path, tiny.build("llama"))
    assert run.fused is not None
    predicted = run.predict(run.eval_dataset)
    assert predicted.predictions.shape[-1] == tiny.VOCABULARY_SIZE
    seen = []
    run.compute_metrics = lambda prediction: seen.append(prediction.predictions.shape) or {}
    with_logits = run.evaluate()["eval_loss"]
    assert seen[0][-1] == tiny.VOCABULARY_SIZE
    run.compute_metrics = None
    assert run.evaluate()["eval_loss"] == pytest.approx(with_logits, rel=1e-5)


@pytest.mark.parametrize(
    ("family", "changes", "config", "reason"),
    [
        ("llama", {}, {"formulation": "2024"}, "2024"),
        ("llama", {}, {"consistency_schedule": "teacher_confidence"}, "teacher_confidence"),
    ],
)
def test_what_needs_logits_takes_the_explicit_path_and_says_why(
    family: str, changes: Any, config: Any, reason: str, tmp_path: Path
) -> None:
    run = trainer(tmp_path, tiny.build(family, **changes), config=config, max_steps=2)
    assert run.fused is None
    assert reason in run.explicit_because
    run.train()


def test_a_head_that_is_not_a_plain_product_is_found_out(tmp_path: Path) -> None:
    model = tiny.build("llama")
    model.lm_head.register_forward_hook(lambda _module, _inputs, output: output.tanh())
    run = trainer(tmp_path, model)
    assert run.fused is None
    assert "differ by" in run.explicit_because


TRAINED_HEADS: dict[str, dict[str, Any]] = {
    "head in full": {"adapter": AdapterConfig(r=4, modules_to_save=["lm_head"])},
    "everything": {"adapter": AdapterConfig(method="full")},
    "pissa on the head": {"adapter": AdapterConfig(method="pissa", r=4, target_modules=["lm_head", "q_proj"])},
    "lora on the head": {"adapter": AdapterConfig(method="lora", r=4, alpha=8, target_modules=["lm_head", "q_proj"])},
    "smoothed": {"label_smoothing_factor": 0.1},
    "soft-capped, everything": {"family": "gemma2", "adapter": AdapterConfig(method="full")},
}


@pytest.mark.parametrize("case", TRAINED_HEADS)
def test_a_trained_head_follows_the_run_with_logits(case: str, tmp_path: Path) -> None:
    changes = dict(TRAINED_HEADS[case])
    family = changes.pop("family", "llama")
    shape = {"tie_word_embeddings": False} if family == "llama" else {"final_logit_softcapping": 2.0}
    runs = [
        trainer(tmp_path / path, tiny.build(family, **shape), config={"loss_path": path}, max_steps=20, **changes)
        for path in ("auto", "explicit")
    ]
    assert runs[0].fused is not None
    curves = [losses_after(run) for run in runs]
    assert curves[0].shape == (20, 6)
    torch.testing.assert_close(curves[0], curves[1], rtol=2e-3, atol=2e-4)
    assert transformers_model(runs[0].model).config.to_dict().get("final_logit_softcapping") == shape.get(
        "final_logit_softcapping"
    )


def test_heads_that_are_no_single_weight_take_the_explicit_path(tmp_path: Path) -> None:
    targets = {"target_modules": ["lm_head", "q_proj"]}
    dropped = AdapterConfig(r=4, method="lora", dropout=0.1, **targets)
    assert "dropout" in trainer(tmp_path, tiny.build("llama"), adapter=dropped).explicit_because
    adapter = AdapterConfig(r=4, **targets)
    assert "16 bits" in trainer(tmp_path, tiny.build("llama"), adapter=adapter, bf16=True).explicit_because
    assert trainer(tmp_path, tiny.build("llama"), config={"loss_path": "explicit"}).explicit_because == ""


def test_a_head_that_others_patched_keeps_their_patch() -> None:
    """As accelerate does to modules that it moves between devices."""
    model = prepare_model(tiny.build("llama"), AdapterConfig(r=4))
    config = BALoraConfig.nlg()
    path, _ = fused_path_for(transformers_model(model), config, GenerationObjective(config, shift=True))
    assert path is not None
    head = path.head.module
    original = head.forward

    def patched(states: torch.Tensor) -> torch.Tensor:
        return original(states)

    vars(head)["forward"] = patched
    with path.without_head():
        assert head(torch.ones(2, tiny.HIDDEN_SIZE)).shape == (2, tiny.HIDDEN_SIZE)
    assert head.forward is patched


def test_bfloat16_autocast_is_as_close_to_float32_as_explicit_logits_are(tmp_path: Path) -> None:
    truth, *low = (
        losses_after(trainer(tmp_path, tiny.build("llama"), config={"loss_path": path}, bf16=bf16, max_steps=4))
        for path, bf16 in (("explicit", False), ("auto", True), ("explicit", True))
    )
    fused, explicit = ((found - truth).abs().amax(dim=0) for found in low)
    assert (fused <= 1.5 * explicit + 2e-3 * truth.abs().amax(dim=0)).all()


def test_micro_batches_of_unequal_size_weigh_by_their_groups(tmp_path: Path) -> None:
    whole, split = (
        trainer(
            tmp_path,
            tiny.build("llama"),
            config={"spectral_group_sequences": 4},
            per_device_train_batch_size=size,
            gradient_accumulation_steps=parts,
            max_steps=1,
        )
        for size, parts in ((24, 1), (16, 2))
    )
    torch.testing.assert_close(losses_after(split), losses_after(whole), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("bf16", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_products_with_the_head_run_in_the_autocast_type(
    bf16: bool, expected: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()
    original = fused_path.fused_generation_objective

    def objective(student: torch.Tensor, teacher: torch.Tensor, *args: Any, **options: Any) -> Any:
        seen.update({student.dtype, teacher.dtype})
        return original(student, teacher, *args, **options)

    monkeypatch.setattr(fused_path, "fused_generation_objective", objective)
    trainer(tmp_path, tiny.build("llama"), bf16=bf16, max_steps=1).train()
    assert seen == {expected}


def test_micro_batches_of_whole_groups_have_the_spectral_term_of_the_large_batch(tmp_path: Path) -> None:
    found = []
    for path, accumulated in itertools.product(("auto", "explicit"), (1, 2, 4)):
        run = trainer(
            tmp_path,
            tiny.build("llama"),
            config={"loss_path": path, "spectral_group_sequences": 2},
            per_device_train_batch_size=8 // accumulated,
            gradient_accumulation_steps=accumulated,
            max_steps=3,
        )
        found.append(losses_after(run))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-3, atol=1e-5)
    ungrouped = trainer(
        tmp_path,
        tiny.build("llama"),
        config={"spectral_group_sequences": None},
        per_device_train_batch_size=8,
        max_steps=3,
    )
    assert (losses_after(ungrouped)[:, 4] - found[0][:, 4]).abs().max() > 1e-3
