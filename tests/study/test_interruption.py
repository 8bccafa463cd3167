"""A study that is killed at any moment and started again ends in the same table, and repeats no finished run."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from balora.errors import OutputError, StoppedError
from balora.study import StudyResults, load_results, parse_study, run_study, status
from tests.study.conftest import MakeStudy, trained

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

Run = Callable[..., StudyResults]
KILLED_STUDIES = int(os.environ.get("STUDY_KILLS", "2"))
TUNED = "tune: {keys: {training.learning_rate: [1e-4, 3e-4]}, split: 0.25}\n"
REFUSED = 2


def launched(text: str, folder: Path, jobs: int) -> multiprocessing.Process:
    """A launch in a process of its own; forked, because torch is loaded here already."""

    def go() -> None:
        # The test's own SIGTERM and SIGINT handling stays behind.
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(143)))
        try:
            run_study(parse_study(text), folder=folder, jobs=jobs, show_progress=False)
        except (StoppedError, OutputError) as stop:
            os._exit(stop.exit_code)
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=go)
    process.start()
    return process


@pytest.mark.parametrize("seed", range(KILLED_STUDIES))
def test_killed_at_random_moments_it_ends_in_the_same_table(
    run: Run, study_text: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setenv("FAKE_STEP_S", "0.02")
    text, draw = study_text(TUNED), random.Random(seed)
    whole = run(text, folder=tmp_path / "whole", jobs=2)
    folder, kills = tmp_path / "killed", 0
    for _ in range(3):
        process = launched(text, folder, jobs=2)
        time.sleep(draw.uniform(0.05, 0.9))
        if process.is_alive():
            process.kill()
            kills += 1
        process.join()
    final = run(text, folder=folder)
    assert kills
    for name in ("results.json", "runs.csv"):
        assert (folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert final == load_results(folder)
    # A kill between the end of a training and its outcome may cost that training, one per process and kill.
    again = [count - 1 for count in Counter(trained(folder)).values() if count > 1]
    assert sum(again) <= 2 * kills


@pytest.mark.parametrize("seed", range(max(1, KILLED_STUDIES // 6)))
def test_of_two_launchers_at_the_same_moment_one_works_and_the_other_is_refused(
    run: Run, study_text: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setenv("FAKE_STEP_S", "0.1")
    text, folder, draw = study_text(), tmp_path / "study", random.Random(seed)
    whole = run(text, folder=tmp_path / "whole")
    first = launched(text, folder, jobs=2)
    time.sleep(draw.choice((0.0, 0.02, 0.3)))
    second = launched(text, folder, jobs=2)
    for process in (first, second):
        process.join()
    assert sorted([first.exitcode, second.exitcode]) == [0, REFUSED]
    assert len(trained(folder)) == len(set(trained(folder))) == len(whole.runs)
    for name in ("results.json", "runs.csv"):
        assert (folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_a_run_goes_on_where_it_was(
    run: Run, study_text: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEP_S", "0.4")
    text = study_text(axes="\n  rank: {adapter.r: [4]}", seeds=" 1")
    folder = tmp_path / "study"
    process = launched(text, folder, jobs=1)
    first = None
    while first is None:
        assert process.is_alive()
        first = next(iter(folder.glob("runs/*/step-0")), None)
        time.sleep(0.02)
    process.kill()
    process.join()
    owner = first.read_text()
    assert load_results(folder).runs[0].state == "interrupted"
    monkeypatch.setenv("FAKE_STEP_S", "0.01")
    assert run(text).runs[0].state == "done"
    assert first.read_text() == owner
    assert (first.parent / "step-2").read_text() != owner


def test_sigterm_ends_processes_and_says_how_to_go_on(
    fake_runs: None, study_text: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEP_S", "0.3")
    folder = tmp_path / "study"
    process = launched(study_text(), folder, jobs=2)
    while not list(folder.glob("runs/*/step-0")):
        assert process.is_alive()
        time.sleep(0.02)
    workers = {int(file.read_text()) for file in folder.glob("runs/*/step-0")}
    assert status(folder).launcher is not None
    assert process.pid is not None
    os.kill(process.pid, signal.SIGTERM)
    process.join(timeout=20)
    assert process.exitcode == 143
    assert status(folder).launcher is None
    assert status(folder).counts["interrupted"] >= 1
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_processes_of_a_killed_launcher_do_not_outlive_it(
    fake_runs: None, study_text: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEP_S", "30")
    folder = tmp_path / "study"
    axes = "\n  rank: {adapter.r: [4]}"
    process = launched(study_text(axes=axes, seeds=" 1"), folder, jobs=1)
    while not list(folder.glob("logs/*.txt")) or "==" not in next(folder.glob("logs/*.txt")).read_text():
        time.sleep(0.02)
    workers = children_of(process.pid)
    assert workers
    process.kill()
    process.join()
    ends_at = time.monotonic() + 5
    while time.monotonic() < ends_at and any(is_alive(worker) for worker in workers):
        time.sleep(0.02)
    assert not any(is_alive(worker) for worker in workers)


def children_of(parent: int | None) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(folder.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
