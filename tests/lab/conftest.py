"""A world small enough to build in milliseconds, and its tiny untrained model."""

from __future__ import annotations

import pytest

from balora.lab import CityTask, PretrainingSettings, TaskSettings, World, WorldSettings, build_task, build_world


@pytest.fixture(scope="session")
def world() -> World:
    return build_world(WorldSettings(people=60, jobs=6, cities=6))


@pytest.fixture(scope="session")
def task(world: World) -> CityTask:
    return build_task(world, TaskSettings(train_people=30, validation_people=10))


@pytest.fixture(scope="session")
def tiny() -> PretrainingSettings:
    return PretrainingSettings(layers=1, hidden_size=16, heads=2, intermediate_size=24, steps=6, batch_size=8)
