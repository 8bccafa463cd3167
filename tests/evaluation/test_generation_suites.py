"""Items of the generation suites: read, checked, and found where they lie."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import datasets
import pytest

from balora.data.sources import HubDataset
from balora.errors import DataError
from balora.evaluation.generation_suites import GENERATION_SUITES, data_of, read_rows, shots_of
from balora.evaluation.harness import TASK_FILES
from tests.support.real import data_root, real_path

GSM8K = GENERATION_SUITES["gsm8k"]


def write(path: Path, *rows: dict[str, object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_every_suite_has_its_task_file() -> None:
    for suite in GENERATION_SUITES.values():
        text = (TASK_FILES / f"{suite.task.removeprefix('balora_')}.yaml").read_text()
        assert f"task: {suite.task}\n" in text
        assert all(metric in text for metric in suite.metrics)


def test_items_keep_their_places(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", {"question": "a?", "answer": "#### 1"}, {"question": "b?", "answer": "#### 2"})
    found = read_rows(GSM8K, str(path))
    assert [row["place"] for row in found.rows] == [f"{path}:1", f"{path}:2"]
    assert found.sha256
    assert len(read_rows(GSM8K, f"{path}[:1]").rows) == 1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"query": "a?"}], "no column 'question'"),
        ([{"question": "a?", "answer": ""}, {"question": None, "answer": "1"}], "'answer' is missing"),
    ],
)
def test_what_cannot_be_asked_is_refused(rows: list[dict[str, object]], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        read_rows(GSM8K, str(write(tmp_path / "t.jsonl", *rows)))


def test_few_shot_examples_lie_beside_the_items_or_in_the_folder(tmp_path: Path) -> None:
    test = write(tmp_path / "gsm8k" / "test.jsonl", {"question": "a?", "answer": "1"})
    with pytest.raises(DataError, match="set shots=0"):
        shots_of(GSM8K, test, 5)
    assert shots_of(GSM8K, test, 0) is None
    train = write(tmp_path / "gsm8k" / "train.jsonl", {"question": "a?", "answer": "1"})
    assert shots_of(GSM8K, test, 5) == shots_of(GSM8K, tmp_path, 5) == str(train)
    assert shots_of(GSM8K, None, 5) == "hub:train"
    assert data_of(GSM8K, tmp_path) == str(test)
    assert data_of(GSM8K, None) == "hub:test"


def test_items_come_from_a_dataset_where_no_file_is_named(tmp_path: Path) -> None:
    """A dataset saved to disk takes the path of one on the hub."""
    rows = [{"question": "a?", "answer": "#### 1"}, {"question": "b?", "answer": "#### 2"}]
    datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)}).save_to_disk(tmp_path / "d")
    suite = replace(GSM8K, hub=HubDataset(str(tmp_path / "d"), None, None))
    found = read_rows(suite, data_of(suite, None))
    assert [row["question"] for row in found.rows] == ["a?", "b?"]
    assert found.sha256 is None


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "rows"),
    [("gsm8k", 1319), ("math500", 500), ("svamp", 1000), ("humaneval", 164), ("mbpp", 974), ("mbpp_sanitized", 427)],
)
def test_real_files(name: str, rows: int) -> None:
    real_path("data/README.md")
    suite = GENERATION_SUITES[name]
    assert len(read_rows(suite, data_of(suite, data_root() / "data")).rows) == rows
