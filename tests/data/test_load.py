from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from balora.data import DataSettings, load_text_data
from balora.errors import DataError
from tests.data.conftest import Load, Write

ROWS = [{"text": f"text {i}", "label": "yes" if i % 3 else "no"} for i in range(30)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def labels_of(split: object) -> list[object]:
    return [example.label for example in split.examples]


def test_three_files(write: Write) -> None:
    settings = DataSettings(
        train=write("a.jsonl", LINES),
        validation=write("b.csv", "text,label\nnew,yes\n"),
        test=write("c.tsv", "idx\tsentence\n0\tnewer\n"),
    )
    text = load_text_data(settings, "classification")
    assert (len(text.train), len(text.validation), len(text.test)) == (30, 1, 1)
    assert labels_of(text.validation) == [1]
    assert (text.test.labelled, labels_of(text.test)) == (False, [None])
    assert text.metrics == ("accuracy", "f1")
    assert text.validation.examples[0].place.endswith("b.csv:2")


def test_a_test_split_may_lack_the_label_column_that_the_settings_name(write: Write) -> None:
    settings = DataSettings(
        train=write("a.csv", "body,kind\na,x\nb,y\n"),
        test=write("b.csv", "body\nc\n"),
        columns={"text": "body", "label": "kind"},
    )
    assert not load_text_data(settings, "classification").test.labelled
    swapped = settings.model_copy(update={"validation": settings.test, "test": None})
    with pytest.raises(DataError, match=r"b\.csv has no column 'kind'"):
        load_text_data(swapped, "classification")


def test_labels_are_matched_by_name_across_splits(write: Write) -> None:
    """MNLI's trap: two files that list the same classes in another order."""
    settings = DataSettings(
        train=write("a.csv", "text,label\na,neutral\nb,entailment\n"),
        validation=write("b.csv", "text,label\nc,entailment\nd,neutral\n"),
    )
    text = load_text_data(settings, "classification")
    names = text.label_names
    assert [names[example.label] for example in text.validation.examples] == ["entailment", "neutral"]


def test_sources_are_recorded(write: Write) -> None:
    packed = gzip.compress(LINES.encode(), mtime=0)
    path = write("a.jsonl.gz", packed)
    text = load_text_data(DataSettings(train=f"{path}[:12]", validation=0.25), "classification")
    source = text.sources["train"]
    assert (source.where, source.sha256, source.rows) == (path, hashlib.sha256(packed).hexdigest(), 12)
    assert text.sources["validation"].rows == len(text.validation) == 3
    assert text.sources["validation"].where == f"0.25 of {path}, seed 0"


def test_a_held_out_share_keeps_the_classes(load: Load) -> None:
    text = load(ROWS, "classification", validation=0.2)
    assert (len(text.train), len(text.validation)) == (24, 6)
    assert labels_of(text.validation).count(0) == 2


def test_row_limits_come_after_the_held_out_share(load: Load) -> None:
    text = load(ROWS, "classification", validation=0.2, max_train_rows=5, max_validation_rows=2)
    assert (len(text.train), len(text.validation)) == (5, 2)


def test_loading_twice_gives_the_same(load: Load) -> None:
    assert load(ROWS, "classification", validation=0.3) == load(ROWS, "classification", validation=0.3)


def test_a_class_unseen_in_training_is_refused(write: Write) -> None:
    settings = DataSettings(
        train=write("a.csv", "text,label\na,x\nb,y\n"),
        validation=write("b.csv", "text,label\nc,x\nd,z\ne,z\n"),
        labels=["x", "y", "z"],
    )
    with pytest.raises(DataError, match=r"b\.csv:3: class 'z' \(2 rows of validation\) has no training row"):
        load_text_data(settings, "classification")


def test_a_class_without_any_row_is_noted(write: Write) -> None:
    path = write("a.csv", "text,label\na,x\nb,y\n")
    text = load_text_data(DataSettings(train=path, labels=["x", "y", "z"]), "classification")
    assert text.notes == (f"{path}: no training row has the class z",)


def test_one_class_left_is_refused_whatever_removed_the_others(load: Load) -> None:
    with pytest.raises(DataError, match=r"holds one class only, 'yes'"):
        load(ROWS[1:], "classification", max_train_rows=2)


def test_problems_of_all_splits_come_at_once(write: Write) -> None:
    settings = DataSettings(
        train=write("a.jsonl", '{"prompt": "a", "completion": "b"}\n{"prompt": "", "completion": "b"}\n'),
        validation=write("b.jsonl", '{"prompt": "a"}\n{"prompt": "a", "completion": "c"}\n'),
    )
    with pytest.raises(DataError) as error:
        load_text_data(settings, "generation")
    assert [Path(problem.where).name for problem in error.value.problems] == ["a.jsonl:2", "b.jsonl:1"]


def test_dropping_every_row_is_refused_with_the_count(load: Load) -> None:
    with pytest.raises(DataError, match=r"0 usable rows \(2 read, 2 dropped\)"):
        load([{"prompt": "", "completion": "b"}] * 2, on_bad_row="drop")


def test_broken_lines_are_dropped_and_counted(write: Write) -> None:
    path = write("a.jsonl", '{"prompt": "a", "completion": "b"}\n{"prompt\n')
    text = load_text_data(DataSettings(train=path, on_bad_row="drop"), "generation")
    assert (len(text.train), text.train.rows_read, text.train.rows_dropped) == (1, 2, 1)
    assert text.notes == (f"{path}: left out 1 of 2 rows: not a JSON object (1); first {path}:2",)


def test_an_empty_slice_is_refused(write: Write) -> None:
    path = write("a.jsonl", LINES)
    with pytest.raises(DataError, match=r"0 usable rows \(0 read, 0 dropped\)"):
        load_text_data(DataSettings(train=f"{path}[30:]"), "classification")


def test_one_row_cannot_be_shared_out(load: Load) -> None:
    with pytest.raises(DataError, match=r"one training row cannot be shared out"):
        load([{"prompt": "a", "completion": "b"}], validation=0.5)
    with pytest.raises(DataError, match=r"no class of .* has a row to spare"):
        load([{"text": "a", "label": "x"}, {"text": "b", "label": "y"}], "classification", validation=0.5)


def test_rows_in_two_splits_are_noted(load: Load, write: Write) -> None:
    text = load(ROWS, "classification", validation=write("b.jsonl", LINES[: LINES.index("\n") + 1]))
    assert text.notes[-1].startswith("1 of 1 validation rows also occur in train: ")


def test_the_room_imports_without_the_heavy_libraries() -> None:
    heavy = ["torch", "transformers", "datasets", "pandas", "pyarrow"]
    code = f"import sys, balora.data; sys.exit(','.join(m for m in {heavy} if m in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
