"""R19: odd names and links. Nothing is written outside the folder that was named, and nothing is written over."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from balora.artefacts import RunRecord, check_free, make_run_folder, write_json_atomically, write_text_atomically
from balora.errors import BaloraError, InputError
from balora.evaluation.results import check_writable
from balora.evaluation.transcripts import Transcripts
from balora.recipe import parse_recipe
from balora.recipe.catalogue import RECIPES
from balora.run.beginning import begin

ODD_NAMES = {
    "parent": "..",
    "parent at the end": "runs/..",
    "NUL": "runs/a\0b",
    "NUL at the end": "runs/a\0",
    "line break": "runs/a\nb",
    "carriage return": "runs/a\rb",
    "terminal escape": "runs/\x1b[2Jx",
    "bell": "runs/\x07",
    "delete": "runs/a\x7f",
    "C1 control": "runs/a\x9bb",
    "option": "runs/-rf",
    "option at the start": "--help",
    "300 characters": "runs/" + "x" * 300,
    "300 bytes": "runs/" + "ü" * 150,
    "lone surrogate": "runs/\ud800",
    "a file": "precious.txt",
    "below a file": "precious.txt/run",
    "the folder itself": ".",
    "an absolute folder that is taken": "{home}",
    "climbs to a folder that is taken": "runs/../../home",
    "a device": "/dev/null",
    "below proc": "/proc/self/fd/run",
    "a link to a file": "to-file",
    "a link to nothing": "to-nothing",
    "a link to a folder that is taken": "to-home",
    "a loop of links": "loop",
}
FINE_NAMES = [
    "runs/a",
    "runs/Größe 1",
    "runs/日本語",
    "runs/a b",
    "runs/.hidden",
    "runs/a'b\"c",
    "runs/$(id)",
    "runs/%s",
    "r" * 200,
]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with precious things, and a home beside it."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    (here / "runs").mkdir(parents=True)
    (home / ".bashrc").write_text("export A=1\n")
    (here / "precious.txt").write_text("years of work")
    (here / "to-file").symlink_to(home / ".bashrc")
    (here / "to-nothing").symlink_to(home / "new")
    (here / "to-home").symlink_to(home)
    (here / "loop").symlink_to(here / "loop")
    monkeypatch.chdir(here)
    return tmp_path


def state(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        content = str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else "folder"
        found[str(path.relative_to(folder))] = hashlib.sha256(content.encode()).hexdigest()
    return found


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_odd_run_folder_is_refused_and_nothing_changes(name: str, world: Path) -> None:
    before = state(world)
    path = Path(ODD_NAMES[name].format(home=world / "home"))
    for action in (check_free, make_run_folder, check_writable if name not in MAY_HOLD_RESULTS else check_free):
        with pytest.raises(InputError) as caught:
            action(path)
        assert "\n" not in str(caught.value)
        assert "\x1b" not in str(caught.value)
    assert state(world) == before


MAY_HOLD_RESULTS = {
    "the folder itself",
    "an absolute folder that is taken",
    "climbs to a folder that is taken",
    "a link to a folder that is taken",
    "a loop of links",
    "a link to nothing",
}
"""Result files may go beside others, which are never written over."""


@pytest.mark.parametrize("name", FINE_NAMES)
def test_an_unusual_name_is_no_crime(name: str, world: Path) -> None:
    before = state(world)
    assert make_run_folder(Path(name)).is_dir()
    after = state(world)
    assert {path: after[path] for path in before} == before
    assert all(path.startswith("here/") for path in after.keys() - before.keys())


LINKS: dict[str, tuple[str, str]] = {
    "metrics": ("metrics.jsonl", "home/.bashrc"),
    "record": ("run.json.link", "home/.bashrc"),
    "card": ("README.md", "home/.bashrc"),
    "weights": ("adapter_model.safetensors", "home/.bashrc"),
    "a checkpoint": ("checkpoint-8", "home"),
    "a file in a checkpoint": ("checkpoint-9/optimizer.pt", "home/.bashrc"),
    "evaluations": ("evaluations", "home"),
    "nothing yet": ("all_results.json", "home/new"),
    "relative": ("trainer_state.json", "../../../home/.bashrc"),
}


def linked(world: Path, name: str) -> Path:
    """A run that was interrupted, in which somebody put a link."""
    run = world / "here" / "runs" / "mine"
    run.mkdir(parents=True)
    RunRecord.begin("balora train x.yaml").ended("interrupted").write(run)
    place, target = LINKS[name]
    (run / place).parent.mkdir(exist_ok=True)
    (run / place).symlink_to(target if target.startswith("..") else world / target)
    return run


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("resume", [True, False])
def test_a_link_out_of_a_run_stops_the_run(name: str, resume: bool, world: Path) -> None:
    run = linked(world, name)
    before = state(world)
    recipe = parse_recipe("model: {name_or_path: m}\ndata: {preset: cola, train: t.tsv}")
    with pytest.raises(InputError, match=r"link|already holds files"):
        begin(run, recipe, resume=resume)
    with pytest.raises(InputError, match="link"):
        check_writable(run)
    assert state(world) == before


def test_a_link_inside_a_run_is_its_own_business(world: Path) -> None:
    run = world / "here" / "run"
    (run / "checkpoint-1").mkdir(parents=True)
    (run / "latest").symlink_to("checkpoint-1")
    check_writable(run)


def test_a_run_folder_behind_the_users_own_link_is_fine(world: Path) -> None:
    (world / "disk").mkdir()
    (world / "here" / "big").symlink_to(world / "disk")
    assert make_run_folder(Path("big/run")).is_dir()
    assert (world / "disk" / "run").is_dir()


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: write_text_atomically(path, "new"),
    "JSON": lambda path: write_json_atomically(path, {"new": 1}),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("target", ["home/.bashrc", "home/new", "here/precious.txt"])
def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(writer: str, target: str, world: Path) -> None:
    before = state(world)
    path = world / "here" / "link"
    path.symlink_to(world / target)
    WRITERS[writer](path)
    after = state(world)
    assert not path.is_symlink()
    assert {place: after[place] for place in before} == before
    assert after.keys() - before.keys() == {"here/link"}


@pytest.mark.parametrize("name", ["to-file", "to-nothing", "precious.txt", "/dev/null"])
def test_a_recipe_is_copied_over_nothing(name: str, world: Path) -> None:
    before = state(world)
    with pytest.raises(BaloraError):
        RECIPES.copy("glue-cola-t5-base", Path(name))
    assert state(world) == before


@pytest.mark.parametrize("label", ["../../x", "/etc/passwd", "a\0b", "-rf", "x" * 5000, "$(touch x)"])
def test_names_that_come_from_data_name_no_file(label: str, world: Path) -> None:
    transcripts = Transcripts(world / "here" / "t.jsonl", {"model": label})
    transcripts.keep(label, {"suite": label}, label)
    made = state(world).keys() - {"here", "here/t.jsonl"}
    assert not [
        path for path in made if os.sep in path.removeprefix("here/") and "runs" not in path and "home" not in path
    ]
    assert json.loads((world / "here" / "t.jsonl").read_text())["prompt"] == label
