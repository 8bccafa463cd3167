"""The candidate's side: runs the program, then answers calls with plain data until nobody asks any more."""

from __future__ import annotations

import os
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any

from balora.evaluation.sandbox.inside.wire import FrameTooLongError, decode, encode, receive, send

_MUTABLE = (list, dict, set, bytearray)


class Served:
    """The objects of the program that the tests can name: its globals, and results that are not plain data."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.module = types.ModuleType("candidate")
        self.objects: list[Any] = []

    def keep(self, value: Any) -> dict[str, int]:
        """Remember a value that stays here, and give its number."""
        self.objects.append(value)
        return {"reference": len(self.objects) - 1}

    def load(self, names: list[str]) -> dict[str, Any]:
        """Run the program; the named globals that it defined."""
        for name in [name for name in sys.modules if name.split(".")[0] == "balora"]:
            del sys.modules[name]
        sys.modules["candidate"] = self.module
        exec(compile(self.program, "<candidate>", "exec"), self.module.__dict__)
        return {name: encode(vars(self.module)[name], self.keep) for name in names if name in vars(self.module)}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request carried out."""
        if request["do"] == "load":
            return {"names": self.load(request["names"])}
        target = self.objects[request["target"]]
        arguments = decode(request["arguments"], self.objects.__getitem__)
        if request["do"] != "call":
            return {"value": encode(_OPERATIONS[request["do"]](target, *arguments), self.keep)}
        named = decode(request["named"], self.objects.__getitem__)
        value = encode(target(*arguments, **named), self.keep)
        changed = {
            str(position): encode(argument, self.keep)
            for position, argument in enumerate(arguments)
            if isinstance(argument, _MUTABLE) and encode(argument, self.keep) != request["arguments"][position]
        }
        return {"value": value, "changed": changed}


def _next(iterator: Any) -> Any:
    return [next(iterator)]


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "get": getattr,
    "set": setattr,
    "iterate": iter,
    "next": _next,
    "length": len,
    "truth": bool,
    "item": lambda target, key: target[key],
    "put": lambda target, key, value: target.__setitem__(key, value),
    "contains": lambda target, value: value in target,
    "text": str,
}
"""What the tests may do with an object of the program; comparing is not among it."""


def serve(requests: int, replies: int, program: str) -> None:
    """Answer until the tests' side is gone, then end at once, without exit handlers."""
    served = Served(program)
    while (request := receive(requests)) is not None:
        try:
            answer = served.answer(request)
        except FrameTooLongError:
            answer = {"error": "OverflowError", "text": "the result is too large"}
        except BaseException as error:
            answer = {"error": _named(error), "text": str(error)[:2000]}
            if not isinstance(error, StopIteration):
                traceback.print_exc()
        # Once the tests have their last answer this process may be ended at any moment.
        _show_what_was_printed()
        try:
            send(replies, answer | {"number": request["number"]})
        except FrameTooLongError:
            text = "the result is too large"
            send(replies, {"error": "OverflowError", "text": text, "number": request["number"]})
    os._exit(0)


def _show_what_was_printed() -> None:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:
        # The program may have put anything in their place.
        return


def _named(error: BaseException) -> str:
    """The closest exception type of the language itself."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")
