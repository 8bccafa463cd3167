"""Exception -> exit code and one line per problem; the only place that knows both."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Any

import typer

from balora.errors import BaloraError, InputError, StoppedError, causes, is_full_disk, is_out_of_memory, system_error
from balora.main_memory import address_space_limit, came_to_its_limit, memory_in_words

OUR_BUG = 1
USAGE = 2
OUT_OF_RESOURCES = 4
HUNG_UP = 129
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""click's UsageError, or the copy of it inside newer versions of typer."""

_LESS_MEMORY = {
    "train": "lower training.per_device_train_batch_size and raise training.gradient_accumulation_steps, "
    "shorten data.max_length, or set training.gradient_checkpointing=true",
    "evaluate": "score fewer answers at once (batch_size=1), or shorter ones (max_new_tokens=...)",
    "audit": "look at fewer rows at once (batch_size=1), or at fewer in all (--max-rows)",
    "study": "lower training.per_device_train_batch_size in the study's recipe, or run fewer at once (-j)",
}
"""Command -> what it can be told to do with less memory."""
_MORE_SPACE = {
    "train": "free some space or set output.dir to another disk, then run the same command with --resume",
    "evaluate": "free some space or name a folder on another disk with --out, then run the same command again",
    "audit": "free some space or name a folder on another disk with --output, then run the same command again",
}
_ANY_SPACE = "free some space, then run the same command again"
_ANY_LESS = "end other programs, or raise the limit on this one"


@dataclass(frozen=True, slots=True)
class Failure:
    """How a command ends that did not succeed."""

    exit_code: int
    kind: str
    """Name of the exception."""
    lines: tuple[str, ...]
    """What is wrong, one line per problem, without the word error."""
    problems: tuple[dict[str, str], ...] = ()
    """The same in parts, where the parts are known."""

    def as_json(self) -> dict[str, Any]:
        """The document that `--json` prints instead of a result."""
        problems = self.problems or tuple({"what": line} for line in self.lines)
        return {"error": {"exit_code": self.exit_code, "kind": self.kind, "problems": list(problems)}}


def failure_of(error: BaseException, command: str = "train") -> Failure:
    """The way a command ends with this exception; what it advises, that command can be told."""
    kind = type(error).__name__
    stopped = stopped_run(error)
    if stopped is not None:
        return Failure(stopped.exit_code, type(stopped).__name__, (), ({"what": str(stopped)},))
    if isinstance(error, InputError):
        parts = tuple({"where": p.where, "what": p.what, "fix": p.fix} for p in error.problems)
        return Failure(error.exit_code, kind, tuple(str(problem) for problem in error.problems), parts)
    if isinstance(error, BaloraError):
        return Failure(error.exit_code, kind, (str(error) or kind,))
    if isinstance(error, USAGE_ERROR):
        return Failure(USAGE, "UsageError", (_usage(error),))
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return Failure(INTERRUPTED, "KeyboardInterrupt", ())
    if isinstance(error, BrokenPipeError):
        return Failure(BROKEN_PIPE, kind, ())
    for cause in causes(error):
        if is_full_disk(cause):
            line = f"the disk is full ({_first_line(cause)}); {_MORE_SPACE.get(command, _ANY_SPACE)}"
            return Failure(OUT_OF_RESOURCES, kind, (line,))
        if system_error(cause) == errno.EFBIG:
            line = f"a file may not become so large ({_first_line(cause)}); raise the limit on file sizes (ulimit -f)"
            return Failure(OUT_OF_RESOURCES, kind, (f"{line}, then run the same command again",))
        if is_out_of_memory(cause):
            return Failure(OUT_OF_RESOURCES, kind, (_out_of_memory(cause, command),))
    if isinstance(error, Exception) and came_to_its_limit(error):
        return Failure(OUT_OF_RESOURCES, kind, (_out_of_memory(error, command),))
    line = f"this is a bug in balora ({kind}: {_first_line(error)}); run again with --debug to see where, and report it"
    return Failure(OUR_BUG, kind, (line,))


def _out_of_memory(error: BaseException, command: str) -> str:
    advice = _LESS_MEMORY.get(command, _ANY_LESS)
    if address_space_limit() is not None and command in _LESS_MEMORY:
        advice = f"raise that limit, or {advice}"
    return f"out of memory ({_first_line(error)}); {memory_in_words()}; {advice}"


def stopped_run(error: BaseException) -> StoppedError | None:
    """The stop that lies behind an exception; the command line's library wraps it in one of its own."""
    return next((cause for cause in causes(error) if isinstance(cause, StoppedError)), None)


def _usage(error: Any) -> str:
    message = str(error.format_message()).rstrip(".")
    command = error.ctx.command_path if error.ctx is not None else "balora"
    if "No such option" in message and command.split()[-1] in {"train", "validate"}:
        message += "; settings are written section.key=value, for example adapter.r=16"
    return f"{message}; see '{command} --help'"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
