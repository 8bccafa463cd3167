"""The one tree of exceptions; each carries the exit code that the command line ends with.

BaloraError                 1  our own bug, unless a subclass says otherwise
├── InputError              2  the user's input is wrong: a list of problems, nothing was written
│   ├── RecipeError            a recipe or an override
│   ├── DataError              a data file, a column, a row
│   ├── ModelError             a model, a tokenizer, an adapter setting that does not fit them
│   └── OutputError            a run folder that exists or cannot be used
├── SelfCheckError          1  the start-up check: student, teacher and base disagree
├── DivergedError           3  a loss or a gradient is not finite
├── ResourceError           4  out of memory or disk
└── IncompleteError         5  finished, but not everything that was asked for

StoppedError, a KeyboardInterrupt, ends with 129, 130 or 143.
"""

from __future__ import annotations

import errno
import re
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it is, what was found, and what to do about it.

    >>> print(Problem("train.jsonl:3", "'output' is missing", "add it or set data.on_bad_row: drop"))
    train.jsonl:3: 'output' is missing; add it or set data.on_bad_row: drop
    """

    where: str
    """File, file:line, recipe key: whatever leads the user to the spot."""
    what: str
    """What was found, with the offending value, and what was expected."""
    fix: str = ""
    """What to change."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"; {self.fix}" if self.fix else "")


class BaloraError(Exception):
    """Base of every exception that balora raises on purpose."""

    exit_code: ClassVar[int] = 1


class InputError(BaloraError):
    """The user's input is wrong; `problems` lists everything found, one line each."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def at(cls, where: object, what: str, fix: str = "") -> Self:
        """The error for a single problem."""
        return cls([Problem(str(where), what, fix)])


class RecipeError(InputError):
    """A recipe, or an override of one of its keys, is wrong."""


class DataError(InputError):
    """A data file, a column or a row is wrong."""


class ModelError(InputError):
    """A model or tokenizer cannot be loaded, or a setting does not fit it."""


class OutputError(InputError):
    """The run folder is in use, already exists, or cannot be written."""


class Findings:
    """What several steps find wrong, reported together instead of one at a time.

    >>> findings = Findings()
    >>> for name in "ab":
    ...     with findings.gathered():
    ...         raise DataError.at(name, "no such file", "check the name")
    >>> findings.settle()
    Traceback (most recent call last):
    ...
    balora.errors.DataError: a: no such file; check the name
    b: no such file; check the name
    """

    def __init__(self) -> None:
        self._errors: list[InputError] = []

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Keep an `InputError` of the block for `settle`; the block ends there."""
        try:
            yield
        except InputError as error:
            self._errors.append(error)

    def settle(self) -> None:
        """Raise what was gathered, each problem once.

        Raises:
            InputError: of the kind that all have in common; a single one as it was.
        """
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            kinds = {type(error) for error in self._errors}
            kind = kinds.pop() if len(kinds) == 1 else InputError
            raise kind(dict.fromkeys(problem for error in self._errors for problem in error.problems))


class SelfCheckError(BaloraError):
    """Student, teacher and pretrained model disagree before the first step."""


class DivergedError(BaloraError):
    """A loss, a term or a gradient stopped being finite."""

    exit_code = 3


class ResourceError(BaloraError):
    """The machine ran out of memory or disk."""

    exit_code = 4


class IncompleteError(BaloraError):
    """The work ended, but part of it is missing."""

    exit_code = 5


class StoppedError(KeyboardInterrupt):
    """The user or the system asked a run to stop, by Ctrl-C, SIGTERM or SIGHUP; the message says how it can go on."""

    def __init__(self, number: signal.Signals, advice: str = "") -> None:
        self.number = number
        super().__init__(advice or number.name)

    @property
    def exit_code(self) -> int:
        """What shells expect of a process that this signal ended."""
        return 128 + self.number


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the closest known word, or lists the known words when none is close.

    >>> did_you_mean("lerning_rate", ["learning_rate", "seed"])
    "did you mean 'learning_rate'?"
    >>> did_you_mean("zzz", ["learning_rate", "seed"])
    'choose one of learning_rate, seed'
    """
    names = sorted(set(known))
    close = get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"choose one of {shown}"


_NUMBER_OF_THE_SYSTEM = re.compile(r"\(os error (\d+)\)")
_FULL_DISK_WORDS = {"No space left on device": errno.ENOSPC, "Disk quota exceeded": errno.EDQUOT}
_MEMORY_WORDS = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "out of memory",
    "could not create a primitive",  # oneDNN
    "can't start new thread",
    "std::bad_alloc",
)


def causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and those it was raised from or during."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, the system or torch could not give the memory that was asked for.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError("out of memory"))
    (True, False)
    """
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    # Libraries written in Rust raise exceptions of their own with the system's number.
    if not isinstance(error, BaloraError) and f"(os error {errno.ENOMEM})" in str(error):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _MEMORY_WORDS)


def system_error(error: BaseException) -> int | None:
    """The number of the system's error that an exception is, also where a library has made text of it.

    >>> system_error(OSError(5, "Input/output error")), system_error(RuntimeError("I/O error: ... (os error 28)"))
    (5, 28)
    """
    for words, number in _FULL_DISK_WORDS.items():
        if words in str(error):
            return number
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _NUMBER_OF_THE_SYSTEM.search(str(error))
    return int(found[1]) if found else None


def is_full_disk(error: BaseException) -> bool:
    """Whether a disk, or the share of it that the user may fill, has no more room.

    >>> is_full_disk(OSError(28, "No space left on device")), is_full_disk(OSError(30, "Read-only file system"))
    (True, False)
    """
    return system_error(error) in _FULL_DISK_WORDS.values()
