"""Which layers get an adapter, and which modules are the task head."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from balora.errors import ModelError, Problem, did_you_mean

LINEAR_TYPES = (nn.Linear, Conv1D)

EXPERTS = "experts"
"""What transformers calls the module that holds the stacked weights of a mixture's experts."""

ROUTERS = ("gate", "router", "shared_expert_gate")
"""What it calls the modules beside it that choose among the experts."""

EXPERT_PARTS = ("gate", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3")
"""Names of layers that PEFT (peft.utils.transformers_weight_conversion) reads as the experts of older checkpoints."""

Adaptable = nn.Module | nn.Parameter


def linear_layers(model: PreTrainedModel) -> dict[str, Adaptable]:
    """Every linear map by its full name, heads included: layers, and stacked experts as one parameter each."""
    layers: dict[str, Adaptable] = {
        name: module for name, module in model.named_modules() if isinstance(module, LINEAR_TYPES)
    }
    return layers | expert_stacks(model)


def expert_stacks(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    """The stacked weights of experts, (E, out, in) or (E, in, out), by their full names."""
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.dim() == 3 and EXPERTS in name.split(".")
    }


def is_router(model: PreTrainedModel, name: str) -> bool:
    """Whether a layer chooses among experts: it is, or lies in, a gate or router beside them."""
    parts = name.split(".")
    return any(
        part in ROUTERS and EXPERTS in model.get_submodule(".".join(parts[:index]))._modules
        for index, part in enumerate(parts)
    )


def resolve_targets(model: PreTrainedModel, wanted: str | list[str]) -> list[str]:
    """The full names of the layers that get an adapter.

    Args:
        model: the pretrained model, before any adapter.
        wanted: `all-linear` for every linear layer of the repeated blocks, experts included (not embeddings, poolers,
            heads or the routers of mixtures), a regular expression for the whole name, or names, each the end of one
            or more layers' names.

    Raises:
        ModelError: for every name that matches nothing, with the closest name that exists and how often it does.
    """
    layers = linear_layers(model)
    if wanted == "all-linear":
        repeated = [name for name in layers if any(part.isdigit() for part in name.split("."))]
        chosen = [name for name in repeated if not is_router(model, name)]
        problem = Problem("adapter.target_modules", "the model has no repeated blocks", "name its layers")
    elif isinstance(wanted, str):
        chosen = _matching(wanted, layers)
        problem = Problem("adapter.target_modules", f"'{wanted}' matches no linear layer", _existing(layers))
    else:
        missing = [name for name in wanted if not any(_ends_with(layer, name) for layer in layers)]
        if missing:
            raise ModelError(_unmatched(missing, layers))
        chosen = [layer for layer in layers if any(_ends_with(layer, name) for name in wanted)]
        problem = Problem("adapter.target_modules", "the list is empty", "name layers or write all-linear")
    if not chosen:
        raise ModelError([problem])
    return chosen


class PeftTargets(NamedTuple):
    """The chosen layers in PEFT's two fields."""

    modules: list[str]
    """`target_modules`: layers that PEFT replaces."""
    parameters: list[str]
    """`target_parameters`: weights that PEFT adapts where they are."""


def peft_targets(model: PreTrainedModel, chosen: Sequence[str]) -> PeftTargets:
    """The shortest names under which PEFT adapts exactly the chosen layers.

    Stacked experts can only be reached as parameters. Beside them PEFT takes layers that are called like the parts of
    an expert for those parts, and would leave out dense and shared ones; these go by their weights too.
    """
    stacks = expert_stacks(model)
    weights = [name if name in stacks else f"{name}.weight" for name in chosen if goes_by_weight(name, stacks)]
    modules = [name for name in chosen if not goes_by_weight(name, stacks)]
    return PeftTargets(
        shortest_endings(modules, [name for name, _ in model.named_modules()]),
        shortest_endings(weights, [name for name, _ in model.named_parameters()]),
    )


def goes_by_weight(name: str, stacks: Mapping[str, nn.Parameter]) -> bool:
    """Whether PEFT must adapt a layer's weight rather than the layer, in a model with these stacks of experts."""
    return name in stacks or (bool(stacks) and name.rsplit(".", 1)[-1] in EXPERT_PARTS)


def shortest_endings(chosen: list[str], names: Sequence[str]) -> list[str]:
    """The shortest name endings that pick exactly the chosen among all names, else the full names.

    PEFT stores them in adapter_config.json; `q_proj` reads better than 224 paths.
    """
    for parts in (1, 2, 3):
        endings = sorted({".".join(name.split(".")[-parts:]) for name in chosen})
        picked = {name for name in names if any(_ends_with(name, ending) for ending in endings)}
        if picked == set(chosen):
            return endings
    return chosen


def head_modules(model: PreTrainedModel) -> list[str]:
    """The modules with weights outside the pretrained body: what a fresh task starts from scratch.

    For DeBERTa that is pooler and classifier, for T5 its classification_head, for Llama score.
    """
    body = model.base_model_prefix
    if model.base_model is model:
        return []
    return [name for name, child in model.named_children() if name != body and any(True for _ in child.parameters())]


def fresh_modules(model: PreTrainedModel, fresh: Iterable[str]) -> list[str]:
    """The largest modules that hold nothing but fresh parameters, or the owners of single fresh parameters.

    Args:
        model: the pretrained model.
        fresh: names of parameters that its checkpoint does not hold.

    Raises:
        ModelError: for a fresh parameter that the model owns itself, which no module could save.
    """
    names = {name for name, _ in model.named_parameters()}
    missing = names & set(fresh)
    found = set()
    for parameter in missing:
        owner = parameter.rpartition(".")[0]
        if not owner:
            what = f"the checkpoint does not hold '{parameter}', which belongs to no module and cannot be trained"
            raise ModelError.at("model.name_or_path", what, "use a checkpoint that has it, or method: full")
        while (above := owner.rpartition(".")[0]) and {n for n in names if n.startswith(f"{above}.")} <= missing:
            owner = above
        found.add(owner)
    return sorted(found)


def untrained_pooler(model: PreTrainedModel) -> list[str]:
    """The body's pooler where nothing has trained it yet, for a model whose fresh parameters are not known.

    A linear layer starts with a bias of exactly 0 and leaves it with the first training step, so a bias of zeros
    means that the checkpoint did not hold the pooler (one of `BertForMaskedLM`, say).
    """
    pooler = model.base_model._modules.get("pooler")
    if model.base_model is model or pooler is None or not model.name_or_path:
        return []
    biases = [parameter for name, parameter in pooler.named_parameters() if name.endswith("bias")]
    if not biases or any(bias.is_meta or bool(bias.any()) for bias in biases):
        return []
    return [f"{model.base_model_prefix}.pooler"]


def outside(modules: Sequence[str], chosen: Iterable[str]) -> list[str]:
    """The chosen names that lie in none of the modules, which are names or endings of names."""
    return [name for name in chosen if not any(_ends_with(part, m) for part in _upwards(name) for m in modules)]


def check_saved_modules(model: PreTrainedModel, wanted: Sequence[str]) -> list[Problem]:
    """One problem for each name in `modules_to_save` that no module has."""
    names = [name for name, module in model.named_modules() if name and any(True for _ in module.parameters())]
    missing = [name for name in wanted if not any(_ends_with(module, name) for module in names)]
    last_parts = {name.rsplit(".", 1)[-1] for name in names} - {str(number) for number in range(1000)}
    return [
        Problem("adapter.modules_to_save", f"no module is named '{name}'", did_you_mean(name, last_parts))
        for name in missing
    ]


def _upwards(name: str) -> list[str]:
    """A name and those of the modules that it lies in."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _ends_with(layer: str, name: str) -> bool:
    return layer == name or layer.endswith(f".{name}")


def _matching(pattern: str, layers: dict[str, Adaptable]) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        fix = "write all-linear, a list of names, or a valid expression"
        raise ModelError.at("adapter.target_modules", f"'{pattern}' is no regular expression: {error}", fix) from error
    exact = [layer for layer in layers if _ends_with(layer, pattern)]
    return exact or [layer for layer in layers if compiled.fullmatch(layer)]


def _existing(layers: dict[str, Adaptable]) -> str:
    counts = Counter(name.rsplit(".", 1)[-1] for name in layers)
    return "layers that exist: " + ", ".join(f"{name} ({count})" for name, count in counts.most_common(12))


def _unmatched(missing: list[str], layers: dict[str, Adaptable]) -> list[Problem]:
    last_parts = {name.rsplit(".", 1)[-1] for name in layers}
    return [
        Problem(
            "adapter.target_modules",
            f"no linear layer is named '{name}' ({_existing(layers)})",
            did_you_mean(name, last_parts),
        )
        for name in missing
    ]
