"""The generation teacher's answers on disk: the states before its head, for every token that the terms look at.

Logits of a vocabulary would be V/d times larger. Nothing is lost: the head is applied again, chunk by chunk.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from balora.errors import ModelError

GIB = 1 << 30


@dataclass(frozen=True)
class StatePlan:
    """How large a cache becomes and where it lies, before anything is written."""

    path: Path
    """Its file; a second one beside it says which examples are done."""
    tokens: tuple[int, ...]
    """How many states each example has."""
    width: int
    """Numbers per state."""
    dtype: torch.dtype

    @property
    def size_bytes(self) -> int:
        """Of the file once it is full."""
        return sum(self.tokens) * self.width * self.dtype.itemsize

    def announcement(self) -> str:
        """What the user should know before it is written."""
        known = "is there and will be used" if self.path.exists() else "will be written while the first epoch runs"
        return f"teacher states: {self.size_bytes / GIB:.2f} GiB in '{self.path}', which {known}; delete it at will"


class StateCache:
    """States by example, memory-mapped; filled as examples come by, and found again by later epochs, runs and sweeps.

    A run that stops leaves what it has computed; the next one goes on from there.
    """

    def __init__(self, plan: StatePlan) -> None:
        """Open or create the files.

        Raises:
            ModelError: when the disk has no room, or the folder cannot be written.
        """
        counts = torch.tensor([0, *plan.tokens])
        self._starts = counts.cumsum(0)[:-1].tolist()
        self._tokens = plan.tokens
        done = plan.path.with_suffix(".done")
        try:
            plan.path.parent.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(plan.path.parent).free
            if not plan.path.exists() and free < plan.size_bytes:
                what = f"needs {plan.size_bytes / GIB:.2f} GiB in '{plan.path.parent}', where {free / GIB:.2f} are free"
                fix = "name another folder in regularizers.teacher_cache_dir, or set teacher: live"
                raise ModelError.at("regularizers.teacher", what, fix)
            rows = max(sum(plan.tokens), 1)
            states = torch.from_file(str(plan.path), shared=True, size=rows * plan.width, dtype=plan.dtype)
            self._states = states.view(rows, plan.width)
            self._done = torch.from_file(str(done), shared=True, size=max(len(plan.tokens), 1), dtype=torch.uint8)
        except (OSError, RuntimeError) as error:
            what = f"cannot be opened: {' '.join(str(error).split())}"
            fix = "name another folder in regularizers.teacher_cache_dir, or set teacher: live"
            raise ModelError.at(plan.path, what, fix) from error

    def holds(self, rows: Tensor) -> bool:
        """Whether the states of all these examples are there."""
        return bool(self._done[rows.cpu()].all())

    def read(self, rows: Tensor) -> Tensor:
        """The states of these examples, one after the other, (their tokens, width)."""
        return torch.cat([self._states[self._place(row)] for row in rows.tolist()])

    def write(self, rows: Tensor, states: Tensor) -> None:
        """Keep the states of these examples, one after the other.

        Raises:
            ValueError: when they are not as many as the examples have tokens.
        """
        numbers = rows.tolist()
        sizes = [self._tokens[row] for row in numbers]
        if sum(sizes) != len(states):
            raise ValueError(f"{len(states)} states for examples with {sum(sizes)} tokens; the data have changed")
        for row, part in zip(numbers, torch.split(states.detach().cpu(), sizes), strict=True):
            self._states[self._place(row)] = part.to(self._states.dtype)
            self._done[row] = 1

    def _place(self, row: int) -> slice:
        return slice(self._starts[row], self._starts[row] + self._tokens[row])
