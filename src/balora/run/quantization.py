"""Quantization in a run: what cannot work, and how far the start is from the full-precision model."""

from __future__ import annotations

from collections.abc import Iterator

from transformers import BitsAndBytesConfig, PreTrainedModel

from balora.adapters import (
    RESIDUAL_BASE,
    AdaptedModel,
    CheckpointWeights,
    QuantizationErrors,
    adapted_layers,
    find_method,
    quantization_errors,
)
from balora.artefacts import QuantizedBase
from balora.errors import ModelError, Problem
from balora.models import quantization_problem
from balora.recipe import Recipe


def quantization_problems(recipe: Recipe) -> Iterator[Problem]:
    """Settings of different sections that do not go together, and packages that are not there."""
    quantization, adapter = recipe.model.quantization, recipe.adapter
    problem = quantization_problem(recipe.model)
    if problem is not None:
        yield problem
    if quantization is not None and not find_method(adapter.method).low_rank:
        fix = "leave model.quantization out, or choose a low-rank method"
        yield Problem("adapter.method", f"{adapter.method} cannot train quantized weights ({quantization})", fix)
    if adapter.quantized_start != "residual":
        return
    key = "adapter.quantized_start"
    if quantization not in ("nf4", "int8"):
        what = f"is residual, and model.quantization is {quantization or 'not set'}"
        yield Problem(key, what, "write model.quantization: nf4 or int8, or leave it out")
    if adapter.method != "pissa":
        yield Problem(key, f"is residual, a start of pissa, and the method is {adapter.method}", "leave it out")


def describe_base(recipe: Recipe, model: PreTrainedModel | AdaptedModel) -> QuantizedBase | None:
    """What the model card says of a quantized base; None where it was not quantized."""
    if recipe.model.quantization is None or isinstance(model, PreTrainedModel):
        return None
    if recipe.adapter.quantized_start == "residual":
        return QuantizedBase(
            f"The adapter belongs to the base in `{RESIDUAL_BASE}`, which holds the quantized residual of the "
            "pretrained weights; on the pretrained weights themselves it is another function."
        )
    config = model.get_base_model().config.quantization_config
    if isinstance(config, BitsAndBytesConfig):
        given = {name: value for name, value in config.to_diff_dict().items() if name in _GIVEN}
        call = ", ".join(f"{name}={value!r}" for name, value in given.items())
        code, imports = f"BitsAndBytesConfig({call})", "from transformers import BitsAndBytesConfig"
    else:
        keep = config.modules_to_not_convert
        code = f"TorchAoConfig(Int8WeightOnlyConfig(), modules_to_not_convert={keep!r})"
        imports = "from transformers import TorchAoConfig; from torchao.quantization import Int8WeightOnlyConfig"
    return QuantizedBase(
        f"Trained on the base quantized to {recipe.model.quantization}, as below. On the base in full precision the "
        "adapter works too; its outputs then differ by what quantization changed.",
        arguments=f", quantization_config={code}",
        imports=imports,
    )


_GIVEN = (
    "load_in_4bit",
    "load_in_8bit",
    "bnb_4bit_quant_type",
    "bnb_4bit_compute_dtype",
    "bnb_4bit_use_double_quant",
    "llm_int8_skip_modules",
)
"""What a recipe sets of bitsandbytes' configuration."""


def measure_start(recipe: Recipe, model: PreTrainedModel | AdaptedModel) -> tuple[QuantizationErrors | None, list[str]]:
    """The errors of a quantized start as the recipe asks for them, and what to tell of it."""
    wanted = recipe.adapter.quantization_error
    if recipe.model.quantization is None or wanted == "none" or isinstance(model, PreTrainedModel):
        return None, []
    try:
        weights = CheckpointWeights.of(model.get_base_model())
        errors = quantization_errors(adapted_layers(model), weights, nuclear=wanted == "nuclear")
    except ModelError as error:
        return None, [f"the error of quantization was not measured: {error.problems[0].what}"]
    if not errors.start:
        return None, []
    return errors, [f"{recipe.model.quantization}: {errors.in_words()}"]
