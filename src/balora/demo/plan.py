"""What the demonstration compares: three methods, on a world of two sizes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from balora.lab import PretrainingSettings, TaskSettings, WorldSettings


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the comparison."""

    name: str
    adapter: str
    """`adapter.method` of the recipe."""
    regularizers: str | dict[str, Any]
    """`regularizers` of the recipe: the word `none` or `paper`, or settings."""


METHODS = (Method("LoRA", "lora", "none"), Method("PiSSA", "pissa", "none"), Method("BA-LoRA", "pissa", "paper"))


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What a demonstration does; every method gets every learning rate and every seed."""

    world: WorldSettings
    pretraining: PretrainingSettings
    task: TaskSettings
    """Its seed is replaced by each of the seeds."""
    learning_rates: tuple[float, ...]
    seeds: tuple[int, ...]
    """Each draws its own split of the people, wrong labels, first weights and order of the rows."""
    epochs: int = 12
    batch_size: int = 16
    rank: int = 8

    def as_dict(self) -> dict[str, Any]:
        """Every setting, ready for JSON."""
        settings = {name: getattr(self, name).model_dump(mode="json") for name in ("world", "pretraining", "task")}
        return {**asdict(self), **settings, "methods": [asdict(method) for method in METHODS]}


def full_plan(seeds: int) -> DemoPlan:
    """The default world of 160 people; minutes on two cores."""
    return DemoPlan(
        world=WorldSettings(),
        pretraining=PretrainingSettings(),
        task=TaskSettings(),
        learning_rates=(5e-4, 1e-3, 2e-3),
        seeds=tuple(range(seeds)),
    )


def quick_plan() -> DemoPlan:
    """A world of 48 people, one seed, one learning rate; half a minute."""
    return DemoPlan(
        world=WorldSettings(people=48, jobs=6, cities=6),
        pretraining=PretrainingSettings(layers=2, hidden_size=64, intermediate_size=172, steps=500, learning_rate=2e-3),
        task=TaskSettings(train_people=24, validation_people=8),
        learning_rates=(1e-3,),
        seeds=(0,),
    )
