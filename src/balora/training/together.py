"""Several processes do one thing: all go on, or all stop and say why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist

from balora.errors import DivergedError, ResourceError


def process_count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_first_process() -> bool:
    """Whether this process is the one that writes; before the processes have met, the launcher's word counts."""
    if process_count() > 1:
        return dist.get_rank() == 0
    try:
        return int(os.environ.get("WORLD_SIZE", "1")) <= 1 or int(os.environ.get("RANK", "0")) == 0
    except ValueError:
        return True


def from_first_process(value: Any) -> Any:
    """What the first process passed in, on every process."""
    if process_count() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def from_every_process(value: Any) -> list[Any]:
    """What each process passed in, in their order, on every process."""
    if process_count() == 1:
        return [value]
    found: list[Any] = [None] * process_count()
    dist.all_gather_object(found, value)
    return found


def largest_of_all(value: int, device: torch.device) -> int:
    """The largest of what the processes passed in, on every process; one number sent, and no objects."""
    if process_count() == 1:
        return value
    largest = torch.tensor(value, device=device)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return int(largest)


@contextmanager
def all_or_none(what: str) -> Iterator[None]:
    """What fails in this block on one process ends it on all of them, so that none waits for another forever.

    Raises:
        ResourceError: another process could not do its part; DivergedError where that is why.
    """
    failure: BaseException | None = None
    try:
        yield
    except BaseException as error:
        failure = error
    if process_count() == 1:
        if failure is not None:
            raise failure
        return
    if failure is not None and not isinstance(failure, Exception):
        raise failure  # a second Ctrl-C does not wait for anybody
    reports = from_every_process(None if failure is None else (type(failure), str(failure)))
    if failure is not None:
        raise failure
    for process, report in enumerate(reports):
        if report is not None:
            kind, text = report
            known = DivergedError if issubclass(kind, DivergedError) else ResourceError
            raise known(f"{what} failed on process {process}: {text}")
