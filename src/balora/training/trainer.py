"""`BALoraTrainer`: transformers' Trainer with the BA-LoRA objective in place of the model's own loss."""

from __future__ import annotations

import warnings
from collections.abc import Sized
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import datasets
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.trainer_utils import EvalLoopOutput

from balora.adapters import has_adapter
from balora.data import positions
from balora.errors import ModelError
from balora.losses import BatchPart, GenerationObjective, scheduled_weights
from balora.task import IGNORED_LABEL, Task
from balora.teacher import Teacher, draw_sequences, transformers_model
from balora.training.cached_states import CachedStates, open_states
from balora.training.callbacks import DivergenceGuard, RankAllocation
from balora.training.config import BALoraConfig
from balora.training.continued import ContinuedTrainer
from balora.training.evidence import StepEvidence
from balora.training.fused_path import FusedPath, fused_path_for
from balora.training.gathering import rows_of_all
from balora.training.model_kind import (
    default_collator,
    is_decoder_only,
    objective_for,
    task_of,
)
from balora.training.notes import BaloraWarning, notes_on_objective
from balora.training.optimizers import adapter_optimizer
from balora.training.padding_free import PackedBatch, takes_packed_rows
from balora.training.penalties import Penalties
from balora.training.router_loss import router_loss
from balora.training.rows import ROW, RowKeepingCollator, with_row_numbers
from balora.training.start import Start, labels_of, start_teacher
from balora.training.stopwatch import Stopwatch
from balora.training.terms import TermLog, TokenMean, as_one_tensor


