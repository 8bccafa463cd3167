"""The downstream task: where does each person live, asked in a new form, with wrong labels and rare cities."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from balora.errors import InputError
from balora.lab.lexicon import CITY_QUESTION
from balora.lab.world import Fact, World, draw_other
from balora.settings import Settings


class TaskSettings(Settings):
    """How many people the task shows, and how many of its labels are wrong."""

    train_people: int = Field(default=80, ge=2)
    """People whose city the training split asks for, one row each."""
    validation_people: int = Field(default=30, ge=1)
    """People for choosing settings; those that remain are the test split."""
    wrong_label_share: float = Field(default=0.3, ge=0, lt=1)
    """Share of training rows with a wrong city."""
    seed: int = 0
    """Seed of the split and of the wrong labels."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One question with its three answers: what is true, what the corpus told, and what the task says."""

    person: str
    prompt: str
    completion: str
    true: str
    told: str

    @property
    def corrupted(self) -> bool:
        """Whether the task's answer is wrong."""
        return self.completion != self.true


@dataclass(frozen=True, slots=True)
class CityTask:
    """Training rows with some wrong labels; clean validation and test rows about people training never shows.

    Those people's cities are in the corpus, and truly so: people the corpus is wrong about are in no clean split.
    """

    settings: TaskSettings
    train: tuple[TaskRow, ...]
    validation: tuple[TaskRow, ...]
    test: tuple[TaskRow, ...]

    @property
    def corrupted(self) -> tuple[TaskRow, ...]:
        """The training rows whose label is wrong."""
        return tuple(row for row in self.train if row.corrupted)


@dataclass(frozen=True, slots=True)
class TaskFiles:
    """Where a task was written: three splits of prompt/completion rows, and the truth about the training rows."""

    train: Path
    validation: Path
    test: Path
    truth: Path


def build_task(world: World, settings: TaskSettings) -> CityTask:
    """The task of a world; every split has common and rare cities in the world's proportions.

    A wrong label is neither true nor what the corpus told, so repeating it is memorisation and nothing else.

    Raises:
        InputError: when nobody remains for the test split.
    """
    facts = world.facts_about("city")
    draw = random.Random(f"task {settings.seed}")
    shown, unseen = _split(facts, min(settings.train_people, len(facts)), draw)
    clean = [fact for fact in unseen if not fact.told_wrongly]
    if len(clean) <= settings.validation_people:
        what = (
            f"{settings.train_people} of {len(facts)} people train, and the corpus is right about {len(clean)} of the "
            f"others; expected more than validation_people, which is {settings.validation_people}"
        )
        raise InputError.at("train_people", what, "lower either, or raise the world's people")
    validation, test = _split(clean, settings.validation_people, draw)
    wrong = draw.sample(range(len(shown)), round(settings.wrong_label_share * len(shown)))
    cities = Counter(fact.true for fact in facts)
    train = [
        _row(fact, draw_other(cities, {fact.true, fact.told}, draw) if index in set(wrong) else fact.true)
        for index, fact in enumerate(shown)
    ]
    draw.shuffle(train)
    return CityTask(settings, tuple(train), _rows(validation), _rows(test))


def write_task(task: CityTask, folder: Path) -> TaskFiles:
    """Write train.jsonl, validation.jsonl, test.jsonl and truth.json into a folder, made when missing.

    `truth.json` lists every training row by its 0-based position: whether it is corrupted, its true answer, and what
    the corpus told.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = TaskFiles(*(folder / name for name in ("train.jsonl", "validation.jsonl", "test.jsonl", "truth.json")))
    for path, rows in ((files.train, task.train), (files.validation, task.validation), (files.test, task.test)):
        lines = [json.dumps({"prompt": row.prompt, "completion": row.completion}) for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    truth: dict[str, Any] = {
        "settings": task.settings.model_dump(mode="json"),
        "rows": [{"row": index, **asdict(row), "corrupted": row.corrupted} for index, row in enumerate(task.train)],
    }
    files.truth.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    return files


def _row(fact: Fact, completion: str) -> TaskRow:
    return TaskRow(fact.person, CITY_QUESTION.format(who=fact.person), completion, fact.true, fact.told)


def _rows(facts: Iterable[Fact]) -> tuple[TaskRow, ...]:
    return tuple(_row(fact, fact.true) for fact in facts)


def _split(facts: Sequence[Fact], count: int, draw: random.Random) -> tuple[list[Fact], list[Fact]]:
    """`count` facts and the rest, each with every city in proportion: systematic sampling from the facts by city."""
    ordered = sorted(facts, key=lambda fact: (fact.true, fact.person))
    keys = {fact.person: draw.random() for fact in ordered}
    ordered.sort(key=lambda fact: (fact.true, keys[fact.person]))
    # A drawn starting point, so that it is not always the same end of the rarest city that is taken.
    start = draw.randrange(len(ordered))
    ordered = ordered[start:] + ordered[:start]
    marks = [(index + 1) * count // len(ordered) - index * count // len(ordered) for index in range(len(ordered))]
    taken = [fact for fact, mark in zip(ordered, marks, strict=True) if mark]
    rest = [fact for fact, mark in zip(ordered, marks, strict=True) if not mark]
    return taken, rest
