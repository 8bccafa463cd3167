"""Test sets out of plain files, archives and documents with several lists."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from balora.data.scored import ScoredSource, load_scored
from balora.errors import DataError

CLASSES = ("negative", "positive")


def source(path: Path, **changes: object) -> ScoredSource:
    return ScoredSource(task="classification", class_names=CLASSES, file=str(path), **changes)  # type: ignore[arg-type]


def rows(count: int) -> list[dict[str, object]]:
    return [
        {"text": f"row {number}", "label": number % 2, "kind": "a" if number < 3 else "b"} for number in range(count)
    ]


def test_a_plain_file_keeps_places_and_ids(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(4)))
    found = load_scored(source(path))
    assert [row.label for row in found.examples] == [0, 1, 0, 1]
    assert found.examples[2].place == f"{path}:3"
    assert found.source.rows == 4
    assert len(load_scored(source(Path(f"{path}[1:3]"))).examples) == 2


def test_one_class_is_enough_for_a_test_set(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(rows(1)[0]))
    assert len(load_scored(source(path)).examples) == 1


def test_a_member_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/set.jsonl", "".join(json.dumps(row) + "\n" for row in rows(3)))
    assert len(load_scored(source(path, member="data/set.jsonl")).examples) == 3
    with pytest.raises(DataError, match=r"'other.jsonl' cannot be read from it"):
        load_scored(source(path, member="other.jsonl"))
    path.write_bytes(b"no zip")
    with pytest.raises(DataError, match="cannot be read from it"):
        load_scored(source(path, member="data/set.jsonl"))


def test_a_list_among_several(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"one": rows(2), "two": rows(5)}))
    assert len(load_scored(source(path, key="two")).examples) == 5
    with pytest.raises(DataError, match="no list 'three' in it"):
        load_scored(source(path, key="three"))


def test_only_the_rows_that_are_meant(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(5)))
    found = load_scored(source(path, only=("kind", "b")))
    assert [row.text for row in found.examples] == ["row 3", "row 4"]
    assert found.examples[0].place.endswith(":4")
    with pytest.raises(DataError, match="no column 'sort'"):
        load_scored(source(path, only=("sort", "b")))


def test_a_file_without_an_ending_by_its_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "examples"
    path.write_text("good film\tpositive\nbad film\tnegative\n")
    found = load_scored(source(path, columns={"text": 0, "label": 1}, header=False, delimiter="\t"))
    assert [(row.text, row.label) for row in found.examples] == [("good film", 1), ("bad film", 0)]
    assert found.examples[1].place == f"{path}:2"


def test_bad_rows_are_named_or_dropped(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "a", "label": 7}\n{"text": "", "label": 1}\n{"text": "b", "label": 1}\n')
    with pytest.raises(DataError) as raised:
        load_scored(source(path))
    assert [problem.where for problem in raised.value.problems] == [f"{path}:2", f"{path}:1"]
    found = load_scored(source(path, on_bad_row="drop"))
    assert len(found.examples) == 1
    assert "left out 2 of 3 rows" in found.notes[0]


def test_nothing_to_score_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "a", "label": 7}\n')
    with pytest.raises(DataError, match="0 usable rows"):
        load_scored(source(path, on_bad_row="drop"))
    with pytest.raises(DataError, match="no such file"):
        load_scored(source(tmp_path / "none.jsonl"))
    with pytest.raises(DataError, match="on no hub"):
        load_scored(ScoredSource("classification", CLASSES))
