"""Lines that nobody can read any more are lost, and nothing else."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from balora.cli.output import ResultStream
from balora.errors import ResourceError
from balora.streams import ForgivingStream


class _Refuses(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error, self.tries = error, 0

    def write(self, text: str) -> int:
        self.tries += 1
        raise self.error

    def flush(self) -> None:
        raise self.error


BROKEN, FULL = BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device")


@pytest.mark.parametrize("error", [BROKEN, FULL], ids=["pipe", "disk"])
def test_a_line_is_lost_and_the_next_is_not_tried(error: OSError) -> None:
    under = _Refuses(error)
    stream: Any = ForgivingStream(under)
    stream.flush()
    assert stream.lost
    console = Console(file=stream)
    console.print("step 1")
    stream.writelines(["a", "b"])
    assert under.tries == 0
    other = ForgivingStream(_Refuses(error))
    assert other.write("step 1") == 6
    assert other.lost


def test_what_can_be_written_is_written() -> None:
    under = io.StringIO()
    stream = ForgivingStream(under)
    stream.writelines(["a", "b"])
    assert (under.getvalue(), stream.lost, stream.isatty()) == ("ab", False, False)


def test_stdout_says_itself_what_is_wrong_with_it() -> None:
    stream = ResultStream(_Refuses(FULL))
    with pytest.raises(ResourceError, match="could not be printed to stdout: No space left") as caught:
        stream.write("x")
    assert "output.dir" not in str(caught.value)
    assert stream.lost
    with pytest.raises(BrokenPipeError):
        ResultStream(_Refuses(BROKEN)).flush()
