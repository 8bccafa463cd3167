"""The parts of a run, each built from its section of the recipe."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, TrainingArguments

from balora.adapters import AdaptedModel, Calibration, QuantizationErrors
from balora.cache import cache_folder
from balora.data import EncodedData, TextData, encode, encode_once, load_text_data, make_collator
from balora.errors import Findings
from balora.evaluation import METRICS, keep_predictions, metrics_function
from balora.models import load_config, load_model, load_tokenizer, max_positions
from balora.paths import user_path
from balora.recipe import Recipe
from balora.run.calibration import draw_calibration
from balora.run.quantization import measure_start
from balora.run.remarks import remarks
from balora.training import BALoraTrainer, BaloraWarning, notes_on_objective, prepare_model
from balora.training.arguments import build_training_arguments, resolve_training_arguments
from balora.training.callbacks import EarlyStop
from balora.training.evaluation_schedule import scheduled_arguments
from balora.training.rehearsal import rehearse


@dataclass(frozen=True)
class Inputs:
    """Everything a run reads except the model's weights."""

    config: transformers.PretrainedConfig
    tokenizer: PreTrainedTokenizerBase
    text: TextData
    data: EncodedData
    calibration: Calibration | None = None
    """The sample that a data-driven method starts from."""

    @property
    def notes(self) -> list[str]:
        """What the data have to say."""
        return list(dict.fromkeys([*self.text.notes, *self.data.notes]))

    def place_of_training_row(self, row: int) -> str:
        """What the user's files call a row of the encoded training split: `file:line`, or `source[index]`."""
        return self.text.train.examples[self.data.source_rows["train"][row]].place


@dataclass(frozen=True)
class Prepared:
    """The adapted model, and what its checkpoint did not hold."""

    model: PreTrainedModel | AdaptedModel
    notes: list[str]
    quantization: QuantizationErrors | None = None
    """How far a quantized start is from the full-precision weights, where it was measured."""


def run_folder_of(recipe: Recipe) -> Path:
    """Where a recipe's run is written: output.dir, else runs/<model>-<method>."""
    if recipe.output.dir is not None:
        return user_path(recipe.output.dir, key="output.dir")
    return Path("runs") / f"{Path(recipe.model.name_or_path).name}-{recipe.adapter.method}"


def training_arguments_of(recipe: Recipe) -> TrainingArguments:
    """The section `training` with balora's defaults, for this recipe's folder and splits.

    Raises:
        InputError: a setting needs a validation split, a device or a package that is not there, or cannot work.
    """
    brings_validation = recipe.data.train is None and recipe.data.preset is not None
    resolved = resolve_training_arguments({**recipe.training, **scheduled_arguments(recipe.evaluation)})
    arguments = build_training_arguments(
        resolved,
        output_dir=run_folder_of(recipe),
        has_validation=recipe.data.validation is not None or brings_validation,
        eval_batch_size=recipe.evaluation.batch_size,
    )
    best = METRICS.get(str(arguments.metric_for_best_model).removeprefix("eval_"))
    if best is not None and resolved.values.get("greater_is_better") is None:
        # transformers takes every score but a loss for one that should be high.
        arguments.greater_is_better = best.higher_is_better
    rehearse(arguments)
    return arguments


def read_inputs(recipe: Recipe) -> Inputs:
    """Data, tokenizer and configuration; no weights.

    Raises:
        InputError: everything that is wrong in them.
    """
    findings = Findings()
    with findings.gathered():
        config = load_config(recipe.model)
        tokenizer = load_tokenizer(recipe.model)
    with findings.gathered():
        text = load_text_data(recipe.data, recipe.task)
    findings.settle()
    encoder_decoder = recipe.task == "generation" and bool(config.is_encoder_decoder)
    most = max_positions(config)
    if recipe.data.cache:
        folder = cache_folder() / "tokens"
        data = encode_once(text, tokenizer, recipe.data, folder, encoder_decoder=encoder_decoder, max_positions=most)
    else:
        data = encode(text, tokenizer, recipe.data, encoder_decoder=encoder_decoder, max_positions=most)
    calibration = draw_calibration(recipe, data, tokenizer, max_positions=most)
    return Inputs(config=config, tokenizer=tokenizer, text=text, data=data, calibration=calibration)


