"""A run in words and numbers: its record and its model card."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from balora.adapters import RESIDUAL_BASE, count_parameters
from balora.artefacts import RunRecord, model_card, regularizers_in_words
from balora.artefacts.layout import ADAPTER_CONFIG
from balora.evaluation import is_score
from balora.recipe import Recipe
from balora.run.base import described_base
from balora.run.beginning import Beginning, described_data
from balora.run.parts import Inputs
from balora.run.quantization import describe_base
from balora.strict_json import read_json
from balora.training import BALoraTrainer


def begin_record(
    recipe: Recipe, inputs: Inputs, trainer: BALoraTrainer, beginning: Beginning, *, notes: Sequence[str]
) -> RunRecord:
    """The record of a run that is about to start or to go on."""
    commit = inputs.config.to_dict().get("_commit_hash")
    model = {
        "name_or_path": recipe.model.name_or_path,
        "revision": recipe.model.revision,
        "commit": commit,
        "base": described_base(recipe.model, commit),
        "quantization": recipe.model.quantization,
        "parameters": count_parameters(trainer.model)._asdict(),
    }
    seeds = {"training": trainer.args.seed, "adapter": recipe.adapter.seed, "split": recipe.data.split_seed}
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return replace(
        RunRecord.begin(command, earlier=beginning.earlier, from_step=beginning.step),
        model=model,
        data=described_data(inputs),
        seeds=seeds,
        notes=list(notes),
    )


def describe_as_card(
    recipe: Recipe, inputs: Inputs, trainer: BALoraTrainer, metrics: Mapping[str, float], folder: Path
) -> str:
    """The model card of a finished run, whose adapter lies in the folder already."""
    config = folder / ADAPTER_CONFIG
    saved = read_json(config) if config.exists() else {}
    quantized = describe_base(recipe, trainer.model)
    own_base = quantized is not None and not quantized.arguments
    return model_card(
        base_name=recipe.model.name_or_path,
        base_path=f"path/to/this/folder/{RESIDUAL_BASE}" if own_base else saved.get("base_model_name_or_path"),
        task=recipe.task,
        method=recipe.adapter.method,
        regularizers=regularizers_in_words(recipe.regularizers.model_dump()),
        parameters=str(count_parameters(trainer.model)),
        results={name: value for name, value in metrics.items() if is_score(name)},
        label_names=inputs.text.label_names,
        encoder_decoder=inputs.data.encoder_decoder,
        quantized=quantized,
    )
