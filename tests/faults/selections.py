"""Rows that are tests of the suite: run in a process of their own, their cases counted from pytest's report."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import balora
from tests.faults.figures import Figures

ROOT = Path(__file__).parents[2]
BROKEN_SOURCE = "FAULTS_SOURCE"
"""Environment variable with the folder of a balora that was broken on purpose."""
BROKEN_PROJECT = "FAULTS_PROJECT"
"""The same with a pyproject.toml that was changed on purpose."""
SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class Selection:
    """Some tests, as a row."""

    row: str
    promise: str
    tests: tuple[str, ...]
    """Files and test names, from the root of the project."""
    fewest: int
    """Cases that the full row must have."""
    only: str = ""
    """pytest's -k."""
    count_in: str = ""
    """Environment variable that takes the row's count: seconds, or kills. Without one a count of 0 leaves out what is
    marked slow."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, folder: Path, count: int) -> Figures:
        """Run the tests. One that was skipped is a case that did not hold."""
        folder.mkdir(parents=True)
        report, began = folder / "report.xml", time.monotonic()
        marks = "slow or not slow" if count else "not slow"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marks, *self.tests]
        if os.environ.get(BROKEN_SOURCE) or os.environ.get(BROKEN_PROJECT):
            command.append("--maxfail=1")  # enough to know that it was noticed
        command += [f"--junitxml={report}", f"--basetemp={folder / 'work'}", *(["-k", self.only] if self.only else [])]
        environment = environment_of_children() | self.environment
        environment |= {self.count_in: str(count)} if self.count_in else {}
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        figures = counted(Figures(self.row, self.promise), report)
        if ended.returncode not in (0, 1):
            figures.failures.insert(0, f"pytest ended with {ended.returncode}: {(ended.stdout + ended.stderr)[-500:]}")
            figures.cases += 1
        if count and figures.cases < self.fewest:
            figures.failures.insert(0, f"{figures.cases} cases, and {self.fewest} are promised")
            figures.cases = self.fewest
        figures.facts |= {self.count_in.lower(): count} if self.count_in else {}
        figures.seconds = round(time.monotonic() - began, 1)
        return figures


def source() -> Path:
    """The folder that Python takes balora from in the processes that a row starts."""
    return Path(os.environ.get(BROKEN_SOURCE) or Path(balora.__file__).parents[1])


def environment_of_children() -> dict[str, str]:
    """The environment of those processes: this balora, or the broken one, and the tests."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(source()), str(ROOT)])}


def counted(figures: Figures, report: Path) -> Figures:
    """Cases, how many held, and what happened in the others, by file."""
    by_file: Counter[str] = Counter()
    suites = ElementTree.parse(report).getroot() if report.is_file() else ElementTree.Element("testsuites")
    for case in suites.iter("testcase"):
        figures.cases += 1
        by_file[case.get("classname", "").rpartition(".")[2].removeprefix("test_")] += 1
        trouble = next(
            (case.find(kind) for kind in ("failure", "error", "skipped") if case.find(kind) is not None), None
        )
        if trouble is None:
            figures.held += 1
            continue
        said = " ".join((trouble.get("message") or trouble.text or "").split())[:SHOWN_CHARACTERS]
        not_run = "not run: " if trouble.tag == "skipped" else ""
        figures.failures.append(f"{case.get('name')}: {not_run}{said}")
    figures.facts |= {f"{name}_cases": number for name, number in by_file.items()}
    return figures


SECURITY = "tests/faults/security/"
SANDBOX = "tests/evaluation/sandbox/"

SELECTIONS = [
    Selection(
        "R12",
        "bad datasets, recipes, models, adapters, replies: one line, exit 2, nothing changed; odd ones accepted",
        ("tests/faults/inputs/test_refused.py", "tests/faults/inputs/test_judge_replies.py"),
        120 + 150 + 40 + 60 + 60,
    ),
    Selection(
        "R13",
        "mutated input for every reader: our own errors alone, 2 s and 1 GiB at most",
        (SECURITY + "test_fuzz.py",),
        14,
        count_in="FUZZ_SECONDS",
    ),
    Selection(
        "R14",
        "programs that want out, and that forge their score: contained, not passed, nothing left",
        (SANDBOX + "test_escapes.py", SANDBOX + "test_layers.py"),
        100,
    ),
    Selection(
        "R16",
        "hostile mathematical answers: nothing runs, 2 s each; every gold answer equals itself",
        (SECURITY + "test_math_answers.py",),
        60,
    ),
    Selection(
        "R17",
        "hostile model folders, adapters and chat templates: nothing runs, one line, memory and time bounded",
        ("tests/models/test_hostile_folders.py", "tests/models/test_trust.py", "tests/data/test_chat_rendering.py"),
        25,
    ),
    Selection(
        "R18",
        "hostile YAML: no code, typed as version 1.2 says or refused with its line",
        ("tests/recipe/test_hostile_yaml.py",),
        25,
    ),
    Selection(
        "R19",
        "odd names and links: nothing written outside, nothing written over",
        (SECURITY + "test_paths.py",),
        40,
    ),
    Selection(
        "R20",
        "payloads in every field of reports and cards, in a browser too: no script, no request, text equals input",
        (
            SECURITY + "test_browser.py",
            "tests/report/test_html.py",
            "tests/artefacts/test_card.py",
            "tests/test_escaping.py",
        ),
        60,
    ),
    Selection(
        "R21",
        "15 planted secrets, runs that succeed and fail: in no log, JSON, page, card or checkpoint",
        (
            SECURITY + "test_secrets.py",
            "tests/test_redaction.py",
            "tests/report/test_html.py::" + "test_secrets_in_recipes_and_errors_are_hidden",
        ),
        15,
    ),
    Selection(
        "R22",
        "behaviours of a judge: no crash, counts right, only what is missing asked again, the key to one host",
        ("tests/evaluation/judge/test_judging.py",),
        30,
    ),
    Selection(
        "R23",
        "a study killed at random: finished runs untouched, the same table; a second launcher refused",
        ("tests/study/test_interruption.py", "tests/study/test_launch.py"),
        30,
        count_in="STUDY_KILLS",
    ),
    Selection(
        "R25",
        "rough surroundings: a run works, or ends in one line",
        (SECURITY + "test_surroundings.py",),
        20,
    ),
    Selection("R26", "versions with known holes are refused", (SECURITY + "test_floors.py",), 6),
]
