"""One training argument at a time: its type in the installed transformers, its limits, what to say when it is wrong."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from transformers import TrainingArguments

from balora.errors import did_you_mean

LARGEST_SEED = 2**32 - 1
"""What NumPy's generator takes."""

LIMITS: Mapping[str, Any] = MappingProxyType(
    {
        **dict.fromkeys(["per_device_train_batch_size", "per_device_eval_batch_size"], Field(ge=1)),
        **dict.fromkeys(["gradient_accumulation_steps", "save_total_limit", "torch_empty_cache_steps"], Field(ge=1)),
        **dict.fromkeys(["num_train_epochs", "adam_epsilon", "logging_steps", "save_steps"], Field(gt=0)),
        **dict.fromkeys(["learning_rate", "weight_decay", "max_grad_norm", "warmup_steps"], Field(ge=0)),
        **dict.fromkeys(["eval_steps", "dataloader_num_workers", "eval_delay"], Field(ge=0)),
        **dict.fromkeys(["seed", "data_seed"], Field(ge=0, le=LARGEST_SEED)),
        **dict.fromkeys(["adam_beta1", "adam_beta2", "label_smoothing_factor"], Field(ge=0, lt=1)),
        "max_steps": Field(ge=-1),
    }
)
"""Ranges that transformers itself does not check, or checks only after the model is loaded."""

PLAIN_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "string": "text",
        "list": "a list",
        "dict": "a mapping (key: value)",
        "mapping": "a mapping (key: value)",
        "model": "a mapping (key: value)",
        "path": "a path",
        "none": "null",
    }
)
"""First word of a pydantic error type -> what the user should write."""


class RefusedError(Exception):
    """One setting cannot be accepted."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


@functools.cache
def argument_types() -> Mapping[str, Any]:
    """Field of the installed TrainingArguments -> its type hint."""
    hints = typing.get_type_hints(TrainingArguments)
    return MappingProxyType({field.name: hints[field.name] for field in _fields() if field.init})


@functools.cache
def argument_defaults() -> Mapping[str, Any]:
    """Field of the installed TrainingArguments -> transformers' default."""
    made = {f.name: f.default_factory() for f in _fields() if f.default_factory is not dataclasses.MISSING}
    return MappingProxyType({f.name: made.get(f.name, f.default) for f in _fields()})


def argument_choices(name: str) -> list[str]:
    """The words that a field may hold; empty where it is not a choice between words."""
    parts = typing.get_args(argument_types()[name])
    members = [str(member.value) for part in parts if _is_enum(part) for member in part]
    return members + [str(choice) for choice in _field(name).metadata.get("choices", ())]


def checked_value(name: str, value: Any) -> Any:
    """The value in the field's own type, or RefusedError with what was expected."""
    hint = argument_types()[name]
    leaves = list(_leaves(hint))
    if value is not None and value is _field(name).metadata.get("const"):
        return value
    if isinstance(value, bool) and not any(leaf is bool or leaf is Any for leaf in leaves):
        raise RefusedError(f"is {shown(value)}; expected {_plain_type(leaves)}")
    choices = argument_choices(name)
    if isinstance(value, Enum):
        value = value.value
    if choices and value is not None and value not in choices:
        raise RefusedError(f"is {shown(value)}", nearest_choice(str(value), choices))
    try:
        return _adapter(name).validate_python(value)
    except ValidationError as error:
        wanted = " or ".join(dict.fromkeys(expectation(detail) for detail in error.errors()))
        raise RefusedError(f"is {shown(value)}; expected {wanted}") from None


@functools.cache
def _adapter(name: str) -> TypeAdapter[Any]:
    hint = argument_types()[name]
    limited: Any = Annotated[hint, LIMITS[name]] if name in LIMITS else hint
    return TypeAdapter(limited, config=ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False))


def _leaves(hint: Any) -> Iterator[Any]:
    parts = typing.get_args(hint) if typing.get_origin(hint) is not dict else ()
    if not parts:
        yield hint
    for part in parts:
        yield from _leaves(part)


def _is_enum(leaf: Any) -> bool:
    return isinstance(leaf, type) and issubclass(leaf, Enum)


def _plain_type(leaves: list[Any]) -> str:
    names = {int: "a whole number", float: "a number", str: "text", type(None): "null"}
    return " or ".join(sorted(name for kind, name in names.items() if kind in leaves)) or "another type"


def expectation(error: ErrorDetails) -> str:
    """What pydantic wanted, in the words of our messages.

    >>> expectation({"type": "int_parsing", "msg": "...", "loc": (), "input": "x"})
    'a whole number'
    """
    kind = error["type"]
    if kind == "finite_number":
        return "a finite number"
    plain = PLAIN_TYPES.get(kind.split("_")[0])
    if plain is not None and kind not in {"string_too_short", "string_too_long"}:
        return plain
    wanted = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"a value {wanted}" if wanted.startswith(("greater", "less")) else wanted


def shown(value: Any) -> str:
    """A value as it would stand in a recipe, cut to a readable length.

    >>> shown(True), shown("q_proj"), shown(0.5)
    ('true', "'q_proj'", '0.5')
    """
    word = {True: "true", False: "false", None: "null"}.get(value) if isinstance(value, bool | None) else None
    text = word or repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def nearest_choice(word: str, choices: Iterable[str]) -> str:
    """A hint that lists the choices beginning with the word, or else the closest one.

    >>> nearest_choice("adam", ["adamw_torch", "adamw_torch_fused", "adalomo"])
    'choose one of adamw_torch, adamw_torch_fused'
    """
    beginning = [choice for choice in choices if word and choice.startswith(word.lower())]
    return did_you_mean("", beginning) if beginning else did_you_mean(word, choices)


def _field(name: str) -> dataclasses.Field[Any]:
    return next(field for field in _fields() if field.name == name)


def _fields() -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(TrainingArguments)
