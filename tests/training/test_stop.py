"""What a signal does at the worst moment."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from balora.errors import StoppedError
from balora.training import GracefulStop
from balora.training.callbacks import stop as callback


class _SignalledWhileWriting(io.RawIOBase):
    """A stream whose first write is interrupted by a signal to its own process."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        written = bytes(data)  # type: ignore[call-overload]
        first = not self.lines
        self.lines.append(written)
        if first:
            os.kill(os.getpid(), signal.SIGTERM)
        return len(written)


def test_a_signal_in_the_middle_of_a_write_is_told_after_it(tmp_path: Path) -> None:
    raw = _SignalledWhileWriting()
    stream = io.TextIOWrapper(io.BufferedWriter(raw), line_buffering=True)
    stop = GracefulStop(lambda line: print(line, file=stream))
    with stop:
        stop.on_train_begin(TrainingArguments(str(tmp_path)), TrainerState(), TrainerControl())
        print("step 1", file=stream)
    assert stop.asked is signal.SIGTERM
    first, *others = b"".join(raw.lines).decode().splitlines()
    assert first == "step 1"
    assert len(others) == 1
    assert others[0].startswith("stopping after this step")


def test_what_a_launcher_passes_on_is_no_second_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun's SIGTERM after a Ctrl-C comes late where the machine is busy; another Ctrl-C is the user's own."""
    monkeypatch.setattr(callback, "process_count", lambda: 2)
    monkeypatch.setattr(callback, "_ONE_KEYSTROKE_S", 0.0)
    stop = GracefulStop()
    with stop:
        stop.on_train_begin(TrainingArguments(str(tmp_path)), TrainerState(), TrainerControl())
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked is signal.SIGINT
        with pytest.raises(StoppedError):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_reader_that_left_does_not_hold_up_the_end(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    def tell(line: str) -> None:
        raise BrokenPipeError(line)

    stop = GracefulStop(tell)
    with stop:
        stop.on_train_begin(TrainingArguments(str(tmp_path)), TrainerState(), TrainerControl())
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.asked is signal.SIGTERM
    assert not recwarn.list
