"""Whether the pretrained model at hand is the one that a run, or an adapter, began with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from balora.adapters import RESIDUAL_BASE
from balora.artefacts import read_record, write_json_atomically
from balora.artefacts.layout import BASE_MODEL
from balora.errors import ModelError, Problem
from balora.models import ModelSettings, differences, fingerprint_of
from balora.strict_json import read_json

FORMAT = 1


def described_base(settings: ModelSettings, commit: str | None = None) -> dict[str, Any]:
    """What is recorded of a base: its name, where it came from, and its fingerprint where its files are at hand."""
    found = fingerprint_of(settings)
    named = {"format": FORMAT, "name_or_path": settings.name_or_path, "revision": settings.revision, "commit": commit}
    return {**named, **({} if found is None else found.as_document())}


def recorded_base(folder: Path, home: Path) -> dict[str, Any] | None:
    """The base that an adapter belongs to by its own account; None where there is none, as in others' adapters.

    Args:
        folder: of the adapter.
        home: of its run, which may be the same.
    """
    found: Any = None
    try:
        found = read_json(folder / BASE_MODEL)
    except (OSError, ValueError):
        found = (read_record(home).get("model") or {}).get("base")
    return found if isinstance(found, dict) and found.get("weights_sha256") else None


def keep_base_of_its_own(folder: Path) -> None:
    """Let a finished run whose adapter belongs to a base of its own name that base beside the adapter."""
    own = folder / RESIDUAL_BASE
    if own.is_dir():
        write_json_atomically(
            folder / BASE_MODEL, {**described_base(ModelSettings(name_or_path=str(own))), "name_or_path": RESIDUAL_BASE}
        )


def changed_base(before: Mapping[str, Any] | None, settings: ModelSettings) -> list[Problem]:
    """How the base differs from the one that a run began with; nothing where that cannot be told."""
    said = how_it_differs(before, settings)
    return [Problem("model.name_or_path", f"'{settings.name_or_path}' is another base: {said}")] if said else []


def check_base(where: object, before: Mapping[str, Any] | None, settings: ModelSettings, *, named: bool) -> list[str]:
    """Compare a base with the one that an adapter was trained on.

    Args:
        where: the adapter, or the run.
        before: from `recorded_base`.
        settings: the base at hand.
        named: whether the user named this base on purpose, in place of the one that the adapter names.

    Returns:
        A warning where the base is another one and was named on purpose.

    Raises:
        ModelError: it is another one, and nobody asked for it.
    """
    said = how_it_differs(before, settings)
    if not said:
        return []
    assert before is not None, "there would be nothing to compare with"
    expected = f"was trained on '{before.get('name_or_path')}', and '{settings.name_or_path}' is another base"
    if named:
        return [f"'{where}' {expected} ({said}); it was named on purpose, so what follows is of that pair"]
    fix = "put that base back, or name where it is with --model; a base named so is taken even if it is another"
    raise ModelError.at(where, f"{expected} ({said})", fix)


def how_it_differs(before: Mapping[str, Any] | None, settings: ModelSettings) -> str:
    """In words; empty where it does not, or nobody knows."""
    if not before or not before.get("weights_sha256"):
        return ""
    now = fingerprint_of(settings)
    return "" if now is None else ", ".join(differences(before, now))
