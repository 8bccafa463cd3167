"""One grade: asked for, read strictly, kept on disk, or missing with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from balora.artefacts import disk_in_words, write_text_atomically
from balora.errors import OutputError


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the judge said about one turn of one answer."""

    number: int
    """The question's."""
    category: str
    turn: int
    grade: float | None
    """From 1 to 10; None where none could be had. It is never counted as 0."""
    reply: str
    """The judge's words; of the last attempt where no grade could be had."""
    reason: str = ""
    """Why the grade is missing."""
    from_cache: bool = False
    prompt_tokens: int = 0
    """As the endpoint counted them, for the reply that was kept; 0 where it does not say."""
    reply_tokens: int = 0


def write_judgements(judgements: Iterable[Judgement], path: Path) -> None:
    """Every judgement as a row of JSON.

    Raises:
        OutputError: when the file exists.
    """
    if path.exists():
        raise OutputError.at(path, "already exists", "choose another name")
    with disk_in_words(path.parent, "the judgements", elsewhere="--out"):
        write_text_atomically(path, "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in judgements))
