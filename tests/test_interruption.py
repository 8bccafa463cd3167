"""A signal counts from the first moment of a command, also where a library swallows what is raised in its imports."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SWALLOWS = """
import sys, time
sys.stderr.write("importing\\n")
try:
    time.sleep({seconds})
except BaseException:
    pass
sys.stderr.write("imported\\n")
"""
"""A library that takes whatever goes wrong in its start for a missing feature."""


@contextlib.contextmanager
def started(folder: Path, program: list[str]) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]), "NO_COLOR": "1"}
    with subprocess.Popen(
        [sys.executable, *program],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stderr is not None
        try:
            while "importing" not in process.stderr.readline():
                assert process.poll() is None
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda sent: sent.name)
@pytest.mark.parametrize("library", ["typer", "torch"])
def test_a_command_ends_at_once_while_it_starts(library: str, sent: signal.Signals, tmp_path: Path) -> None:
    """The command line's library is imported before the command is known, torch by `balora train`."""
    (tmp_path / f"{library}.py").write_text(SWALLOWS.format(seconds=60))
    (tmp_path / "recipe.yaml").write_text("task: classification\n")
    with started(tmp_path, ["-m", "balora", "train", "recipe.yaml"]) as process:
        process.send_signal(sent)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + sent
    assert (out, err) == ("", "stopped before anything was written; run the same command again\n")


UNWINDS = """
import sys
from balora.interruption import stop_on_signals, unwinding
stop_on_signals()
with unwinding():
    try:
        import slow
    finally:
        sys.stderr.write("cleaned up\\n")
    import time
    time.sleep(60)
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)])
def test_what_has_begun_is_unwound_after_the_import_at_hand(sent: signal.Signals, code: int, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SWALLOWS.format(seconds=0.5))
    with started(tmp_path, ["-c", UNWINDS]) as process:
        process.send_signal(sent)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err.startswith("imported\ncleaned up\n")


FORKS = """
import os, signal, sys
from balora.interruption import stop_on_signals, unwinding
stop_on_signals()
with unwinding():
    child = os.fork()
    if child == 0:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            sys.stderr.write("the child undid what is not its own\\n")
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_ends_without_undoing_what_its_parent_began(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=30, env=environment)
    assert (done.stdout, done.stderr) == ("143\n", "")


def test_what_nohup_ignores_stays_ignored() -> None:
    program = (
        "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        "from balora.interruption import stop_on_signals; stop_on_signals(); "
        "os.kill(os.getpid(), signal.SIGHUP); print('still here')"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, env=environment)
    assert (done.returncode, done.stdout) == (0, "still here\n")
