"""The base of every settings class: frozen, strict about unknown keys, documented field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of."""
    parts = get_args(annotation)
    yield from (kind for part in parts for kind in _kinds(part)) if parts else (annotation,)


class Settings(BaseModel):
    """Frozen settings that live beside the code that reads them; a recipe composes them.

    An unknown key is an error. The docstring under a field is its help text and its JSON schema description.
    `aliases` holds the names that users of other libraries bring along.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        protected_namespaces=(),
        allow_inf_nan=False,
    )

    aliases: ClassVar[Mapping[str, str]] = {}
    """Other name -> field name."""

    @classmethod
    def all_aliases(cls) -> dict[str, str]:
        """The aliases of this class and of every settings class it is composed of."""
        found: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            found |= base.__dict__.get("aliases", {})
        return found

    @classmethod
    def with_field_names(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """The same mapping under the fields' own names.

        Raises:
            ValueError: when a setting is given twice, under its name and under an alias.
        """
        aliases = cls.all_aliases()
        renamed: dict[str, Any] = {}
        for key, value in data.items():
            name = aliases.get(key, key)
            if name in renamed:
                raise ValueError(f"'{key}' and another key both set '{name}'; keep one of them")
            renamed[name] = value
        return renamed

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_truth_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """`r: true` is no 1."""
        if isinstance(value, bool) and info.field_name in cls.model_fields:
            kinds = set(_kinds(cls.model_fields[info.field_name].annotation))
            if kinds & {int, float} and not kinds & {bool, str, object, Any}:
                raise PydanticKnownError("int_type" if int in kinds else "float_type")
        return value

    @model_validator(mode="before")
    @classmethod
    def _accept_aliases(cls, data: Any) -> Any:
        return cls.with_field_names(data) if isinstance(data, Mapping) else data
