from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest

from balora.data import DataSettings, load_text_data
from balora.data.hub import read_hub
from balora.data.sources import EVERY_ROW, HubDataset, RowSlice, Source
from balora.errors import DataError

FEATURES = datasets.Features({"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})


@pytest.fixture(autouse=True)
def _own_datasets_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets cache")


@pytest.fixture
def saved(tmp_path: Path) -> str:
    """A folder in the form that `save_to_disk` writes, with train, validation and an unlabelled test split."""
    labels = {"train": [0, 1, 1, 0], "validation": [1, 0], "test": [-1, -1]}
    splits = {
        name: datasets.Dataset.from_dict(
            {"sentence": [f"{name} {i}" for i in range(len(ids))], "label": ids}, features=FEATURES
        )
        for name, ids in labels.items()
    }
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "saved"))
    return str(tmp_path / "saved")


def test_ids_become_names_and_missing_labels_stay(saved: str) -> None:
    table = read_hub(Source("train", EVERY_ROW, HubDataset(saved, None, None)), "data.train")
    assert table.column("label") == ["no", "yes", "yes", "no"]
    test = read_hub(Source("test", EVERY_ROW, HubDataset(saved, None, None)), "data.test")
    assert test.column("label") == [-1, -1]


def test_slices_keep_the_row_numbers_of_the_split(saved: str) -> None:
    table = read_hub(Source("train", RowSlice.parse("2:", "here"), HubDataset(saved, None, None)), "data.train")
    assert table.column("sentence") == ["train 2", "train 3"]
    assert table.place(1) == f"{saved} train[3]"


def test_a_whole_run_from_a_dataset(saved: str) -> None:
    settings = DataSettings(dataset=saved, train="train[:3]", validation="validation", test="test")
    text = load_text_data(settings, "classification")
    assert text.label_names == ("no", "yes")
    assert [example.label for example in text.train.examples] == [0, 1, 1]
    assert not text.test.labelled
    assert text.sources["train"].rows == 3
    assert text.sources["train"].sha256 is None


def test_the_order_of_the_settings_wins_by_name(saved: str) -> None:
    settings = DataSettings(dataset=saved, labels=["yes", "no"])
    assert [example.label for example in load_text_data(settings, "classification").train.examples] == [1, 0, 0, 1]


def test_an_unknown_split_lists_those_there_are(saved: str) -> None:
    with pytest.raises(
        DataError, match=r"data.validation: .* has no split 'valid', only train, validation, test; did you"
    ):
        load_text_data(DataSettings(dataset=saved, validation="valid"), "classification")


def test_training_on_the_unlabelled_split_is_refused(saved: str) -> None:
    with pytest.raises(DataError, match=r"test\[0\]: label -1, which means that the row has no label"):
        load_text_data(DataSettings(dataset=saved, train="test"), "classification")


def test_a_folder_of_files_is_a_dataset_too(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n')
    text = load_text_data(DataSettings(dataset=str(folder)), "classification")
    assert [example.text for example in text.train.examples] == ["a", "b"]


def test_what_cannot_be_loaded_is_one_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.dataset: '.*nothing' cannot be loaded"):
        load_text_data(DataSettings(dataset=str(tmp_path / "nothing")), "generation")


def test_parts_in_folders_of_a_repository(tmp_path: Path) -> None:
    for part in ("maths", "code"):
        (tmp_path / "repository" / part).mkdir(parents=True)
        row = json.dumps({"instruction": f"do {part}", "output": "done"})
        (tmp_path / "repository" / part / "train.jsonl").write_text(row + "\n")
    settings = DataSettings(dataset=str(tmp_path / "repository"), dataset_dir="maths", template="plain")
    text = load_text_data(settings, "generation")
    assert [example.prompt for example in text.train.examples] == ["do maths\n"]
    assert "maths" in text.sources["train"].where