class BALoraTrainer(ContinuedTrainer):
    """Drop-in for `transformers.Trainer` that trains with the paper's regularizers (equations 8 and 12).

    Takes every argument of `Trainer` but `model_init`, plus `config`. The model comes from `balora.prepare_model`, or
    is any PEFT or plain transformers model whose adapter starts at zero. Classification, regression and generation
    (decoder-only or encoder-decoder) are told apart by the model.

    Accumulation: task, consistency and generation diversity are means over tokens (examples) of the whole accumulated
    batch, so k micro-batches give the gradient of one large batch. The spectral term of generation is a mean over
    groups of sequences. In classification covariance and spectral terms see one micro-batch at a time, that of all
    processes together, and are averaged over the k.

    Memory: generation works on the states before the head and never makes the logits of a batch, unless logits are
    asked for (`predict`, `compute_metrics`) or `explicit_because` says why it cannot.

    Mixtures of experts whose configuration sets `output_router_logits` also train their load-balancing loss, as with
    the plain Trainer.

    Left out, `data_collator` pads `input_ids` and labels on the side of `processing_class`.

    Log lines carry `task_loss`, each term raw and as `weighted_<term>`, `valid_tokens` and `teacher_seconds` beside
    the usual keys.

    Raises:
        ModelError: the model or an argument does not fit.
        SelfCheckError: at `train()`, when the teacher is not the pretrained model.
        DivergedError: during training, before an update that is not finite.
    """

    def __init__(self, *args: Any, config: BALoraConfig | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.model_init is not None:
            what = "gives another model for every call of train, and balora prepares and checks one"
            raise ModelError.at("model_init", what, "pass model=balora.prepare_model(...), and a new trainer per trial")
        if self.compute_loss_func is not None:
            raise ModelError.at("compute_loss_func", "balora computes the loss itself", "leave it out")
        base = transformers_model(self.model)
        self.task: Task = task_of(base)
        self.config = config or BALoraConfig(form="nlg" if self.task == "generation" else "nlu")
        self.encoder_decoder = self.task == "generation" and bool(base.config.is_encoder_decoder)
        self.objective = objective_for(base, self.task, self.config, self.args.label_smoothing_factor)
        self.adapted = has_adapter(self.model)
        self.teacher: Teacher | None = None
        self.states: CachedStates | None = None
        self.terms, self.evidence = TermLog(), StepEvidence()
        self.evaluated = TokenMean()
        self.teacher_watch = Stopwatch(self.args.device)
        given: Any = kwargs.get("data_collator", args[2] if len(args) > 2 else None)
        default = default_collator(self.processing_class, base.config, self.task, self.encoder_decoder)
        self.train_dataset = with_row_numbers(vars(self)["train_dataset"])
        self.data_collator = RowKeepingCollator(default if given is None else given)
        self.label_names = ["labels"]
        # The loss is normalised over the accumulated batch here; the Trainer must not divide again.
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True
        self.fused, self.explicit_because = self._fused_path(base)
        self._loss_only = False
        self.guard = DivergenceGuard(self.evidence)
        self.add_callback(self.guard)
        self.add_callback(RankAllocation(self.model))
        self.penalties = Penalties(self.model, self.config, sharded=self.sharded)
        self._part, self._micro_batch = BatchPart(), 0
        tokenizer = self.processing_class
        left = isinstance(tokenizer, PreTrainedTokenizerBase) and tokenizer.padding_side == "left"
        decoder_only = is_decoder_only(base)
        self._counts_positions = left and decoder_only
        self.packs, self.padded_because = takes_packed_rows(
            base, setting=self.config.padding_free, decoder_only=self.task == "generation" and decoder_only
        )
        self._started = False
        self.prepare_checkpointing()
        self._warn_about_settings(base)

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """As `Trainer.train`; the first call sets up and checks the teacher before anything is restored or trained."""
        checkpoint = self.checkpoint_to_resume(resume_from_checkpoint)
        if not self._started:
            with self.accelerator.autocast():
                start = replace(self._start(), checkpoint=checkpoint)
                self.teacher = start_teacher(start)
                if self.fused is not None:
                    self.fused.follow(self.teacher)
                if self.task == "generation" and self.teacher is not None and self.config.teacher == "cached":
                    self.states = open_states(start, self.fused, self.objective, self.explicit_because)
            self._started = True
        self.remember_process_state(checkpoint)
        return super().train(None if checkpoint is None else str(checkpoint), *args, **kwargs)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The objective while training, the task loss alone while evaluating.

        `num_items_in_batch` is not used: `get_batch_samples` counts the same items, and those of the regularizers.
        """
        del num_items_in_batch
        batch = dict(inputs)
        rows, labels = batch.pop(ROW, None), labels_of(batch)
        batch = self.model_inputs(batch, labels)
        wants_logits = return_outputs and not self._loss_only
        fused = None if wants_logits else self.fused
        weights = scheduled_weights(self.config, self.state.global_step, self.state.max_steps) if model.training else {}
        part = self._next_part(weights, len(labels)) if model.training else BatchPart()
        packs = self.packs and not wants_logits
        packed = PackedBatch.of(batch) if packs else None
        teacher_logits = None
        with nullcontext() if fused is None else fused.without_head():
            if weights.get("consistency") and self.teacher is not None:
                teacher_logits = self._ask_teacher(model, batch, labels, rows, part.teacher_sequences, packs=packs)
            outputs = model(**(batch if packed is None else packed.inputs))
        student_logits = outputs.logits if packed is None else packed.padded(outputs.logits)
        if weights.get("consistency") and teacher_logits is None and part.teacher_sequences is not None:
            teacher_logits = student_logits.detach()[:0]
        report = (self.objective if fused is None else fused.report)(
            student_logits,
            teacher_logits,
            labels,
            weights=weights,
            part=part,
            attention_mask=batch.get("attention_mask"),
        )
        total, balance = report.total, None
        if model.training:
            report = self.penalties.added_to(report, parts=part.parts)
            balance = router_loss(transformers_model(self.model), outputs)
            total = report.total
            if balance is not None:
                total = total + balance.weight * balance.value.to(total) / part.parts
            self.terms.add(report, parts=part.parts, router=balance)
            self.evidence.add(report, total, rows, router=balance)
        else:
            self.evaluated.add(report.task, report.valid_tokens)
        return (total, outputs) if return_outputs else total

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """As in `Trainer`; loraplus and lora_fa bring PEFT's optimizer."""
        if self.optimizer is None:
            adapted = self.model if model is None else model
            self.optimizer: Any = adapter_optimizer(adapted, self.args, sharded=self.sharded)
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        return optimizer

    def _next_part(self, weights: dict[str, float], sequences: int) -> BatchPart:
        """This micro-batch's part of the accumulated batch, with the sequences that the teacher is asked about."""
        self._micro_batch += 1
        fraction = self.config.teacher_fraction
        if fraction == "schedule":
            fraction = weights["consistency"] / (self.config.consistency_weight or 1.0)
        if self.task != "generation" or fraction >= 1 or not weights["consistency"]:
            return self._part
        seed = (self.args.seed, self.state.global_step, self._micro_batch, self.args.process_index)
        chosen = draw_sequences(sequences, fraction, seed=seed).to(self.args.device)
        return replace(self._part, teacher_sequences=chosen, teacher_fraction=fraction)

    def _ask_teacher(
        self,
        model: nn.Module,
        batch: dict[str, Any],
        labels: Tensor,
        rows: Tensor | None,
        chosen: Tensor | None,
        *,
        packs: bool,
    ) -> Tensor | None:
        """The teacher's logits, or states inside `without_head`, of the chosen sequences; None where there are none."""
        assert self.teacher is not None
        teacher = self.teacher
        if chosen is not None:
            sequences = len(next(value for value in batch.values() if isinstance(value, Tensor)))
            batch = {name: _of_sequences(value, chosen, sequences) for name, value in batch.items()}
            labels, rows = labels[chosen], None if rows is None else rows[chosen]
            if len(chosen) == 0:
                return None

        def ask() -> Tensor:
            if not packs:
                return teacher.logits(model, batch, rows)
            packed = PackedBatch.of(batch)
            return packed.padded(teacher.logits(model, packed.inputs, rows))

        with self.teacher_watch:
            if self.states is None or rows is None:
                answers = ask()
            else:
                answers = self.states.states(rows, labels, batch.get("attention_mask"), ask)
        self.evidence.teacher_answered(answers, self._seen(labels, batch.get("attention_mask")))
        return answers

    def _seen(self, labels: Tensor, attention_mask: Tensor | None) -> Tensor | None:
        """What the terms look at: examples (B,), or tokens (B, S)."""
        if isinstance(self.objective, GenerationObjective):
            return self.objective.regularized_mask(labels, attention_mask)
        return None if self.task == "regression" else labels != IGNORED_LABEL

    def model_inputs(self, batch: dict[str, Any], labels: Tensor) -> dict[str, Any]:
        """What the model's forward gets: no labels, so that it computes no loss of its own, and no cache."""
        if self.task == "generation":
            batch = {**batch, "use_cache": False}
        if self.encoder_decoder and "decoder_input_ids" not in batch:
            base = transformers_model(self.model)
            batch["decoder_input_ids"] = base.prepare_decoder_input_ids_from_labels(labels=labels)
        return self._with_positions(batch)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """As in `Trainer`, but the loss of a language model is the mean over tokens, not over batches."""
        self.evaluated = TokenMean()
        output = super().evaluation_loop(*args, **kwargs)
        prefix = kwargs.get("metric_key_prefix", "eval")
        if self.task == "generation" and output.metrics and f"{prefix}_loss" in output.metrics:
            output.metrics[f"{prefix}_loss"] = self.evaluated.over_all(self.accelerator)
        return output

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> Any:
        """As in `Trainer`; where only the loss is asked for, the logits are not made."""
        self._loss_only = prediction_loss_only
        try:
            return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        finally:
            self._loss_only = False

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> tuple[list[Any], Any]:
        """Fetch the micro-batches of one optimiser step and count what the means divide by."""
        batches, items = super().get_batch_samples(*args, **kwargs)
        if batches:
            self._part, self._micro_batch = self._count(batches), 0
        return batches, items

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the terms to a training log line."""
        if "loss" in logs:
            means, valid_tokens = self.terms.take_window()
            if self.args.world_size > 1:
                counted = torch.tensor(valid_tokens, device=self.args.device)
                valid_tokens = int(self.accelerator.reduce(counted, reduction="sum"))
            if means:
                averaged = self.accelerator.reduce(as_one_tensor(means), reduction="mean")
                logs |= dict(zip(means, averaged.tolist(), strict=True))
            logs |= {"valid_tokens": valid_tokens, "teacher_seconds": self.teacher_watch.take_seconds()}
        super().log(logs, start_time)

    def _count(self, batches: list[dict[str, Any]]) -> BatchPart:
        """Items of the whole accumulated batch, over all processes where the Trainer averages over them."""
        # Summed where the batches are, so that nothing waits for the device; MPS has no float64.
        precise = torch.float32 if self.args.device.type == "mps" else torch.float64
        counts = torch.zeros(3, dtype=precise, device=self.args.device)
        for batch in batches:
            labels = labels_of(dict(batch))
            groups = 0
            if isinstance(self.objective, GenerationObjective):
                groups = self.objective.groups_in(len(labels))
                items = (self.objective.targets(labels) != IGNORED_LABEL).sum()
                term_items = self.objective.regularized_mask(labels, batch.get("attention_mask")).sum()
            elif self.task == "regression":
                items = term_items = torch.tensor(len(labels))
            else:
                items = term_items = (labels != IGNORED_LABEL).sum()
            counts += torch.stack([items, term_items, torch.full_like(items, groups)]).to(counts)
        if self.args.average_tokens_across_devices and self.args.world_size > 1:
            # Gradients are averaged over processes afterwards, so each divides by its share of the global count.
            counts = self.accelerator.reduce(counts, reduction="mean")
        counts = counts.clamp_min(1.0)
        gather = rows_of_all if self.args.world_size > 1 else None
        return BatchPart(counts[0], counts[1], parts=len(batches), groups=counts[2], over_processes=gather)

    def _fused_path(self, base: PreTrainedModel) -> tuple[FusedPath | None, str]:
        cannot = ""
        if self.sharded:
            cannot = "its weights may be spread over devices"
        elif self.args.torch_compile:
            cannot = "torch_compile traces the model with its head"
        autocast = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.accelerator.mixed_precision)
        return fused_path_for(base, self.config, self.objective, compute_dtype=autocast, cannot=cannot)

    def _with_positions(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A decoder padded on the left counts positions from the first real token, whatever head it carries."""
        if not self._counts_positions or "position_ids" in batch or "attention_mask" not in batch:
            return batch
        return {**batch, "position_ids": positions(batch["attention_mask"])}

    def _start(self) -> Start:
        args = self.args
        epochs = float(args.num_train_epochs)
        if args.max_steps > 0 and isinstance(self.train_dataset, Sized):
            rows = args.max_steps * args.train_batch_size * args.gradient_accumulation_steps * args.world_size
            epochs = rows / max(len(self.train_dataset), 1)
        examples: Any = self.train_dataset
        collate: Any = self.data_collator
        if isinstance(examples, datasets.Dataset):
            examples = self._remove_unused_columns(examples, description="training")
        else:
            collate = self._get_collator_with_removed_columns(collate, description="training")
        return Start(
            model=self.model,
            config=self.config,
            task=self.task,
            adapted=self.adapted,
            examples=examples,
            collate=lambda rows: self._with_positions(collate(rows)),
            model_inputs=self.model_inputs,
            headless=self._headless,
            batch_size=args.per_device_eval_batch_size,
            epochs=epochs,
        )

    def _headless(self, teacher: Teacher) -> AbstractContextManager[None]:
        if self.fused is None:
            return nullcontext()
        self.fused.follow(teacher)
        return self.fused.without_head()

    def own_state(self) -> dict[str, Any]:
        """Where the spectral term's iteration starts at the next step, and what the loss was of late."""
        directions = None if self.fused is None else self.fused.memory.directions
        return {"spectral_directions": directions, "losses": self.guard.spikes.state()}

    def restore_own_state(self, state: dict[str, Any]) -> None:
        """As it was when the checkpoint was written."""
        directions = state["spectral_directions"]
        if self.fused is not None and directions is not None:
            self.fused.memory.directions = directions.to(self.args.device)
        self.guard.spikes.restore(state["losses"])

    def _warn_about_settings(self, base: PreTrainedModel) -> None:
        notes = notes_on_objective(
            self.config,
            self.task,
            classes=int(base.config.num_labels) if self.task != "generation" else 0,
            rows_per_batch=self.args.per_device_train_batch_size,
        )
        for note in notes:
            warnings.warn(note, BaloraWarning, stacklevel=3)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if ROW not in self._signature_columns:
            self._signature_columns += [ROW]


def _of_sequences(value: Any, chosen: Tensor, sequences: int) -> Any:
    """The chosen sequences of one input; what is not per sequence stays."""
    per_sequence = isinstance(value, Tensor) and value.dim() > 0 and len(value) == sequences
    return value[chosen] if per_sequence else value
