"""From a recipe to a run folder, for every kind of task, through the public path."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

from balora.errors import DivergedError, OutputError
from balora.recipe import Recipe, dump_recipe, parse_recipe
from balora.run import RunResult, train
from tests.support.folders import save_tiny, save_tiny_body
from tests.support.trained import models_kept

EXPECTED_FILES = {
    "README.md",
    "adapter_config.json",
    "adapter_model.safetensors",
    "all_results.json",
    "metrics.jsonl",
    "recipe.resolved.yaml",
    "recipe.yaml",
    "run.json",
    "tokenizer.json",
}


def write_classes(path: Path, rows: int = 24) -> Path:
    lines = [json.dumps({"text": f"row {n} {'good' if n % 2 else 'bad'}", "label": n % 2}) for n in range(rows)]
    path.write_text("\n".join(lines))
    return path


def write_pairs(path: Path, rows: int = 24) -> Path:
    lines = [f"a{n}\tb{n % 5}\t{n % 5}.5" for n in range(rows)]
    path.write_text("\n".join(["sentence1\tsentence2\tscore", *lines]))
    return path


def write_answers(path: Path, rows: int = 24) -> Path:
    lines = [json.dumps({"prompt": f"What is {n}?", "completion": f"it is {n}"}) for n in range(rows)]
    path.write_text("\n".join(lines))
    return path


def recipe_for(kind: str, folder: Path, **changes: Any) -> Recipe:
    """A recipe on a tiny model and 24 rows; changes are merged into its sections."""
    makers = {
        "classification": (write_classes, lambda path: save_tiny_body(path, "roberta")),
        "regression": (write_pairs, lambda path: save_tiny_body(path, "bert")),
        "generation": (write_answers, lambda path: save_tiny(path, "llama")),
        "seq2seq": (write_answers, lambda path: save_tiny(path, "t5", "seq2seq_lm")),
    }
    write, save = makers[kind]
    suffix = ".tsv" if kind == "regression" else ".jsonl"
    data = write(folder / f"train{suffix}")
    sections: dict[str, Any] = {
        "task": "generation" if kind == "seq2seq" else kind,
        "model": {"name_or_path": str(save(folder / "base"))},
        "data": {"train": str(data), "validation": str(data), "max_length": 48, "template": "auto"},
        "adapter": {"r": 4},
        "training": {"max_steps": 4, "per_device_train_batch_size": 4, "logging_steps": 2, "save_strategy": "no"},
        "output": {"dir": str(folder / "run")},
    }
    for section, values in changes.items():
        sections[section] = {**sections.get(section, {}), **values} if isinstance(values, dict) else values
    return Recipe(**sections)


def loaded_with_stock_peft(kind: str, folder: Path) -> torch.nn.Module:
    loaders: dict[str, Any] = {
        "classification": transformers.AutoModelForSequenceClassification,
        "regression": transformers.AutoModelForSequenceClassification,
        "generation": transformers.AutoModelForCausalLM,
        "seq2seq": transformers.AutoModelForSeq2SeqLM,
    }
    labels = {"classification": {"num_labels": 2}, "regression": {"num_labels": 1}}.get(kind, {})
    torch.manual_seed(123)
    base = loaders[kind].from_pretrained(folder / "base", **labels)
    model: torch.nn.Module = peft.PeftModel.from_pretrained(base, folder / "run").eval()
    return model


@pytest.mark.parametrize("kind", ["classification", "regression", "generation", "seq2seq"])
def test_a_recipe_becomes_a_run_folder(kind: str, tmp_path: Path) -> None:
    result = train(recipe_for(kind, tmp_path), show_progress=False)
    assert isinstance(result, RunResult)
    assert result.status == "finished"
    assert result.folder == tmp_path / "run"
    assert {path.name for path in result.folder.iterdir()} >= EXPECTED_FILES
    record = json.loads((result.folder / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["peak_cpu_gib"] > 0
    assert record["data"]["train"]["sha256"]
    assert record["seeds"]["training"] == 42
    assert json.loads((result.folder / "all_results.json").read_text()) == result.metrics
    expected = {"classification": "eval_accuracy", "regression": "eval_pearson"}.get(kind, "eval_perplexity")
    assert expected in result.metrics
    steps = [json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps if "loss" in line] == [2, 4]
    assert all("consistency" in line for line in steps if "loss" in line)


@pytest.mark.parametrize("kind", ["classification", "regression", "generation", "seq2seq"])
def test_the_adapter_computes_the_trained_function_in_stock_peft(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = models_kept(monkeypatch)
    train(recipe_for(kind, tmp_path, training={"learning_rate": 1e-2}), show_progress=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "run")
    inputs = dict(tokenizer(["What is 3?", "row 4 good"], return_tensors="pt", padding=True))
    inputs.pop("token_type_ids", None)
    if kind == "seq2seq":
        inputs["decoder_input_ids"] = inputs["input_ids"][:, :3]
    reloaded = loaded_with_stock_peft(kind, tmp_path)
    with torch.no_grad():
        ours = trained[0].eval()(**inputs).logits
        theirs = reloaded(**inputs).logits
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5)
    with torch.no_grad(), reloaded.disable_adapter():
        assert (reloaded(**inputs).logits - ours).abs().max() > 1e-3


def test_full_fine_tuning_writes_a_whole_model(tmp_path: Path) -> None:
    train(recipe_for("generation", tmp_path, adapter={"method": "full"}), show_progress=False)
    assert (tmp_path / "run" / "model.safetensors").exists()
    transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "run")


def test_the_resolved_recipe_repeats_the_run_exactly(tmp_path: Path) -> None:
    first = train(recipe_for("classification", tmp_path), show_progress=False)
    text = (first.folder / "recipe.resolved.yaml").read_text()
    again = parse_recipe(text, overrides=[f"output.dir={tmp_path / 'again'}"])
    second = train(again, show_progress=False)
    one, other = ((r.folder / "adapter_model.safetensors").read_bytes() for r in (first, second))
    assert one == other


def test_a_recipe_file_can_be_trained_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("# by hand\n" + dump_recipe(recipe_for("classification", tmp_path)))
    result = train(str(path), show_progress=False)
    assert result.status == "finished"
    assert (result.folder / "recipe.yaml").read_text().startswith("# by hand")


def test_a_folder_with_content_is_never_touched(tmp_path: Path) -> None:
    recipe = recipe_for("generation", tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="already holds files"):
        train(recipe, show_progress=False)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_resuming_ends_where_the_whole_run_ends(tmp_path: Path) -> None:
    changes = {"training": {"save_strategy": "steps", "save_steps": 2, "max_steps": 6, "save_total_limit": 5}}
    recipe = recipe_for("classification", tmp_path, **changes)
    adapter = train(recipe, show_progress=False).folder / "adapter_model.safetensors"
    expected = adapter.read_bytes()
    adapter.unlink()
    for step in (4, 6):
        shutil.rmtree(tmp_path / "run" / f"checkpoint-{step}")
    train(recipe, resume=True, show_progress=False)
    assert adapter.read_bytes() == expected


def test_resuming_with_other_settings_is_refused(tmp_path: Path) -> None:
    changes = {"training": {"save_strategy": "steps", "save_steps": 2}}
    train(recipe_for("classification", tmp_path, **changes), show_progress=False)
    other = recipe_for("classification", tmp_path, **changes, adapter={"r": 2})
    with pytest.raises(OutputError, match=r"adapter\.\w+: .* in the checkpoint"):
        train(other, resume=True, show_progress=False)
    with pytest.raises(OutputError, match="no run folder"):
        train(recipe_for("classification", tmp_path, output={"dir": str(tmp_path / "x")}), resume=True)


def test_a_run_that_fails_says_so_in_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from balora.training import BALoraTrainer

    def interrupted(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(BALoraTrainer, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(recipe_for("classification", tmp_path), show_progress=False)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["status"], record["failure"]) == ("interrupted", "KeyboardInterrupt")


def test_an_exit_that_no_signal_asked_for_is_no_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from balora.training import BALoraTrainer

    def leave(*args: Any, **kwargs: Any) -> None:
        raise SystemExit(1)

    monkeypatch.setattr(BALoraTrainer, "train", leave)
    with pytest.raises(SystemExit) as caught:
        train(recipe_for("classification", tmp_path), show_progress=False)
    assert caught.value.code == 1
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"


def test_progress_and_notes_go_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(recipe_for("classification", tmp_path))
    out, err = capsys.readouterr()
    assert out == ""
    assert "note: the checkpoint does not hold" in err
    assert "step 4/4  loss" in err
    assert "cons" in err
    assert "left" in err


def test_a_row_that_ends_a_run_is_named_by_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines before it that are left out shift the numbers of the rows, not the lines."""
    monkeypatch.setattr("balora.data.labels.LARGEST_SCORE", math.inf)
    recipe = recipe_for("regression", tmp_path, data={"on_bad_row": "drop"}, training={"max_steps": 12})
    lines = (tmp_path / "train.tsv").read_text().splitlines()
    lines[2], lines[9] = "a\tb\tnothing", "a8\tb3\t1e30"
    (tmp_path / "train.tsv").write_text("\n".join(lines))
    with pytest.raises(DivergedError, match=r"these rows \(counted from 0\) are .*train\.tsv:10[,;]") as caught:
        train(recipe, show_progress=False)
    assert re.search(r"training rows [^)]*\b7\b", str(caught.value))
