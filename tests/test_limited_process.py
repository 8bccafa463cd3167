"""A program in a process of its own: it answers, or is ended, and the next answer is right again."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from balora.errors import BaloraError
from balora.limited_process import LimitedProcess, NoReplyError

Make = Callable[..., LimitedProcess]

ECHO = """
import json, os, signal, sys, time
print("{}", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    time.sleep(asked.get("sleep_s", 0))
    if "die" in asked:
        os.kill(os.getpid(), asked["die"])
    if "exit" in asked:
        sys.exit(asked["exit"])
    if "silent" in asked:
        os.close(1)
        time.sleep(60)
    for _ in range(asked.get("times", 1)):
        print(json.dumps({"got": asked.get("say"), "seen": sorted(os.environ)}), flush=True)
"""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[LimitedProcess] = []

    def one(program: str = ECHO, **options: Any) -> LimitedProcess:
        path = tmp_path / f"program-{len(made)}.py"
        path.write_text(program)
        made.append(LimitedProcess(path, "echoes", **options))
        return made[-1]

    yield one
    for process in made:
        process.close()
        process.close()


def test_it_answers_in_order_and_once_started_stays(make: Make) -> None:
    process = make()
    process.send({"say": "a", "times": 2})
    assert process._child is not None
    first = process._child.pid
    process.send({"say": "x" * (1 << 18)})
    assert [process.reply(30)["got"][:1] for _ in range(3)] == ["a", "a", "x"]
    assert process._child.pid == first


def test_a_late_answer_is_never_taken_for_the_next(make: Make) -> None:
    process = make()
    process.send({"say": "slow", "sleep_s": 60})
    with pytest.raises(NoReplyError) as silence:
        process.reply(0.1)
    assert silence.value.late
    process.send({"say": "next"})
    assert process.reply(30)["got"] == "next"


def test_nor_is_one_that_an_interruption_left_behind(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    process = make()
    process.send({"say": "first"})
    with monkeypatch.context() as patched:

        def interrupted(*_: Any) -> bytes:
            raise KeyboardInterrupt

        patched.setattr("os.read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            process.reply(30)
    process.send({"say": "second"})
    assert process.reply(30)["got"] == "second"


@pytest.mark.parametrize(
    ("asked", "code"),
    [({"die": int(signal.SIGPROF)}, -signal.SIGPROF), ({"exit": 3}, 3)],
)
def test_how_it_ended_is_known_and_it_starts_again(make: Make, asked: dict[str, int], code: int) -> None:
    process = make()
    process.send(asked)
    with pytest.raises(NoReplyError, match=str(code)) as silence:
        process.reply(30)
    assert (silence.value.late, silence.value.ended_with) == (False, code)
    process.send({"say": "again"})
    assert process.reply(30)["got"] == "again"


def test_one_that_closes_its_mouth_is_killed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balora.limited_process._END_LIMIT_S", 0.1)
    process = make()
    process.send({"silent": True})
    with pytest.raises(NoReplyError) as silence:
        process.reply(30)
    assert (silence.value.late, silence.value.ended_with) == (False, -signal.SIGKILL)


def test_one_that_ended_meanwhile_is_replaced(make: Make) -> None:
    process = make()
    process.wait_until_loaded()
    assert process._child is not None
    process._child.kill()
    process._child.wait()
    process.send({"say": "here"})
    assert process.reply(30)["got"] == "here"


@pytest.mark.parametrize("program", ["import sys; sys.exit(1)", "import no_such_module", "not python"])
def test_one_that_does_not_start_is_told(make: Make, program: str) -> None:
    with pytest.raises(BaloraError, match="the process that echoes does not start"):
        make(program).send({})


def test_it_sees_what_it_is_given(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("TZ", "UTC")
    process = make(passed_on=["TZ"], environment={"ONE": "1"})
    process.send({})
    seen = set(process.reply(30)["seen"])
    assert {"TZ", "ONE", "PATH"} <= seen
    assert "HF_TOKEN" not in seen


def test_it_reads_what_sets_it_up_before_it_loads(make: Make) -> None:
    program = (
        "import json, sys\nfirst = sys.stdin.readline()\nprint('{}', flush=True)\nsys.stdin.readline()\nprint(first)"
    )
    process = make(program, set_up={"import_from": sys.path[:1]})
    process.send({})
    assert process.reply(30) == {"import_from": sys.path[:1]}
