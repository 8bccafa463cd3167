"""One table of data files as people really break them: each ends in one DataError with place and remedy."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from balora.data import DataSettings, encode, load_text_data
from balora.errors import DataError
from tests.data.conftest import Write
from tests.support.tiny import character_tokenizer


@dataclass(frozen=True)
class Broken:
    """A file, the settings it is read with, and what the message must hold."""

    id: str
    name: str
    content: str | bytes
    message: str
    """Parts of the message in order, joined by ...; FILE stands for the file."""
    task: str = "classification"
    settings: dict[str, Any] = field(default_factory=dict)


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


FINE = {"text": "fine", "label": "a"}
OTHER = {"text": "other", "label": "b"}
CHAT = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}

CASES = [
    # delimited files
    Broken("empty file", "a.csv", "", "FILE: the file is empty; ...name a file with rows"),
    Broken("header only", "a.csv", "text,label\n", "FILE: 0 usable rows (0 read, 0 dropped); ...name a file"),
    Broken("too few fields", "a.csv", "text,label\na,x\nb\n", "FILE:3: 1 fields, but the header has 2; ...on_bad_row"),
    Broken(
        "too many fields", "a.tsv", "text\tlabel\na\tx\nb\ty\tz\n", "FILE:3: 3 fields, but the header has 2; ...drop"
    ),
    Broken(
        "unclosed quote", "a.csv", 'text,label\na,x\n"b,y\nc,z\n', "FILE:3: ...never closed; ...data.quoting: false"
    ),
    Broken("text behind a quote", "a.csv", 'text,label\n"a" b,x\n', 'FILE:2: not valid csv ...write a quote ...as ""'),
    Broken("column named twice", "a.csv", "text,label,text\na,x,b\n", "FILE:1: ...'text' more than once; rename one"),
    Broken("wrong delimiter", "a.csv", "text;label\na;x\n", "FILE:1: one column only...set data.delimiter: ';'"),
    Broken(
        "no header", "a.csv", "gj04,1\na,0\n", "FILE: no column for 'text' ...data.header: false and give positions"
    ),
    Broken(
        "position out of range",
        "a.csv",
        "a,x\nb,y\n",
        "data.columns.label: FILE has no column 2; count from 0 to 1",
        settings={"columns": {"text": 0, "label": 2}},
    ),
    Broken(
        "not utf-8",
        "a.csv",
        b"text,label\na,x\ncaf\xe9,y\n",
        "FILE:3: byte 0xe9 at offset 18 ...data.encoding: latin-1",
    ),
    Broken("utf-16", "a.csv", "text,label\na,x\n".encode("utf-16"), "FILE: ...utf-16 mark; set data.encoding: utf-16"),
    Broken(
        "damaged gzip", "a.csv.gz", gzip.compress(b"text,label\n" * 99)[:-20], "FILE: not a whole gzip file ...pack"
    ),
    Broken("empty text", "a.csv", "text,label\na,x\n  ,y\n", "FILE:3: 'text' is empty; ...on_bad_row: drop"),
    Broken("empty label", "a.csv", "text,label\na,x\nb,y\nc,\n", "FILE:4: the label is missing; ...on_bad_row: drop"),
    Broken("score as class", "a.tsv", "text\tlabel\na\t2.5\nb\t3.1\n", "FILE column 'label': ...set task: regression"),
    Broken(
        "class as score",
        "a.tsv",
        "text\tlabel\na\tyes\nb\tno\n",
        "FILE column 'label': ...looks like classification...set task: classification",
        task="regression",
    ),
    Broken("one class", "a.csv", "text,label\na,x\nb,x\n", "FILE column 'label': holds one class only, 'x'; use rows"),
    Broken(
        "ids with gaps", "a.csv", "text,label\na,1\nb,2\nc,5\n", 'FILE column ...data.labels: {"1": 0, "2": 1, "5": 2}'
    ),
    Broken(
        "mixed labels",
        "a.csv",
        "text,label\na,1\nb,yes\n",
        "FILE column 'label': mixes numbers (1) and texts (yes); say",
    ),
    Broken(
        "id out of range",
        "a.csv",
        "text,label\na,0\nb,1\nc,2\n",
        "FILE:4: label 2 but labels are 0..1 (no, yes); correct it",
        settings={"labels": ["no", "yes"]},
    ),
    Broken(
        "misspelt class",
        "a.csv",
        "text,label\na,no\nb,yes\nc,yess\n",
        "FILE:4: label 'yess' is none of no, yes; did you mean 'yes'?",
        settings={"labels": ["no", "yes"]},
    ),
    Broken(
        "unlabelled split",
        "a.tsv",
        "sentence\tlabel\na\t-1\nb\t-1\n",
        "FILE:2: label -1, which means ...use a labelled split",
        settings={"preset": "sst2"},
    ),
    # json
    Broken("empty jsonl", "a.jsonl", "\n", "FILE: the file is empty; name"),
    Broken("broken line", "a.jsonl", lines(FINE) + '{"text": \n', "FILE:2: not valid JSON (...at column ...; correct"),
    Broken(
        "line that is a list",
        "a.jsonl",
        lines(FINE, ["x"]),
        "FILE:2: a list, but every line must be an object; correct",
    ),
    Broken("broken document", "a.json", '[\n{"text": "a"},\n]', "FILE:3: not valid JSON ...; correct it"),
    Broken("document without rows", "a.json", '{"version": 1}', "FILE: ...no list of rows; expected a list of objects"),
    Broken(
        "several lists", "a.json", '{"x": [{"a": 1}], "y": [{"a": 1}]}', "FILE: ...2 lists of rows (x, y); expected"
    ),
    Broken(
        "missing key", "a.jsonl", lines(FINE, OTHER, {"label": "a"}), "FILE:3: 'text' is missing; ...on_bad_row: drop"
    ),
    Broken(
        "number for text",
        "a.jsonl",
        lines(FINE, {**OTHER, "text": 5}),
        "FILE:2: 'text' is a number, expected text (5); ",
    ),
    Broken(
        "list for label",
        "a.jsonl",
        lines(FINE, {**OTHER, "label": [1]}),
        "FILE:2: 'label' is a list, expected a label; ",
    ),
    Broken(
        "half a surrogate",
        "a.jsonl",
        lines(FINE, {**OTHER, "text": "\ud800"}),
        "FILE:2: 'text' holds half of a surrogate",
    ),
    Broken(
        "row in a list", "a.json", json.dumps([FINE, 7]), "FILE[1]: a number, but every row must be an object; correct"
    ),
    Broken(
        "key in a row by number",
        "a.json",
        json.dumps({"0": FINE, "1": {"label": "b"}}),
        "FILE[\"1\"]: 'text' is missing; correct",
    ),
    Broken("not parquet", "a.parquet", b"PAR1 no", "FILE: not a readable parquet file (...; write it again"),
    Broken("unknown ending", "a.xlsx", b"PK", "FILE: unknown kind of file '.xlsx'; name a file that ends in csv"),
    # columns
    Broken(
        "misspelt column",
        "a.jsonl",
        lines({"instrution": "a", "output": "b"}),
        "FILE: no column for 'instruction' ...did you mean 'instrution'? then set data.columns",
        task="generation",
        settings={"format": "alpaca"},
    ),
    Broken(
        "unknown columns",
        "a.jsonl",
        lines({"foo": "a", "bar": "b"}),
        "FILE: the columns do not tell the format; found 'foo', 'bar'; name them",
        task="generation",
    ),
    Broken(
        "two answers",
        "a.jsonl",
        lines({"question": "a", "answer": "b", "solution": "c"}),
        "FILE: 'response' could be 'answer' or 'solution'; set data.columns: {response: answer}",
        task="generation",
    ),
    Broken(
        "mapped column that is not there",
        "a.jsonl",
        lines({"question": "a", "answer": "b"}),
        "data.columns.query: FILE has no column 'qestion'; found 'question', 'answer'; did you mean 'question'?",
        task="generation",
        settings={"columns": {"query": "qestion"}},
    ),
    Broken(
        "role of another task",
        "a.jsonl",
        lines({"question": "a", "answer": "b", "x": "c"}),
        "data.columns.label: the role 'label' is not used here; roles in use",
        task="generation",
        settings={"columns": {"label": "x"}},
    ),
    # generation
    Broken(
        "blank answer",
        "a.jsonl",
        lines({"question": "a", "answer": "b"}, {"question": "a", "answer": "\n"}),
        "FILE:2: 'answer' is empty; correct it, or set data.on_bad_row: drop",
        task="generation",
    ),
    Broken(
        "conversation without answer",
        "a.jsonl",
        lines(CHAT, {"messages": [{"role": "user", "content": "hi"}]}),
        "FILE:2: 'messages' has no assistant turn, so there is nothing to learn; correct",
        task="generation",
    ),
    Broken(
        "unknown speaker",
        "a.jsonl",
        lines(CHAT, {"messages": [{"role": "alien", "content": "hi"}]}),
        "FILE:2: 'messages' turn 0 is spoken by 'alien', expected one of system...; correct",
        task="generation",
    ),
    Broken(
        "no chat template",
        "a.jsonl",
        lines(CHAT),
        "data.format: conversations need a chat template, and the tokenizer has none; use a model",
        task="generation",
    ),
    Broken(
        "prompt fills the row",
        "a.jsonl",
        lines({"prompt": "q", "completion": "a"}, {"prompt": "q" * 99, "completion": "a"}),
        "train: 1 of 2 rows have no answer token left at max_length 20 (first: FILE:2); set data.too_long",
        task="generation",
        settings={"max_length": 20},
    ),
    Broken(
        "too long where that is an error",
        "a.jsonl",
        lines(FINE, {**OTHER, "text": "x" * 99}),
        "train: 1 of 2 rows are longer than 20 tokens (first: FILE:2); raise data.max_length",
        settings={"max_length": 20, "too_long": "error"},
    ),
    Broken(
        "empty slice",
        "a.jsonl",
        lines(FINE, OTHER),
        "FILE: 0 usable rows (0 read, 0 dropped); name a file with rows, or a slice that is not empty",
        settings={"slice": "[5:]"},
    ),
    Broken(
        "bad slice",
        "a.jsonl",
        lines(FINE, OTHER),
        "data.train: [first 5] is not a slice; write [:1000]",
        settings={"slice": "[first 5]"},
    ),
    Broken(
        "all rows dropped",
        "a.jsonl",
        lines({"text": "", "label": "a"}, {"text": None, "label": "b"}),
        "FILE: 0 usable rows (2 read, 2 dropped); ...FILE:1: 'text' is empty; ...FILE:2: 'text' is missing; ",
        settings={"on_bad_row": "drop", "labels": ["a", "b"]},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_broken_files_end_in_one_message_with_place_and_fix(case: Broken, write: Write, tmp_path: Path) -> None:
    path = write(case.name, case.content)
    given = dict(case.settings)
    settings = DataSettings(train=path + given.pop("slice", ""), **given)
    before = {entry: entry.read_bytes() for entry in tmp_path.iterdir()}
    with pytest.raises(DataError) as error:
        encode(load_text_data(settings, case.task), character_tokenizer(), settings)
    message = str(error.value)
    rest = message
    for part in case.message.replace("FILE", path).split("..."):
        assert part.strip() in rest, f"{part!r} is not in {message!r}"
        rest = rest.partition(part.strip())[2]
    assert all(problem.where and problem.what and problem.fix for problem in error.value.problems), message
    assert all("\n" not in str(problem) for problem in error.value.problems), message
    assert {entry: entry.read_bytes() for entry in tmp_path.iterdir()} == before


def test_the_table_is_long_enough() -> None:
    assert len({case.id for case in CASES}) == len(CASES) >= 25


def test_many_rows_of_one_fault_stay_readable(write: Write) -> None:
    rows = [{"prompt": "p", "completion": "" if i % 2 else "c"} for i in range(2000)]
    with pytest.raises(DataError) as error:
        load_text_data(DataSettings(train=write("a.jsonl", lines(*rows))), "generation")
    assert len(error.value.problems) == 6
    assert "1000 rows in all: 'completion' is empty" in str(error.value)


VALID_BUT_ODD = {
    "byte order mark": ("a.csv", b"\xef\xbb\xbftext,label\na,x\nb,y\n"),
    "crlf": ("a.csv", b"text,label\r\na,x\r\nb,y\r\n"),
    "no last line end": ("a.csv", b"text,label\na,x\nb,y"),
    "blank lines": ("a.csv", b"text,label\n\na,x\n\nb,y\n\n"),
    "words for nothing": ("a.csv", b"text,label\nNA,x\nnull,y\n"),
    "line end in a field": ("a.csv", b'text,label\n"a\nb",x\nc,y\n'),
    "index column": ("a.csv", b",text,label\n0,a,x\n1,b,y\n"),
    "header with blanks": ("a.csv", b" Text , Label \na,x\nb,y\n"),
    "lone quotes in tsv": ("a.tsv", b'text\tlabel\n"a\tx\nb"\ty\n'),
    "jsonl called json": ("a.json", lines(FINE, OTHER).encode()),
    "json called jsonl": ("a.jsonl", json.dumps([FINE, OTHER]).encode()),
    "gzip": ("a.jsonl.gz", gzip.compress(lines(FINE, OTHER).encode())),
    "escaped unicode": ("a.jsonl", lines({**FINE, "text": "caf\u00e9 \U0001f600"}, OTHER).encode()),
    "labels as numbers and text": ("a.jsonl", lines({**FINE, "label": 0}, {**OTHER, "label": "1"}).encode()),
    "truth values": ("a.jsonl", lines({**FINE, "label": True}, {**OTHER, "label": False}).encode()),
    "floats that are whole": ("a.csv", b"text,label\na,0.0\nb,1.0\n"),
}


@pytest.mark.parametrize("odd", VALID_BUT_ODD)
def test_odd_but_valid_files_are_read(odd: str, write: Write) -> None:
    text = load_text_data(DataSettings(train=write(*VALID_BUT_ODD[odd])), "classification")
    assert len(text.train) == 2
    assert {example.label for example in text.train.examples} == {0, 1}
