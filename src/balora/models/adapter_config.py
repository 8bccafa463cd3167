"""What an adapter's configuration must be made of, field by field, before PEFT or the base are touched."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from peft import PeftType, TaskType

from balora.errors import Problem

HIGHEST_RANK = 1 << 16
MOST_ITERATIONS = 1000
MOST_REPLICAS = 10_000
MOST_REPEATS = 5
"""Open repeats in one pattern: a name of 60 letters can be cut into so many pieces in 6 million ways."""

_AGAIN = "save the adapter again"
_NESTED_REPEATS = re.compile(r"\([^()]*[+*{][^()]*\)[+*{]|\)[+*{].*\)[+*{]")
_OPEN_REPEAT = re.compile(r"(?<!\\)[+*]|(?<!\\)\{\d*,\d*\}")
_STARTS = {"gaussian", "eva", "olora", "mica", "pissa", "corda", "loftq", "orthogonal", "lora_ga"}
_PISSA = re.compile(r"pissa_niter_(\d+)")
_NAMES = ("target_modules", "exclude_modules", "layers_pattern", "modules_to_save", "target_parameters")
_FLAGS = ("use_dora", "use_rslora", "fan_in_fan_out", "inference_mode", "lora_bias", "use_qalora")
_LORA = ("LORA", "ADALORA")


def config_problems(where: Path, config: Mapping[str, Any]) -> Iterator[Problem]:
    """Every field that is of another kind than PEFT's, is not finite, or could take for ever.

    Args:
        where: what messages name.
        config: the content of `adapter_config.json`.
    """
    for field, (fits, expected) in _EXPECTED.items():
        value = config.get(field)
        if value is not None and not fits(value):
            yield Problem(str(where), f"'{field}' is {_shown(value)}, expected {expected}", _AGAIN)
    if config.get("peft_type") in (None, *_LORA):
        yield from _lora_problems(where, config)
    for field in ("rank_pattern", "alpha_pattern"):
        patterns = config.get(field)
        if isinstance(patterns, Mapping) and not all(_is_harmless(name) for name in patterns):
            yield Problem(str(where), f"'{field}' is no plain pattern of names", "list the names of the modules")


def _lora_problems(where: Path, config: Mapping[str, Any]) -> Iterator[Problem]:
    single = config.get("peft_type") != "ADALORA"  # whose rank_pattern holds masks
    for field, fits, expected in (
        ("rank_pattern", _is_rank if single else _is_mask, "a whole number of ranks for each name"),
        ("alpha_pattern", _is_finite, "a finite number for each name"),
    ):
        for name, value in _mapping(config.get(field)).items():
            if not fits(value):
                yield Problem(str(where), f"'{field}' gives '{name[:80]}' {_shown(value)}, expected {expected}", _AGAIN)
    iterations = _mapping(config.get("loftq_config")).get("loftq_iter", 1)
    if not _is_whole(iterations, 0, MOST_ITERATIONS):
        what = f"'loftq_config.loftq_iter' is {_shown(iterations)}, expected at most {MOST_ITERATIONS} iterations"
        yield Problem(str(where), what, _AGAIN)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_rank(value: Any) -> bool:
    return _is_whole(value, 1, HIGHEST_RANK)


def _is_mask(value: Any) -> bool:
    return _is_whole(value, 0, HIGHEST_RANK) or (isinstance(value, list) and all(v in (0, 1) for v in value))


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer above every float
        return False


def _is_harmless(pattern: Any) -> bool:
    """A name, or a pattern that is tried in a bounded number of ways."""
    if not isinstance(pattern, str) or len(pattern) > 2000 or _NESTED_REPEATS.search(pattern):
        return False
    return len(_OPEN_REPEAT.findall(pattern)) <= MOST_REPEATS


def _are_names(value: Any) -> bool:
    texts = [value] if isinstance(value, str) else value if isinstance(value, list) else None
    return texts is not None and all(_is_harmless(text) for text in texts)


def _is_start(value: Any) -> bool:
    """PEFT runs the start when it loads an adapter: PiSSA's gives the base that the factors belong to."""
    if not isinstance(value, str):
        return isinstance(value, bool)
    found = _PISSA.fullmatch(value)
    if found is not None:
        return len(found[1]) <= 9 and int(found[1]) <= MOST_ITERATIONS
    return value in _STARTS or value.lower() in ("gaussian", "olora", "mica")


def _are_layers(value: Any) -> bool:
    return all(_is_whole(layer, 0, MOST_REPLICAS) for layer in (value if isinstance(value, list) else [value]))


def _are_ranges(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    if not all(isinstance(pair, list) and len(pair) == 2 and _are_layers(pair) for pair in value):
        return False
    return sum(max(int(end) - int(start), 0) for start, end in value) <= MOST_REPLICAS


_Check = tuple[Callable[[Any], bool], str]
_EXPECTED: dict[str, _Check] = {
    "peft_type": (lambda v: v in set(PeftType), "a kind of adapter that PEFT knows, as LORA"),
    "task_type": (lambda v: v in set(TaskType), "a task that PEFT knows, as CAUSAL_LM or SEQ_CLS"),
    "base_model_name_or_path": (lambda v: isinstance(v, str), "a text"),
    "r": (_is_rank, f"a whole number from 1 to {HIGHEST_RANK}"),
    "lora_alpha": (_is_finite, "a finite number"),
    "lora_dropout": (lambda v: _is_finite(v) and 0 <= v < 1, "a number from 0 to below 1"),
    "bias": (lambda v: v in ("none", "all", "lora_only"), "none, all or lora_only"),
    "init_lora_weights": (_is_start, f"true, false or a start of PEFT with at most {MOST_ITERATIONS} iterations"),
    "layers_to_transform": (_are_layers, "a layer's number or a list of them"),
    "layer_replication": (_are_ranges, f"a list of pairs of layers, {MOST_REPLICAS} layers in all"),
    "rank_pattern": (lambda v: isinstance(v, Mapping), "an object of names with their ranks"),
    "alpha_pattern": (lambda v: isinstance(v, Mapping), "an object of names with their numbers"),
    "loftq_config": (lambda v: isinstance(v, Mapping), "an object"),
    **dict.fromkeys(_NAMES, (_are_names, "names, or a plain pattern of names")),
    **dict.fromkeys(_FLAGS, (lambda v: isinstance(v, bool), "true or false")),
}
