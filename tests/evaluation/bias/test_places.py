"""A folder of data is known by the names that the authors' repositories use."""

from __future__ import annotations

from pathlib import Path

import pytest

from balora.errors import DataError
from balora.evaluation.bias import BENCHMARKS, benchmarks_in, source_in
from balora.evaluation.bias.places import PLACES
from tests.support.real import data_root, real_path

FILES = {
    "crows_pairs": "crows_pairs/crows_pairs_anonymized.csv",
    "stereoset": "stereoset/dev.json",
    "winobias": "winobias/pro_stereotyped_type1.txt.test",
    "winogender": "winogender/all_sentences.tsv",
    "bbq": "bbq/Age.jsonl",
    "bold": "bold/gender_prompt.json",
}


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


def test_every_benchmark_has_a_place() -> None:
    assert list(PLACES) == list(BENCHMARKS) == list(FILES)


def test_a_folder_of_folders_holds_all_of_them(tmp_path: Path) -> None:
    write(tmp_path, *FILES.values())
    assert benchmarks_in(tmp_path) == list(FILES)
    for name, file in FILES.items():
        wanted = tmp_path / file
        assert source_in(tmp_path, name) == str(wanted if name == "crows_pairs" else wanted.parent)


@pytest.mark.parametrize("name", [name for name in FILES if name != "stereoset"])
def test_the_folder_of_one_is_known_by_its_files(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, FILES[name]) / Path(FILES[name]).parent
    renamed = folder.rename(tmp_path / "mine")
    assert benchmarks_in(renamed) == [name]
    assert Path(source_in(renamed, name)).is_relative_to(renamed)


def test_files_that_others_have_too_tell_nothing_unless_the_benchmark_is_named(tmp_path: Path) -> None:
    write(tmp_path, "dev.json", "train.jsonl", "bold/gender_prompt.json")
    assert benchmarks_in(tmp_path) == ["bold"]
    assert source_in(tmp_path, "stereoset") == str(tmp_path)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file of any bias benchmark"):
        benchmarks_in(tmp_path)
    with pytest.raises(DataError, match=r"no file of bbq \(looked for \*\.jsonl, bbq/"):
        source_in(tmp_path, "bbq")
    file = write(tmp_path, "pairs.csv") / "pairs.csv"
    assert source_in(file, "crows_pairs") == str(file)
    with pytest.raises(DataError, match="is no folder, and no single benchmark is named"):
        benchmarks_in(file)


@pytest.mark.real
def test_the_real_folders_are_found() -> None:
    real_path("data/bold")
    assert benchmarks_in(data_root() / "data") == list(BENCHMARKS)
