"""Every way a command can end, and what the entry point costs."""

from __future__ import annotations

import errno
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from balora.errors import (
    DivergedError,
    IncompleteError,
    InputError,
    OutputError,
    Problem,
    ResourceError,
    SelfCheckError,
    StoppedError,
)

HEAVY = ("torch", "transformers", "peft", "datasets", "numpy", "sklearn", "scipy")


@pytest.mark.parametrize(
    "words", [["--help"], ["train", "--help"], ["evaluate", "--help"], ["--version"], ["recipes", "list"], ["train"]]
)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    program = (
        "import sys, json; from balora.cli.main import main; code = main(sys.argv[1:]); "
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_help_names_every_command(balora) -> None:
    for words in ((), ("--help",), ("-h",)):
        outcome = balora(*words)
        assert outcome.code == 0
        for command in ("train", "evaluate", "validate", "factors", "recipes", "doctor", "demo"):
            assert command in outcome.out


def test_the_version_is_that_of_the_package(balora) -> None:
    assert balora("--version").out == f"balora {importlib.metadata.version('balora')}\n"


def test_the_installed_command_is_this_one() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"balora": "balora.__main__:main"}
    assert importlib.metadata.entry_points(group="console_scripts", name="balora")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "Did you mean 'train'?"),
        (["train"], "RECIPE"),
        (["train", "recipe.yaml", "--adapter.r=4"], "section.key=value, for example adapter.r=16"),
        (["train", "recipe.yaml", "--dry-run", "--resume"], "nothing to --resume"),
        (["demo", "--seeds", "0"], "greater than or equal to 1"),
        (["recipes", "shwo"], "show"),
    ],
)
def test_a_wrong_command_line_is_explained_in_one_line(balora, words: list[str], said: str) -> None:
    outcome = balora(*words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert said in outcome.err


CUDA_FULL = torch.OutOfMemoryError("Tried to allocate 2.00 GiB")
CPU_FULL = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
DISK_FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        (
            InputError([Problem("a.csv:3", "is empty"), Problem("a.csv:9", "is empty")]),
            2,
            "error: a.csv:3: is empty\nerror: a.csv:9",
        ),
        (OutputError.at("runs/r", "exists", "choose another"), 2, "error: runs/r: exists; choose another"),
        (DivergedError("step 7: consistency is inf"), 3, "error: step 7: consistency is inf"),
        (ResourceError("needs 31 GiB"), 4, "error: needs 31 GiB"),
        (IncompleteError("2 of 3 seeds"), 5, "error: 2 of 3 seeds"),
        (SelfCheckError("gap 0.3"), 1, "error: gap 0.3"),
        (CUDA_FULL, 4, "error: out of memory (Tried to allocate 2.00 GiB)"),
        (CPU_FULL, 4, "per_device_train_batch_size"),
        (MemoryError(), 4, "error: out of memory (MemoryError)"),
        (DISK_FULL, 4, "error: the disk is full"),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), 4, "--resume"),
        (
            ZeroDivisionError("division by zero"),
            1,
            "error: this is a bug in balora (ZeroDivisionError: division by zero); run again with --debug",
        ),
        (KeyboardInterrupt(), 130, "stopped before training began; run the same command again"),
        (SystemExit(143), 143, "stopped before training began; run the same command again"),
        (StoppedError(signal.SIGINT, "goes on from step 3"), 130, "goes on from step 3"),
        (StoppedError(signal.SIGTERM, "goes on from step 3"), 143, "goes on from step 3"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_failure_has_its_exit_code_and_no_traceback(balora, fake_run, failure, code: int, said: str) -> None:
    fake_run.failure = failure
    outcome = balora("train", "recipe.yaml", "--quiet")
    assert outcome.code == code
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


def test_the_cause_decides_where_a_library_wraps_it(balora, fake_run) -> None:
    fake_run.failure = RuntimeError("saving failed")
    fake_run.failure.__cause__ = DISK_FULL
    assert balora("train", "recipe.yaml").code == 4


@pytest.mark.parametrize("way", ["flag first", "flag last", "environment"])
def test_the_traceback_is_one_switch_away(balora, fake_run, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    fake_run.failure = ZeroDivisionError("division by zero")
    words = ["train", "recipe.yaml"]
    if way == "environment":
        monkeypatch.setenv("BALORA_DEBUG", "1")
    else:
        words = ["--debug", *words] if way == "flag first" else [*words, "--debug"]
    outcome = balora(*words)
    assert outcome.code == 1
    assert "Traceback" in outcome.err
    assert "conftest.py" in outcome.err


def test_json_is_one_document_even_when_it_fails(balora, fake_run) -> None:
    fake_run.failure = InputError([Problem("a.csv:3", "is empty", "fill it")])
    outcome = balora("train", "recipe.yaml", "--json")
    assert outcome.document == {
        "error": {
            "exit_code": 2,
            "kind": "InputError",
            "problems": [{"where": "a.csv:3", "what": "is empty", "fix": "fill it"}],
        }
    }
    assert "error: a.csv:3: is empty; fill it" in outcome.err
    fake_run.failure = ZeroDivisionError("x")
    assert balora("train", "recipe.yaml", "--json").document["error"]["exit_code"] == 1
    assert balora("train", "--json").document["error"]["kind"] == "UsageError"


@pytest.mark.parametrize("words", [["recipes", "list"], ["--version"]])
def test_a_reader_that_leaves_early_is_no_error(words: list[str]) -> None:
    program = "import sys; from balora.cli.main import main; sys.exit(main(sys.argv[1:]))"
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", [["recipes", "list"], ["--help"], ["recipes", "list", "--json"]])
def test_a_result_that_cannot_be_printed_blames_no_other_disk(words: list[str]) -> None:
    program = "import sys; from balora.cli.main import main; sys.exit(main(sys.argv[1:]))"
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", program, *words]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
        assert done.returncode == 4
        assert "could not be printed to stdout: No space left on device" in done.stderr
        assert "output.dir" not in done.stderr
        lost = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, text=True, timeout=120)
    assert lost.returncode == 0
    assert lost.stdout


PROGRAM = """
import sys, time, types

def module(name, **members):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)

def train(recipe, **options):
    try:
        with unwinding():
            sys.stderr.write("training\\n")
            time.sleep(60)
    finally:
        sys.stderr.write("cleaned up\\n")

# Without the libraries, so that the test does not wait for them.
module("balora.run", train=train, plan=None)
module(
    "balora.recipe",
    dump_recipe=None,
    load_recipe=lambda path, overrides: None,
    read_recipe_text=lambda path: ("", path),
    recipe_notes=lambda recipe: [],
    with_overrides_noted=lambda text, overrides: text,
)
from balora.cli.main import main
from balora.interruption import unwinding
sys.exit(main(["train", "recipe.yaml"]))
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_unwind_and_end_with_their_code(folder, sent: signal.Signals, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert process.stderr is not None
    while "training" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(sent)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "cleaned up" in err
    assert "stopped before training began; run the same command again" in err
    assert "Traceback" not in err


def test_the_signal_handler_of_the_caller_is_put_back(balora) -> None:
    before = signal.getsignal(signal.SIGTERM)
    balora("--version")
    assert signal.getsignal(signal.SIGTERM) is before


def test_no_colour_off_a_terminal(balora, fake_run) -> None:
    fake_run.failure = ZeroDivisionError("x")
    outcome = balora("train", "recipe.yaml")
    assert "\x1b" not in outcome.err + outcome.out
    assert "\x1b" not in balora("--help").out


def test_waiting_threads_give_way_unless_the_user_decides(balora, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    balora("--version")
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    balora("--version")
    assert os.environ["GOMP_SPINCOUNT"] == "1000"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    balora("--version")
    assert os.environ["GOMP_SPINCOUNT"] == "7"
