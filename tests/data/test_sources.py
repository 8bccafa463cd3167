from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora.data import DataSettings, preset_named
from balora.data.sources import EVERY_ROW, RowSlice, file_ending, parse_source, plan_sources
from balora.errors import DataError

COLA = preset_named("cola", "classification")
bounds = st.none() | st.integers(-30, 30)


def written(bound: int | None) -> str:
    return "" if bound is None else str(bound)


@given(bounds, bounds, st.integers(0, 25))
def test_slices_with_row_numbers_mean_what_python_means(start: int | None, stop: int | None, total: int) -> None:
    rows = list(range(total))
    assert RowSlice.parse(f"{written(start)}:{written(stop)}", "here").take(rows) == rows[start:stop]


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 300))
def test_neighbouring_percentages_share_no_row_and_miss_none(first: int, second: int, total: int) -> None:
    low, high = sorted((first, second))
    parts = [RowSlice.parse(part, "here").rows(total) for part in (f":{low}%", f"{low}%:{high}%", f"{high}%:")]
    assert [row for part in parts for row in part] == list(range(total))


def test_negative_percentages_count_from_the_end() -> None:
    assert RowSlice.parse("-10%:", "here").rows(50) == range(45, 50)


def test_no_row_behind_an_absolute_slice_is_read() -> None:
    def rows() -> object:
        yield from range(3)
        pytest.fail("read on")

    assert RowSlice.parse(":3", "here").take(rows()) == [0, 1, 2]


@pytest.mark.parametrize("text", ["5", "a:b", "1:2:3", "", "10%", "1.5:2"])
def test_what_is_no_slice_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"data.train: .* is not a slice; write \[:1000\]"):
        parse_source(f"a.csv[{text}]", "data.train")


def test_a_file_with_brackets_in_its_name_is_that_file(tmp_path: Path) -> None:
    path = tmp_path / "a[1:2]"
    path.write_text("x")
    assert parse_source(str(path), "data.train").name == str(path)
    assert parse_source("a.csv[1:2]", "data.train").name == "a.csv"
    assert parse_source("a.csv", "data.train").rows == EVERY_ROW


def test_file_endings() -> None:
    assert [file_ending(name) for name in ("a.CSV", "a.b.jsonl.gz", "a", "x.tar.gz")] == [".csv", ".jsonl", "", ".tar"]


def plan(**settings: object) -> dict[str, str]:
    data = DataSettings(**settings)
    return {split: str(source) for split, source in plan_sources(data, COLA if data.preset else None).items()}


def test_without_a_dataset_every_name_is_a_file() -> None:
    assert plan(train="train", test="b.csv") == {"train": "train", "test": "b.csv"}


def test_with_a_dataset_names_are_splits_and_endings_mean_files() -> None:
    found = plan(dataset="some/data", dataset_config="one", train="train[:9]", validation="dev.jsonl")
    assert found == {"train": "some/data/one train", "validation": "dev.jsonl"}


def test_a_preset_alone_brings_its_dataset_and_validation_split() -> None:
    assert plan(preset="cola") == {"train": "nyu-mll/glue/cola train", "validation": "nyu-mll/glue/cola validation"}
    assert plan(preset="cola", validation=0.1) == {"train": "nyu-mll/glue/cola train"}


def test_a_preset_with_a_split_name_uses_its_dataset_and_with_a_file_the_file() -> None:
    assert plan(preset="cola", train="train[:9]", test="x.tsv") == {"train": "nyu-mll/glue/cola train", "test": "x.tsv"}


def test_an_existing_file_without_an_ending_wins_over_a_preset_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train").write_text("x")
    assert plan(preset="cola", train="train") == {"train": "train"}


def test_the_dataset_in_the_settings_wins_over_that_of_the_preset() -> None:
    assert plan(preset="cola", dataset="my/cola")["train"] == "my/cola train"


def test_a_preset_without_a_dataset_asks_for_a_file() -> None:
    with pytest.raises(DataError, match=r"'sick' names no hub dataset; set data.train to a file"):
        plan_sources(DataSettings(preset="sick"), preset_named("sick", "regression"))
