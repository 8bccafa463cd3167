"""The tests' side: runs the tests where the program cannot reach them, on stand-ins for what the program defines."""

from __future__ import annotations

import builtins
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

from balora.evaluation.sandbox.inside.wire import FrameTooLongError, decode, encode, receive, send

_UNTAKEN = (SystemExit, KeyboardInterrupt, GeneratorExit)


class GoneError(BaseException):
    """The candidate's process ended, or its messages make no sense; no test can catch this by accident."""


class Line:
    """The pipe pair to the candidate's process."""

    def __init__(self, requests: int, replies: int) -> None:
        self.requests, self.replies, self.number = requests, replies, 0
        self.failure: BaseException | None = None
        """The last exception that the program raised."""

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            GoneError: when there is none.
            Exception: of the type that the program raised.
        """
        self.number += 1
        try:
            send(self.requests, message | {"number": self.number})
            answer = receive(self.replies)
        except (OSError, ValueError, RecursionError, FrameTooLongError) as error:
            raise GoneError(f"the program's answer cannot be read ({type(error).__name__})") from None
        if answer is None:
            raise GoneError("the program ended before its tests did")
        if answer.get("number") != self.number:
            raise GoneError("the program sent an answer that nobody asked for")
        if "error" in answer:
            self._raise(str(answer["error"]), str(answer.get("text", "")))
        return answer

    def _raise(self, name: str, text: str) -> NoReturn:
        kind = getattr(builtins, name, None)
        if not (isinstance(kind, type) and issubclass(kind, BaseException)) or issubclass(kind, _UNTAKEN):
            raise GoneError(f"the program raised {name[:80]}")
        try:
            self.failure = kind(text)
        except TypeError:
            self.failure = Exception(f"{name}: {text}")
        raise self.failure

    def value(self, answer: Any) -> Any:
        """The plain value of an answer, with stand-ins for what stayed there."""
        try:
            return decode(answer, lambda number: StandIn(self, number))
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
            raise GoneError("the program's answer cannot be read") from None


def _refer(value: Any) -> dict[str, int]:
    if isinstance(value, StandIn):
        return {"reference": object.__getattribute__(value, "_number")}
    raise TypeError(f"the tests pass a {type(value).__name__}, which cannot cross to the program")


class StandIn:
    """An object that stayed in the candidate's process. It equals nothing but itself."""

    __slots__ = ("_line", "_number")

    def __init__(self, line: Line, number: int) -> None:
        object.__setattr__(self, "_line", line)
        object.__setattr__(self, "_number", number)

    def _do(self, what: str, *arguments: Any) -> Any:
        line: Line = object.__getattribute__(self, "_line")
        body = {"do": what, "target": object.__getattribute__(self, "_number")}
        return line.value(line.ask(body | {"arguments": encode(list(arguments), _refer)})["value"])

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the object there; what it does to lists, dicts and sets among the arguments is done here as well."""
        line: Line = object.__getattribute__(self, "_line")
        body = {"do": "call", "target": object.__getattribute__(self, "_number"), "named": encode(named, _refer)}
        answer = line.ask(body | {"arguments": encode(list(arguments), _refer)})
        for position, changed in dict(answer["changed"]).items():
            _replace(arguments[int(position)], line.value(changed))
        return line.value(answer["value"])

    def __getattr__(self, name: str) -> Any:
        return self._do("get", name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._do("set", name, value)

    def __iter__(self) -> Iterator[Any]:
        iterator = self._do("iterate")
        while True:
            try:
                (value,) = iterator._do("next") if isinstance(iterator, StandIn) else [next(iterator)]
            except StopIteration:
                return
            yield value

    def __next__(self) -> Any:
        return self._do("next")[0]

    def __len__(self) -> int:
        return int(self._do("length"))

    def __bool__(self) -> bool:
        return self._do("truth") is True

    def __getitem__(self, key: Any) -> Any:
        return self._do("item", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._do("put", key, value)

    def __contains__(self, value: Any) -> bool:
        return self._do("contains", value) is True

    def __str__(self) -> str:
        return str(self._do("text"))


def _replace(argument: Any, changed: Any) -> None:
    """Make a mutable argument what the program made of its copy."""
    if isinstance(argument, list | bytearray):
        argument[:] = changed
    elif isinstance(argument, dict | set):
        argument.clear()
        argument.update(changed)


def judge(requests: int, replies: int, tests: str, helpers: str, names: list[str]) -> dict[str, str]:
    """Run the tests; the outcome as `outcome` and `detail`.

    `helpers` is trusted code that the tests may call; `names` are taken from the program.
    """
    line = Line(requests, replies)
    space: dict[str, Any] = {"__name__": "tests", "__builtins__": builtins}
    try:
        exec(compile(helpers, "<helpers>", "exec"), space)
        checks = compile(tests, "<tests>", "exec")
    except Exception as error:
        return {"outcome": "error", "detail": f"the tests themselves cannot start: {_shown(error)}"}
    try:
        answer = line.ask({"do": "load", "names": names})
        space |= {name: line.value(value) for name, value in dict(answer["names"]).items() if name in names}
        exec(checks, space)
    except GoneError as error:
        return {"outcome": "gone", "detail": str(error)}
    except MemoryError:
        return {"outcome": "memory", "detail": "out of memory"}
    except AssertionError as error:
        by_program = error is line.failure
        return {"outcome": "error" if by_program else "failed", "detail": _shown(error)}
    except BaseException as error:
        return {"outcome": "error", "detail": _shown(error)}
    return {"outcome": "passed", "detail": ""}


def _shown(error: BaseException) -> str:
    """The exception in one line, with the line of the tests that met it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<tests>"]
    place = f" (line {lines[-1]} of the tests)" if lines else ""
    return f"{type(error).__name__}: {error}"[:500] + place