def load_and_adapt(recipe: Recipe, inputs: Inputs) -> Prepared:
    """The pretrained weights with the recipe's adapter, checked against themselves.

    Raises:
        ModelError: the model cannot be loaded, or the adapter does not fit it.
        SelfCheckError: the adapted model does not start at the pretrained one.
    """
    loaded = load_model(recipe.model, recipe.task, tokenizer=inputs.tokenizer, label_names=inputs.text.label_names)
    model = prepare_model(
        loaded.model,
        recipe.adapter,
        task=recipe.task,
        fresh_parameters=loaded.fresh_parameters,
        calibration=inputs.calibration,
        self_check=recipe.regularizers.self_check,
        self_check_tolerance=recipe.regularizers.self_check_tolerance,
    )
    errors, notes = measure_start(recipe, model)
    return Prepared(model, [*loaded.notes, *notes, *fresh_notes(recipe, loaded.fresh_parameters)], errors)


def metric_names(recipe: Recipe, inputs: Inputs) -> Sequence[str]:
    """The scores of an evaluation: those that the recipe names, else those usual for the data."""
    return inputs.text.metrics if recipe.evaluation.metrics is None else recipe.evaluation.metrics


def make_trainer(
    recipe: Recipe, inputs: Inputs, model: PreTrainedModel | AdaptedModel, arguments: TrainingArguments
) -> BALoraTrainer:
    """The trainer; what it would warn of is in `objective_notes`."""
    names, writes = metric_names(recipe, inputs), recipe.task == "generation"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BaloraWarning)
        trainer = BALoraTrainer(
            model=model,
            args=arguments,
            config=recipe.regularizers,
            train_dataset=inputs.data.train,
            eval_dataset=inputs.data.validation,
            data_collator=make_collator(inputs.tokenizer, recipe.task, encoder_decoder=inputs.data.encoder_decoder),
            processing_class=inputs.tokenizer,
            compute_metrics=metrics_function(names, recipe.task, shift=writes and not inputs.data.encoder_decoder),
            preprocess_logits_for_metrics=keep_predictions(recipe.task) if names else None,
        )
    trainer.remove_callback(PrinterCallback)
    trainer.guard.place_of = inputs.place_of_training_row
    if recipe.evaluation.patience is not None:
        trainer.add_callback(EarlyStop(recipe.evaluation.patience, recipe.evaluation.min_improvement))
    return trainer


def objective_notes(recipe: Recipe, inputs: Inputs, arguments: TrainingArguments) -> list[str]:
    """Terms that cannot act in this run, and what else may not work as meant."""
    notes = notes_on_objective(
        recipe.regularizers,
        recipe.task,
        classes=len(inputs.text.label_names or ()),
        rows_per_batch=arguments.per_device_train_batch_size,
    )
    return [*notes, *remarks(recipe, inputs, arguments)]


def loss_path_notes(trainer: BALoraTrainer) -> list[str]:
    """Why logits are made, the loss is not compiled, or batches are padded, where something else was possible."""
    notes = []
    if trainer.explicit_because:
        notes.append(f"the logits of whole batches are made, which takes more memory: {trainer.explicit_because}")
    if trainer.fused is not None and trainer.fused.plain_because:
        notes.append(f"regularizers.compile_loss: {trainer.fused.plain_because}; it runs uncompiled")
    if trainer.padded_because:
        notes.append(f"regularizers.padding_free: batches are padded all the same: {trainer.padded_because}")
    return notes


def fresh_notes(recipe: Recipe, fresh: tuple[str, ...]) -> list[str]:
    """What follows from parameters that the checkpoint does not hold."""
    if not fresh:
        return []
    shown = ", ".join(fresh[:4]) + (f" and {len(fresh) - 4} more" if len(fresh) > 4 else "")
    notes = [f"the checkpoint does not hold {shown}; they start at random and are trained and saved in full"]
    regularizers = recipe.regularizers
    if recipe.task != "generation" and regularizers.consistency_weight > 0 and regularizers.teacher_head == "initial":
        notes.append(
            "so the teacher's head is random too, and consistency acts like label smoothing, as in the paper; "
            "regularizers.teacher_head: linear_probe fits it first"
        )
    return notes
