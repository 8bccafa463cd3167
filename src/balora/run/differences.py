"""What is no longer as it was when a run began: settings, data and processes, each with both values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from balora.errors import Problem
from balora.redaction import names_credential, redacted
from balora.training.argument_fields import shown

LONGEST = 60
"""Characters of a value that are shown."""
_LEAD = 16
_HASH_DIGITS = 12
_ABSENT = object()
_FIXED_SECTIONS = ("task", "model", "adapter", "processes")
_FIXED = ("data.labels", "data.label_words", "training.optim", "training.lr_scheduler_type", "training.fsdp")
"""What weights, optimizer and schedule of a checkpoint depend on."""
_SAME_FILE = "their source is as it was, so settings, tokenizer or chat template make other ids of it"
_ITS_PLACE = ("output", "dir")
"""The folder that is resumed holds the recipe it is compared with, wherever it was moved to."""


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Problem]:
    """Every key of a recipe that has another value than it had, in the recipe's order.

    Args:
        before: the recipe that a run began with, as `Recipe.model_dump(mode="json")`.
        now: the recipe that it is to go on with.

    >>> print(*changed_settings({"adapter": {"r": 8}}, {"adapter": {"r": 16}}))
    adapter.r: 8 in the checkpoint, 16 now
    """
    one, other = dict(_leaves(before)), dict(_leaves(now))
    order = [*other, *(path for path in one if path not in other)]
    order.sort(key=lambda path: list(now).index(path[0]) if path[0] in now else len(now))
    pairs = [(path, one.get(path, _ABSENT), other.get(path, _ABSENT)) for path in order if path != _ITS_PLACE]
    return [Problem(".".join(path), then_and_now(a, b, name=path[-1])) for path, a, b in pairs if a != b]


def changed_data(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Problem]:
    """Every split, list of classes or sample that is another one than it was: which file, and how it differs.

    The training split is compared as the model sees it, the others by the bytes they came from.

    Args:
        before: the section `data` of a run's record.
        now: what that section would say now.
    """
    problems = []
    if before.get("fingerprint", now["fingerprint"]) != now["fingerprint"]:
        one, other = before.get("train") or {}, now.get("train") or {}
        found = _SAME_FILE if _same_source(one, other) else _of_source(one, other)
        tokens = then_and_now(_short(before["fingerprint"]), _short(now["fingerprint"]), plain=True)
        problems.append(Problem("data.train", f"the training examples changed: {found}, SHA-256 of their ids {tokens}"))
    for split in ("validation", "test"):
        one, other = before.get(split) or {}, now.get(split) or {}
        if not _same_source(one, other):
            problems.append(Problem(f"data.{split}", f"the {split} examples changed: {_of_source(one, other)}"))
    if before.get("label_names", now["label_names"]) != now["label_names"]:
        said = then_and_now(before["label_names"], now["label_names"])
        problems.append(Problem("data.labels", f"the class names changed: {said}"))
    if before.get("calibration") != now.get("calibration"):
        one, other = before.get("calibration") or {}, now.get("calibration") or {}
        parts = [f"{key} {then_and_now(one.get(key), other.get(key))}" for key in other if one.get(key) != other[key]]
        problems.append(Problem("adapter.calibration", f"the calibration sample changed: {', '.join(parts)}"))
    return problems


def changed_processes(before: int, now: int) -> list[Problem]:
    """Another number of processes draws other batches."""
    if before == now:
        return []
    return [Problem("processes", f"{then_and_now(before, now)}; start {before} of them")]


def may_change(difference: Problem) -> bool:
    """Whether a run can go on in spite of a difference: where its weights and its optimizer still fit.

    >>> [may_change(Problem(key, "")) for key in ("training.learning_rate", "adapter.r", "data.labels")]
    [True, False, False]
    """
    section = difference.where.split(".")[0]
    return section not in _FIXED_SECTIONS and not difference.where.startswith(_FIXED)


def refusal(folder: Path, recipe: Path, differences: list[Problem], *, offer: bool = False) -> list[Problem]:
    """The differences behind a line that says what they mean and what to do; `offer`: whether it can go on anyway."""
    what = f"{len(differences)} of the things that make the run in '{folder}' changed since it began"
    if len(differences) == 1:
        what = f"one of the things that make the run in '{folder}' changed since it began"
    anyway = " go on all the same with --resume-anyway, which records them," if offer else ""
    back = f"put back what the lines below name ({recipe} holds its settings)"
    fix = f"{back},{anyway} or start a new run in another folder"
    return [Problem("--resume", what, fix), *differences]


def then_and_now(before: object, now: object, *, name: str = "", plain: bool = False) -> str:
    """Both values of one thing, secrets hidden, long ones cut to where they begin to differ.

    Args:
        before: the value in the checkpoint.
        now: the value at hand.
        name: of the setting, which may tell that its value is a secret.
        plain: whether both are words already.
    """
    if names_credential(name):
        one = other = "<secret>"
    elif plain:
        one, other = str(before), str(now)
    else:
        one, other = (redacted(_written(value)) for value in (before, now))
    start = next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    return f"{_window(one, start)} in the checkpoint, {_window(other, start)} now"


def _written(value: object) -> str:
    """As in a recipe; in full, which `shown` does for short values only."""
    if value is _ABSENT:
        return "not set"
    return shown(value) if isinstance(value, bool | None) else repr(value)


def _window(text: str, start: int) -> str:
    """The part of a long text that the first difference is in."""
    if len(text) <= LONGEST:
        return text
    start = max(min(start - _LEAD, len(text) - LONGEST), 0)
    before, after = "..." if start else "", "..." if start + LONGEST < len(text) else ""
    return f"{before}{text[start : start + LONGEST]}{after}"


def _leaves(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every setting with the names that lead to it; a list, and an empty mapping, is one setting."""
    for key, part in value.items():
        if isinstance(part, Mapping) and part:
            yield from _leaves(part, (*path, str(key)))
        else:
            yield (*path, str(key)), part


def _same_source(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(key) == other.get(key) for key in ("sha256", "rows", "revision"))


def _of_source(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """How the source of a split differs."""
    if not one or not other:
        return then_and_now(one.get("where", _ABSENT), other.get("where", _ABSENT))
    parts = []
    if one["where"] != other["where"]:
        parts.append(then_and_now(one["where"], other["where"]))
    else:
        parts.append(f"'{other['where']}'")
    if one.get("rows") != other.get("rows"):
        parts.append(f"rows {then_and_now(one.get('rows'), other.get('rows'))}")
    if one.get("revision") != other.get("revision"):
        parts.append(f"revision {then_and_now(one.get('revision'), other.get('revision'))}")
    if one.get("sha256") != other.get("sha256"):
        hashes = then_and_now(_short(one.get("sha256")), _short(other.get("sha256")), plain=True)
        parts.append(f"SHA-256 of the file {hashes}")
    return ", ".join(parts)


def _short(digest: object) -> str:
    return str(digest)[:_HASH_DIGITS]
