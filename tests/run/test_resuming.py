"""A run that stopped goes on as if it had never stopped, or says why it cannot; nothing is lost on the way."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from balora.errors import InputError, OutputError, ResourceError, StoppedError
from balora.recipe import Recipe
from balora.run import train, training
from tests.run.test_training import recipe_for


def everything(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def record_of(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return record


def weights_of(folder: Path) -> bytes:
    return (folder / "adapter_model.safetensors").read_bytes()


def logged(folder: Path) -> list[dict[str, Any]]:
    """The log without what a clock has a say in."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    clocks = ("runtime", "per_second", "_seconds")
    return [
        {key: value for key, value in line.items() if not key.endswith(clocks)}
        for line in lines
        if "train_runtime" not in line
    ]


class SignalAt(TrainerCallback):
    """Sends a signal to this process when something happens at a step."""

    def __init__(self, event: str, step: int, number: signal.Signals, times: int = 1) -> None:
        self.step, self.number, self.times = step, number, times
        setattr(self, event, self._fire)

    def _fire(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        while state.global_step == self.step and self.times:
            self.times -= 1
            signal.raise_signal(self.number)


@pytest.fixture
def signal_at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the next runs receive a signal; `signal_at.undo()` ends that."""
    original = training.make_trainer

    def plan(*words: Any, **options: Any) -> None:
        def make(*args: Any, **kwargs: Any) -> Any:
            trainer = original(*args, **kwargs)
            trainer.add_callback(SignalAt(*words, **options))
            return trainer

        monkeypatch.setattr(training, "make_trainer", make)

    plan.undo = lambda: monkeypatch.setattr(training, "make_trainer", original)  # type: ignore[attr-defined]
    return plan


def long_recipe(folder: Path, run: str = "run", **changes: Any) -> Recipe:
    """Two epochs of six steps on a model with dropout, every step logged."""
    settings = {"max_steps": -1, "num_train_epochs": 2, "logging_steps": 1, "learning_rate": 1e-3, **changes}
    return recipe_for("classification", folder, training=settings, output={"dir": str(folder / run)})


@pytest.mark.parametrize(
    ("event", "step", "changes"),
    [
        ("on_step_begin", 3, {}),
        ("on_step_begin", 5, {"eval_strategy": "epoch"}),
        ("on_prediction_step", 6, {"eval_strategy": "epoch"}),
        ("on_step_begin", 3, {"save_strategy": "steps", "save_steps": 4, "save_total_limit": 1}),
        ("on_step_begin", 7, {"save_strategy": "epoch", "load_best_model_at_end": True, "save_total_limit": 1}),
        ("on_step_begin", 2, {"save_strategy": "steps", "save_steps": 3, "save_only_model": True}),
        ("on_step_begin", 11, {"logging_steps": 5}),
    ],
    ids=["in an epoch", "at its end", "in an evaluation", "one checkpoint kept", "best", "models only", "last step"],
)
def test_stopped_and_resumed_equals_never_stopped(
    event: str, step: int, changes: dict[str, Any], tmp_path: Path, signal_at: Any
) -> None:
    train(long_recipe(tmp_path, "whole", **changes), show_progress=False)
    recipe = long_recipe(tmp_path, **changes)
    signal_at(event, step, signal.SIGINT)
    with pytest.raises(StoppedError, match=r"--resume goes on from step \d+") as caught:
        train(recipe, show_progress=False)
    assert caught.value.exit_code == 130
    done = step if event == "on_prediction_step" else step + 1
    assert f"from step {done}" in str(caught.value)
    assert (tmp_path / "run" / f"checkpoint-{done}" / "trainer_state.json").exists()
    stopped = record_of(tmp_path / "run")
    assert stopped["status"] == "interrupted"
    signal_at.undo()
    result = train(recipe, resume=True, show_progress=False)
    assert weights_of(tmp_path / "run") == weights_of(tmp_path / "whole")
    assert result.metrics["eval_loss"] == json.loads((tmp_path / "whole" / "all_results.json").read_text())["eval_loss"]
    assert logged(tmp_path / "run") == logged(tmp_path / "whole")
    record = record_of(tmp_path / "run")
    assert record["status"] == "finished"
    assert [leg["from_step"] for leg in record["legs"]] == [0, done]
    assert record["started_at"] == stopped["started_at"]
    assert record["train_seconds"] == pytest.approx(sum(leg["train_seconds"] for leg in record["legs"]))
    assert record["train_seconds"] == result.train_seconds


def test_sigterm_is_as_good(tmp_path: Path, signal_at: Any) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    signal_at("on_step_begin", 2, signal.SIGTERM)
    with pytest.raises(StoppedError, match="from step 3") as caught:
        train(long_recipe(tmp_path), show_progress=False)
    assert caught.value.exit_code == 143
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_second_signal_stops_at_once_and_the_run_starts_again(tmp_path: Path, signal_at: Any) -> None:
    signal_at("on_step_begin", 2, signal.SIGINT, times=2)
    with pytest.raises(StoppedError, match="before there was a checkpoint; the same command starts again"):
        train(long_recipe(tmp_path), show_progress=False)
    assert record_of(tmp_path / "run")["status"] == "interrupted"
    signal_at.undo()
    train(long_recipe(tmp_path), show_progress=False)
    assert [line["step"] for line in logged(tmp_path / "run") if "loss" in line] == list(range(1, 13))


def test_resuming_without_a_checkpoint_starts_from_the_beginning(tmp_path: Path, signal_at: Any) -> None:
    train(long_recipe(tmp_path, "whole"), show_progress=False)
    signal_at("on_step_begin", 2, signal.SIGINT, times=2)
    with pytest.raises(StoppedError):
        train(long_recipe(tmp_path), show_progress=False)
    signal_at.undo()
    result = train(long_recipe(tmp_path), resume=True, show_progress=False)
    assert "no checkpoint yet" in result.notes[0]
    assert weights_of(tmp_path / "run") == weights_of(tmp_path / "whole")
    assert logged(tmp_path / "run") == logged(tmp_path / "whole")


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    recipe = recipe_for("classification", tmp_path, training={"save_strategy": "steps", "save_steps": 2})
    result = train(recipe, show_progress=False)
    before = everything(tmp_path)
    again = train(recipe, resume=True, show_progress=False)
    assert everything(tmp_path) == before
    assert (again.status, again.metrics, again.folder) == ("finished", result.metrics, result.folder)
    assert "already finished" in again.notes[0]
    assert again.train_seconds == result.train_seconds


def test_no_step_is_added_to_a_run_that_was_killed_after_its_last(tmp_path: Path) -> None:
    recipe = recipe_for("classification", tmp_path, training={"save_strategy": "steps", "save_steps": 2})
    whole = train(recipe, show_progress=False)
    folder = whole.folder
    expected = weights_of(folder)
    (folder / "adapter_model.safetensors").unlink()
    (folder / "run.json").write_text(json.dumps({**record_of(folder), "status": "running"}))
    result = train(recipe, resume=True, show_progress=False)
    assert weights_of(folder) == expected
    assert result.metrics["train_loss"] == pytest.approx(whole.metrics["train_loss"])
    assert json.loads((folder / "all_results.json").read_text())["train_loss"] == result.metrics["train_loss"]
    assert not any(note.startswith("no step was left") for note in whole.notes)
    assert any("train_runtime is not known" in note for note in result.notes)
    assert result.metrics["eval_loss"] > 0
    assert max(line["step"] for line in logged(folder)) == 4


def test_a_folder_that_became_read_only_says_what_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_for("classification", tmp_path, training={"save_strategy": "steps", "save_steps": 2})
    folder = train(recipe, show_progress=False).folder
    (folder / "adapter_model.safetensors").unlink()
    (folder / "run.json").write_text(json.dumps({**record_of(folder), "status": "running"}))

    def refuse(*args: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(folder / "run.json"))

    monkeypatch.setattr(training.RunRecord, "write", refuse)
    with pytest.raises(ResourceError, match=r"checkpoint-4 is whole; .* then run the same command with --resume"):
        train(recipe, resume=True, show_progress=False)


@pytest.mark.parametrize("change", ["texts", "names", "validation"])
def test_other_data_are_refused_and_nothing_is_written(change: str, tmp_path: Path, signal_at: Any) -> None:
    files = {"train": tmp_path / "a.csv", "validation": tmp_path / "b.csv"}
    rows = [f"row {n},{['no', 'yes'][n % 2]}" for n in range(24)]
    for file in files.values():
        file.write_text("\n".join(["text,label", *rows]))
    data = {**{split: str(file) for split, file in files.items()}, "columns": {"text": "text", "label": "label"}}
    recipe = recipe_for("classification", tmp_path, data=data)
    signal_at("on_step_begin", 2, signal.SIGINT)
    with pytest.raises(StoppedError):
        train(recipe, show_progress=False)
    signal_at.undo()
    old, new = {"texts": ("row 3,", "cow 3,"), "names": ("yes", "sure"), "validation": ("row 5,", "cow 5,")}[change]
    for split, file in files.items():
        if split == "validation" or change != "validation":
            file.write_text(file.read_text().replace(old, new))
    before = everything(tmp_path)
    expected = {
        "texts": ["data.train", "data.validation"],
        "names": ["data.validation", "data.labels"],
        "validation": ["data.validation"],
    }[change]
    with pytest.raises(OutputError) as caught:
        train(recipe, resume=True, show_progress=False)
    assert [problem.where for problem in caught.value.problems] == ["--resume", *expected]
    assert everything(tmp_path) == before
    assert hashlib.sha256(files["validation"].read_bytes()).hexdigest()[:12] in str(caught.value)


def test_every_change_is_told_at_once_with_both_values(tmp_path: Path, signal_at: Any) -> None:
    signal_at("on_step_begin", 2, signal.SIGINT)
    with pytest.raises(StoppedError):
        train(long_recipe(tmp_path), show_progress=False)
    signal_at.undo()
    changed = long_recipe(tmp_path, learning_rate=5e-5, weight_decay=0.1)  # writes the data anew
    data = tmp_path / "train.jsonl"
    data.write_text(data.read_text() + "\n" + json.dumps({"text": "row 24", "label": 0}))
    before = everything(tmp_path)
    changed = changed.model_copy(update={"adapter": changed.adapter.model_copy(update={"r": 2})})
    with pytest.raises(OutputError) as caught:
        train(changed, resume=True, show_progress=False)
    first, *rest = (str(problem) for problem in caught.value.problems)
    assert "5 of the things" in first
    assert "start a new run in another folder" in first
    assert rest[:3] == [
        "adapter.r: 4 in the checkpoint, 2 now",
        "training.learning_rate: 0.001 in the checkpoint, 5e-05 now",
        "training.weight_decay: 0.0 in the checkpoint, 0.1 now",
    ]
    assert [line.split(":")[0] for line in rest[3:]] == ["data.train", "data.validation"]
    assert f"'{data}', rows 24 in the checkpoint, 25 now, SHA-256 of the file" in rest[3]
    assert everything(tmp_path) == before


def test_changed_settings_are_told_also_where_the_data_are_gone(tmp_path: Path, signal_at: Any) -> None:
    signal_at("on_step_begin", 2, signal.SIGINT)
    with pytest.raises(StoppedError):
        train(long_recipe(tmp_path), show_progress=False)
    signal_at.undo()
    changed = long_recipe(tmp_path, seed=7)
    (tmp_path / "train.jsonl").unlink()
    with pytest.raises(InputError) as caught:
        train(changed, resume=True, show_progress=False)
    said = str(caught.value)
    assert "training.seed: 42 in the checkpoint, 7 now" in said
    assert "train.jsonl" in said


def test_a_run_folder_that_was_moved_goes_on(tmp_path: Path, signal_at: Any) -> None:
    train(long_recipe(tmp_path, "whole"), show_progress=False)
    signal_at("on_step_begin", 2, signal.SIGINT)
    with pytest.raises(StoppedError):
        train(long_recipe(tmp_path), show_progress=False)
    signal_at.undo()
    (tmp_path / "run").rename(tmp_path / "moved")
    train(long_recipe(tmp_path, "moved"), resume=True, show_progress=False)
    assert weights_of(tmp_path / "moved") == weights_of(tmp_path / "whole")


@pytest.mark.parametrize("method", ["pissa", "full"])
def test_a_damaged_checkpoint_is_passed_over(method: str, tmp_path: Path) -> None:
    changes = {"save_strategy": "steps", "save_steps": 2, "max_steps": 6, "save_total_limit": 5}
    recipe = recipe_for("classification", tmp_path, training=changes, adapter={"method": method})
    weights = "model.safetensors" if method == "full" else "adapter_model.safetensors"
    folder = train(recipe, show_progress=False).folder
    expected = (folder / weights).read_bytes()
    (folder / weights).unlink()
    damaged = folder / "checkpoint-6" / ("model.safetensors" if method == "full" else "trainable.safetensors")
    damaged.write_bytes(damaged.read_bytes()[:-100])
    (folder / "checkpoint-4" / "optimizer.json").unlink()
    result = train(recipe, resume=True, show_progress=False)
    assert result.notes[0].startswith(f"checkpoint-6 is not complete ({damaged.name} is damaged: ")
    assert result.notes[1].startswith("checkpoint-4 is not complete (optimizer.json is missing)")
    assert "goes on from checkpoint-2" in result.notes[0]
    assert (folder / weights).read_bytes() == expected
    assert (folder / "damaged-checkpoint-6" / damaged.name).exists()
    assert (folder / "damaged-checkpoint-4").exists()


def test_a_good_checkpoint_is_never_removed_for_a_damaged_one(tmp_path: Path, signal_at: Any) -> None:
    """transformers keeps the highest step; where the clock of the files is too coarse, whatever its age."""
    recipe = long_recipe(tmp_path, save_strategy="steps", save_steps=4, save_total_limit=1)
    signal_at("on_step_begin", 4, signal.SIGINT)
    with pytest.raises(StoppedError, match="from step 5"):
        train(recipe, show_progress=False)
    shutil.copytree(tmp_path / "run" / "checkpoint-5", tmp_path / "run" / "checkpoint-11")
    signal_at("on_step_begin", 9, signal.SIGINT)
    with pytest.raises(StoppedError, match="from step 10"):
        train(recipe, resume=True, show_progress=False)


def test_without_a_complete_checkpoint_every_fault_is_named(tmp_path: Path, signal_at: Any) -> None:
    signal_at("on_step_begin", 2, signal.SIGINT)
    with pytest.raises(StoppedError):
        train(long_recipe(tmp_path), show_progress=False)
    signal_at.undo()
    (tmp_path / "run" / "checkpoint-3" / "trainer_state.json").unlink()
    before = everything(tmp_path)
    with pytest.raises(OutputError, match=r"checkpoint-3 is not complete \(trainer_state.json is missing\)"):
        train(long_recipe(tmp_path), resume=True, show_progress=False)
    with pytest.raises(OutputError, match="already holds files"):
        train(long_recipe(tmp_path), show_progress=False)
    assert everything(tmp_path) == before


def test_a_failed_start_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(training, "begin_record", fail)
    with pytest.raises(RuntimeError):
        train(recipe_for("classification", tmp_path), show_progress=False)
    assert not (tmp_path / "run").exists()


def test_the_shortest_run_logs_its_last_step(tmp_path: Path) -> None:
    recipe = recipe_for("classification", tmp_path, training={"max_steps": 3, "logging_steps": 10})
    train(recipe, show_progress=False)
    assert [line["step"] for line in logged(tmp_path / "run") if "loss" in line] == [3]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("run.json", b'{"data":[],"model":3,"legs":7}', r"run.json: 'data' is a list, expected a mapping"),
        ("run.json", b'{"legs":"x","data":{"train":5,"fingerprint":1}}', r"'data.train' is 5, expected a mapping"),
        ("run.json", b"\xff\xfe\x00", r"run.json: is damaged: it is no JSON"),
        ("recipe.resolved.yaml", b"\xff\xfe\x00", r"recipe.resolved.yaml:1: not UTF-8"),
        ("recipe.resolved.yaml", b"[]", r"recipe.resolved.yaml"),
    ],
)
def test_damaged_files_are_named(name: str, content: bytes, said: str, tmp_path: Path, signal_at: Any) -> None:
    signal_at("on_step_begin", 2, signal.SIGINT)
    with pytest.raises(StoppedError):
        train(long_recipe(tmp_path), show_progress=False)
    signal_at.undo()
    (tmp_path / "run" / name).write_bytes(content)
    before = everything(tmp_path)
    with pytest.raises(InputError, match=said):
        train(long_recipe(tmp_path), resume=True, show_progress=False)
    assert everything(tmp_path) == before


def test_odd_folders_and_lines_are_no_obstacle(tmp_path: Path, signal_at: Any) -> None:
    train(long_recipe(tmp_path, "whole"), show_progress=False)
    signal_at("on_step_begin", 2, signal.SIGINT)
    with pytest.raises(StoppedError):
        train(long_recipe(tmp_path), show_progress=False)
    signal_at.undo()
    for odd in ("checkpoint-\u00b2", "checkpoint-\u0663", "checkpoint-x"):
        (tmp_path / "run" / odd).mkdir()
    log = tmp_path / "run" / "metrics.jsonl"
    log.write_bytes(log.read_bytes() + b"\xff\x00\n")
    train(long_recipe(tmp_path), resume=True, show_progress=False)
    assert weights_of(tmp_path / "run") == weights_of(tmp_path / "whole")
    assert logged(tmp_path / "run") == logged(tmp_path / "whole")
