"""Texts that were written once are found again, under the same settings only, whatever stopped the writing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from balora.errors import OutputError, ResourceError
from balora.evaluation.transcripts import Transcripts, sha256_of

GREEDY = {"do_sample": False, "until": ["\n"]}


def test_what_was_kept_is_known_to_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    Transcripts(path, {"weights": "a"}).keep("What?", GREEDY, "That.")
    again = Transcripts(path, {"weights": "a"})
    assert again.known("What?", GREEDY, 0) == "That."
    assert again.reused == 1
    assert again.known("Who?", GREEDY, 0) is None
    assert again.known("What?", {**GREEDY, "until": []}, 0) is None
    assert again.known("What?", GREEDY, 1) is None


def test_another_model_s_texts_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    Transcripts(path, {"weights": "a"}).keep("What?", GREEDY, "That.")
    other = Transcripts(path, {"weights": "b"})
    assert other.known("What?", GREEDY, 0) is None
    other.keep("What?", GREEDY, "This.")
    assert Transcripts(path, {"weights": "a"}).known("What?", GREEDY, 0) == "That."
    assert Transcripts(path, {"weights": "b"}).known("What?", GREEDY, 0) == "This."


def test_samples_are_numbered_in_order(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    for text in ("one", "two"):
        Transcripts(path, {}).keep("What?", GREEDY, text)
    again = Transcripts(path, {})
    assert [again.text("What?", GREEDY, number) for number in (0, 1)] == ["one", "two"]


def test_a_line_that_was_cut_off_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    first = Transcripts(path, {})
    first.keep("a", GREEDY, "1")
    first.keep("b", GREEDY, "2")
    path.write_bytes(path.read_bytes()[:-20])
    second = Transcripts(path, {})
    assert second.known("a", GREEDY, 0) == "1"
    assert second.known("b", GREEDY, 0) is None
    second.keep("b", GREEDY, "2")
    third = Transcripts(path, {})
    assert (third.known("a", GREEDY, 0), third.known("b", GREEDY, 0)) == ("1", "2")
    assert json.loads(path.read_text().splitlines()[-1])["prompt"] == "b"


def test_without_a_path_nothing_is_written(tmp_path: Path) -> None:
    kept = Transcripts(None, {})
    kept.keep("a", GREEDY, "1")
    assert kept.text("a", GREEDY, 0) == "1"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(OutputError, match="cannot be read"):
        Transcripts(path, {})


def test_the_order_of_settings_does_not_matter() -> None:
    assert sha256_of({"a": 1, "b": [2]}) == sha256_of({"b": [2], "a": 1})
    assert sha256_of({"a": 1}) != sha256_of({"a": 2})


def test_a_full_disk_is_told_with_the_option_to_change(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").symlink_to("/dev/full")
    written = Transcripts(None, {})
    written.path = tmp_path / "a.jsonl"
    with pytest.raises(ResourceError, match=r"what the model wrote could not be written: No space.*--out"):
        written.keep("p", {}, "t")
