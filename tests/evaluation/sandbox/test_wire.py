"""What crosses between the processes: plain data, exactly."""

from __future__ import annotations

import datetime
import json
import math
import os
import threading
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from balora.evaluation.sandbox.inside.wire import (
    LONGEST_FRAME_BYTES,
    FrameTooLongError,
    NotPlainError,
    decode,
    encode,
    receive,
    send,
)

LEAVES = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False)
    | some.complex_numbers(allow_nan=False)
    | some.text()
    | some.binary()
)
HASHABLE = LEAVES | some.tuples(LEAVES, LEAVES) | some.frozensets(LEAVES, max_size=3)
INNER = LEAVES | some.lists(LEAVES, max_size=3) | some.sets(HASHABLE, max_size=3)
PLAIN = some.lists(INNER, max_size=3) | some.tuples(INNER, INNER) | some.dictionaries(HASHABLE, INNER, max_size=3)


def there(value):
    return decode(json.loads(json.dumps(encode(value))), int)


@given(PLAIN)
def test_plain_data_arrives_as_it_was(value) -> None:
    assert there(value) == value
    assert type(there(value)) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        2**4000,
        -(2**53),
        math.inf,
        -0.0,
        "\ud800",
        range(3, 9, 2),
        Decimal("1.10"),
        Fraction(1, 3),
        datetime.datetime(2024, 2, 29, 1, 2, 3),
        datetime.date(2024, 2, 29),
        datetime.time(1, 2),
        datetime.timedelta(days=-1, seconds=3),
        Counter("abb"),
        OrderedDict(a=1),
        deque([1, 2]),
        bytearray(b"x"),
        int,
        type(None),
    ],
    ids=repr,
)
def test_other_values_of_the_standard_library_arrive(value) -> None:
    assert there(value) == value
    assert type(there(value)) is type(value)
    assert str(there(value)) == str(value)


def test_nan_arrives() -> None:
    assert math.isnan(there(math.nan))


def test_subclasses_cross_as_their_data() -> None:
    class Same(str):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = str.__hash__

    pair = namedtuple("pair", "a b")
    assert there(Same("x")) == "x"
    assert there(Same("x")) != "y"
    assert there(pair(1, 2)) == (1, 2)
    assert there(defaultdict(int, a=1)) == {"a": 1}
    assert there([np.float32(0.5), np.int64(3), np.bool_(True)]) == [0.5, 3, True]


def test_anything_else_stays_or_is_refused() -> None:
    with pytest.raises(NotPlainError, match="object"):
        encode([object()])
    assert encode([object()], lambda value: {"reference": 7}) == [{"reference": 7}]
    with pytest.raises(NotPlainError, match="tag"):
        decode({"pickle": "x"}, int)


def test_frames() -> None:
    reading, writing = os.pipe()
    try:
        message = {"text": "x" * 200_000}
        writer = threading.Thread(target=send, args=(writing, message))
        writer.start()
        assert receive(reading) == message
        writer.join()
        with pytest.raises(FrameTooLongError):
            send(writing, {"text": "x" * LONGEST_FRAME_BYTES})
        os.write(writing, b"\xff\xff\xff\xff")
        with pytest.raises(FrameTooLongError):
            receive(reading)
        os.write(writing, b"\x00\x00\x00\x02[]")
        with pytest.raises(ValueError, match="object"):
            receive(reading)
        os.write(writing, b"\x00\x00")
        os.close(writing)
        assert receive(reading) is None
    finally:
        os.close(reading)
