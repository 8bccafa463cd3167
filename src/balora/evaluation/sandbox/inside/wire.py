"""Plain data as JSON frames: the only thing that crosses between the candidate's process and the tests' process."""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

LONGEST_FRAME_BYTES = 16 * 1024 * 1024
"""A longer message ends the run."""

_EXACT_IN_JSON = 2**53

_SEQUENCES: dict[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": deque,
}
_MAPPINGS: dict[str, Callable[[list[Any]], Any]] = {"dict": dict, "ordered": OrderedDict, "counter": dict}
_DATES: dict[str, type] = {"datetime": datetime.datetime, "date": datetime.date, "time": datetime.time}
_TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        bytearray,
        list,
        tuple,
        set,
        frozenset,
        dict,
        object,
        type(None),
    )
}


class FrameTooLongError(Exception):
    """A message is longer than `LONGEST_FRAME_BYTES`."""


class NotPlainError(TypeError):
    """A value is neither plain data nor something that can stay on its side behind a number."""


def encode(value: Any, keep: Callable[[Any], Any] | None = None) -> Any:
    """The value as JSON with tags; `keep` turns what is not plain data into a tagged reference.

    Subclasses of plain types cross as the base type's data, so that no operator of theirs does.

    Raises:
        NotPlainError: when there is no `keep` for a value that is not plain data.

    >>> encode((1, {2.5: {3}}))
    {'tuple': [1, {'dict': [[2.5, {'set': [3]}]]}]}
    """
    if value is None or value is True or value is False:
        return value
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value, keep)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return encode(value.item(), keep)
    if isinstance(value, type) and _TYPES.get(value.__name__) is value:
        return {"type": value.__name__}
    if keep is None:
        raise NotPlainError(f"{type(value).__name__} cannot cross between the tests and the program")
    return keep(value)


def _integer(value: int, _: Any) -> Any:
    number = int.__index__(value)
    return number if -_EXACT_IN_JSON < number < _EXACT_IN_JSON else {"int": hex(number)}


def _float(value: float, _: Any) -> Any:
    number = float.__float__(value)
    return number if number - number == 0 else {"float": float.__repr__(number)}


def _parts(iterate: Callable[[Any], Any]) -> Callable[[Any, Any], list[Any]]:
    return lambda value, keep: [encode(part, keep) for part in iterate(value)]


def _tagged(tag: str, iterate: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda value, keep: {tag: _parts(iterate)(value, keep)}


def _pairs(tag: str) -> Callable[[Any, Any], Any]:
    return lambda value, keep: {tag: [[encode(k, keep), encode(v, keep)] for k, v in dict.items(value)]}


_WRITERS: list[tuple[Any, Callable[[Any, Any], Any]]] = [
    (int, _integer),
    (float, _float),
    (str, lambda value, _: str.__str__(value)),
    (complex, lambda value, _: {"complex": [_float(value.real, None), _float(value.imag, None)]}),
    (bytes, lambda value, _: {"bytes": bytes.hex(value)}),
    (bytearray, lambda value, _: {"bytearray": bytearray.hex(value)}),
    (list, _parts(list.__iter__)),
    (tuple, _tagged("tuple", tuple.__iter__)),
    (set, _tagged("set", set.__iter__)),
    (frozenset, _tagged("frozenset", frozenset.__iter__)),
    (deque, _tagged("deque", deque.__iter__)),
    (Counter, _pairs("counter")),
    (defaultdict, _pairs("dict")),
    (OrderedDict, _pairs("ordered")),
    (dict, _pairs("dict")),
    (range, lambda value, _: {"range": [hex(value.start), hex(value.stop), hex(value.step)]}),
    (Decimal, lambda value, _: {"decimal": str(Decimal(value))}),
    (Fraction, lambda value, _: {"fraction": [hex(value.numerator), hex(value.denominator)]}),
    (datetime.datetime, lambda value, _: {"datetime": value.isoformat()}),
    (datetime.date, lambda value, _: {"date": value.isoformat()}),
    (datetime.time, lambda value, _: {"time": value.isoformat()}),
    (datetime.timedelta, lambda value, _: {"timedelta": [value.days, value.seconds, value.microseconds]}),
]
"""Type -> its plain form. bool and None are done before; Counter and the like stand before dict."""


def decode(value: Any, find: Callable[[int], Any]) -> Any:
    """The value that `encode` wrote; `find` gives what stands for a reference.

    Raises:
        NotPlainError: for a tag that `encode` does not write.

    >>> decode(encode([float("inf"), (2**70, b"a")]), int)
    [inf, (1180591620717411303424, b'a')]
    """
    if isinstance(value, list):
        return [decode(part, find) for part in value]
    if not isinstance(value, dict):
        return value
    ((tag, body),) = value.items()
    if tag in _SEQUENCES:
        return _SEQUENCES[tag]([decode(part, find) for part in body])
    if tag in _MAPPINGS:
        pairs = [(decode(k, find), decode(v, find)) for k, v in body]
        return Counter(dict(pairs)) if tag == "counter" else _MAPPINGS[tag](pairs)
    if tag in _DATES:
        return _DATES[tag].fromisoformat(body)  # type: ignore[attr-defined]
    if tag not in _READERS:
        raise NotPlainError(f"a message holds the unknown tag {tag!r:.40}")
    return find(int(body)) if tag == "reference" else _READERS[tag](body)


_READERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda body: int(body, 16),
    "float": float,
    "complex": lambda body: complex(*(decode(part, int) for part in body)),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "range": lambda body: range(*(int(part, 16) for part in body)),
    "decimal": Decimal,
    "fraction": lambda body: Fraction(*(int(part, 16) for part in body)),
    "timedelta": lambda body: datetime.timedelta(*body),
    "type": lambda body: _TYPES[body],
    "reference": int,
}


def send(handle: int, message: dict[str, Any]) -> None:
    """Write one frame: four bytes of length, then JSON.

    Raises:
        FrameTooLongError: before anything is written.
    """
    body = json.dumps(message).encode()
    if len(body) > LONGEST_FRAME_BYTES:
        raise FrameTooLongError
    data = memoryview(len(body).to_bytes(4, "big") + body)
    while data:
        data = data[os.write(handle, data) :]


def receive(handle: int) -> dict[str, Any] | None:
    """Read one frame; None when the other side is gone.

    Raises:
        FrameTooLongError: when its length says so.
        ValueError: when it is not a JSON object.
    """
    head = _read_exactly(handle, 4)
    if head is None:
        return None
    length = int.from_bytes(head, "big")
    if length > LONGEST_FRAME_BYTES:
        raise FrameTooLongError
    body = _read_exactly(handle, length)
    if body is None:
        return None
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("a frame is not an object")
    return message


def _read_exactly(handle: int, length: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < length:
        part = os.read(handle, min(length - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)
