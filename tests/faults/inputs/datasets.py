"""Data files as people really break them, beyond those of tests/data: through the command line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from tests.data.test_malformed_files import CASES as OF_THE_DATA_ROOM
from tests.data.test_malformed_files import Broken
from tests.faults.inputs.bench import ANSWERS, CLASSES, Bench, Case, lines

FINE, OTHER = {"text": "fine", "label": 0}, {"text": "other", "label": 1}
ASK = {"prompt": "What is 1?", "completion": "one"}


def _through_the_command_line(broken: Broken) -> Case:
    """A case of the data room with its file beside the recipe."""
    given = dict(broken.settings)
    data: dict[str, Any] = {"train": broken.name + given.pop("slice", ""), **given}
    said = broken.message.replace("FILE", broken.name)
    return Case(broken.id, said, task=broken.task, files={broken.name: broken.content}, settings={"data": data})


def _csv(name: str, content: str | bytes, said: str, row: int = 8, **data: Any) -> Case:
    return Case(name, said, row, files={"a.csv": content}, settings={"data": data})


def _jsonl(name: str, content: str | bytes, said: str, row: int = 0, task: str = "classification", **data: Any) -> Case:
    return Case(name, said, row, task=task, files={"a.jsonl": content}, settings={"data": data})


def _asked(name: str, bad: object, said: str, row: int = 0, **data: Any) -> Case:
    """One bad row after a good one, of a generation set."""
    return _jsonl(name, lines(ASK, bad), said, row, "generation", **data)


def _validation(name: str, content: str, said: str, row: int, task: str = "classification", **data: Any) -> Case:
    train = CLASSES if task == "classification" else ANSWERS
    files = {"a.jsonl": train, "v.jsonl": content}
    return Case(name, said, row, task=task, files=files, settings={"data": {"validation": "v.jsonl", **data}})


def _chat(*turns: object) -> dict[str, Any]:
    return {"messages": list(turns)}


USER, BOT = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}


def _unreadable(folder: Path, _: Bench) -> None:
    (folder / "a.jsonl").unlink()
    (folder / "a.jsonl").mkdir()


def _loop(folder: Path, _: Bench) -> None:
    (folder / "a.jsonl").unlink()
    (folder / "a.jsonl").symlink_to(folder / "a.jsonl")


def write_parquet(rows: list[dict[str, Any]], cut: int | None = None) -> Any:
    def write(folder: Path, _: Bench) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet")
        content = (folder / "a.parquet").read_bytes()
        (folder / "a.parquet").write_bytes(content[:cut])

    return write


DELIMITED = [
    _csv("only blank lines", "\n\n\n", "a.csv: ...empty", 5),
    _csv("only a byte order mark", b"\xef\xbb\xbf", "a.csv: ...empty", 5),
    _csv("rows without a field", "text,label\n,\n,\n", "a.csv:2: 'text' is empty; ...a.csv:3", 6),
    _csv("column of blanks", "text,label\n \t,0\nb,1\n", "a.csv:2: 'text' is empty", 6),
    _csv("ragged in the middle", "text,label\na,0\nb,1,2\nc,1\nd\n", "a.csv:3: 3 fields...a.csv:5: 1 field"),
    _csv("unquoted comma", "text,label\nyes, sir,0\nno,1\n", "a.csv:2: 3 fields, but the header has 2"),
    _csv("quote never closed at the end", 'text,label\na,0\nb,1\n"c,0\n', "a.csv:4: ...never closed"),
    _csv(
        "position of another file",
        "a,0\nb,1\n",
        "data.columns.label: a.csv has no column 7",
        columns={"text": 0, "label": 7},
    ),
    _csv("negative position", "a,0\nb,1\n", "data.columns.text", columns={"text": -1, "label": 1}),
    _csv("delimiter of two characters", "text,label\na,0\nb,1\n", "data.delimiter", delimiter="||"),
    _csv("delimiter that is empty", "text,label\na,0\nb,1\n", "data.delimiter", delimiter=""),
    _csv("unknown encoding", "text,label\na,0\nb,1\n", "data.encoding", 9, encoding="utf-9"),
    _csv("wrong encoding", "text,label\ncaf\u00e9,0\nb,1\n", "a.csv:2: ...ascii", 9, encoding="ascii"),
    _csv("utf-32", "text,label\na,0\n".encode("utf-32"), "a.csv", 9),
    _csv("utf-16 without a mark", "text,label\na,0\nb,1\n".encode("utf-16-le"), "a.csv", 9),
    _csv("not text at all", bytes(range(256)) * 4, "a.csv", 9),
    _csv(
        "label out of range in a mapping", "text,label\na,1\nb,2\nc,9\n", "a.csv:4: label", 11, labels={"1": 0, "2": 1}
    ),
    _csv(
        "mapping with a gap", "text,label\na,1\nb,2\n", "data.labels: maps to the ids 0, 2", 13, labels={"1": 0, "2": 2}
    ),
    _csv("mapping to one id", "text,label\na,1\nb,2\n", "data.labels: maps to the ids 0", 15, labels={"1": 0, "2": 0}),
    _csv(
        "class named twice",
        "text,label\na,x\nb,y\n",
        "data.labels: names 'x' more than once",
        10,
        labels=["x", "x", "y"],
    ),
    _csv("one class named", "text,label\na,x\nb,x\n", "data.labels: names 1 class", 15, labels=["x"]),
    _csv(
        "free text as label",
        "text,label\n" + "".join(f"row {n},sentence {n}\n" for n in range(50)),
        "a.csv column 'label': 50 different values",
        10,
    ),
    _csv("minus one among labels", "text,label\na,0\nb,1\nc,-1\n", "a.csv:4: label -1, which means", 12),
    _csv("negative label", "text,label\na,0\nb,1\nc,-2\n", "a.csv column 'label': holds the ids -2", 13),
    _csv(
        "ids from one",
        "text,label\na,1\nb,2\n",
        'a.csv column \'label\': holds the ids 1, 2...data.labels: {"1": 0, "2": 1}',
        13,
    ),
    _csv(
        "mixed case classes",
        "text,label\na,Yes\nb,No\nc,maybe\n",
        "a.csv:4: label 'maybe' is none of no, yes",
        10,
        labels=["no", "yes"],
    ),
    _csv("one row", "text,label\na,0\n", "a.csv column 'label': holds one class only", 15),
    _csv(
        "share of one row",
        "text,label\na,0\n",
        "data.validation: one training row cannot be shared out",
        5,
        labels=["0", "1"],
        validation=0.5,
    ),
    _csv("no row to spare", "text,label\na,0\nb,1\n", "data.validation: ...no class", 5, validation=0.5),
]
LABELLED = [
    _jsonl("null text", lines(FINE, OTHER, {"text": None, "label": 0}), "a.jsonl:3: 'text' is missing", 3),
    _jsonl("null label", lines(FINE, OTHER, {"text": "x", "label": None}), "a.jsonl:3: the label is missing", 3),
    _jsonl(
        "object for text",
        lines(FINE, {"text": {"a": 1}, "label": 1}),
        "a.jsonl:2: 'text' is an object, expected text",
        4,
    ),
    _jsonl(
        "truth value for text",
        lines(FINE, {"text": True, "label": 1}),
        "a.jsonl:2: 'text' is true/false, expected text",
        4,
    ),
    _jsonl(
        "object for label",
        lines(FINE, {"text": "x", "label": {"a": 1}}),
        "a.jsonl:2: 'label' is an object, expected a label",
        4,
    ),
    _jsonl(
        "several faults",
        lines(FINE, {"text": 5, "label": 1}, {"label": 1}, {"text": "", "label": 1}),
        "a.jsonl:2: ...a.jsonl:3: ...a.jsonl:4: ",
        3,
    ),
    _jsonl(
        "label column empty throughout",
        lines({"text": "a", "label": ""}, {"text": "b", "label": ""}),
        "a.jsonl...label",
        10,
    ),
    _jsonl("no label column", lines({"text": "a"}, {"text": "b"}), "a.jsonl: no column for 'label'", 1),
    _jsonl(
        "label column under another name",
        lines({"text": "a", "lable": 0}, {"text": "b", "lable": 1}),
        "a.jsonl...did you mean 'lable'?",
        1,
    ),
    _jsonl(
        "fraction among labels",
        lines(FINE, OTHER, {"text": "x", "label": 0.5}),
        "a.jsonl column 'label': ...task: regression",
        15,
    ),
    _jsonl(
        "not a number among ids",
        lines(FINE, OTHER) + '{"text": "b", "label": NaN}\n',
        "a.jsonl:3: the label is missing",
        10,
    ),
    _jsonl("huge number as label", lines(FINE, OTHER, {"text": "x", "label": 10**30}), "a.jsonl", 13),
    _jsonl(
        "text in the place of an id",
        lines({"text": 0, "label": "good"}, {"text": 1, "label": "bad"}),
        "a.jsonl:1: 'text' is a number",
        4,
    ),
    _jsonl("unknown role", CLASSES, "data.columns.txt", 1, columns={"txt": "text"}),
    _jsonl(
        "mapped to nothing",
        CLASSES,
        "data.columns.text: a.jsonl has no column 'texts'...did you mean 'text'?",
        1,
        columns={"text": "texts"},
    ),
    _jsonl("truncated file", CLASSES[:-9], "a.jsonl:8: not valid JSON", 2),
    _jsonl(
        "two objects on a line", '{"text": "a", "label": 0}{"text": "b", "label": 1}\n', "a.jsonl:1: not valid JSON", 2
    ),
    _jsonl("single quotes", "{'text': 'a', 'label': 0}\n", "a.jsonl:1: not valid JSON", 2),
    _jsonl("a comment", "# rows\n" + CLASSES, "a.jsonl:1: not valid JSON", 2),
    _jsonl(
        "three broken lines",
        lines(FINE) + "{\n" + lines(OTHER) + "}\n" + "x\n",
        "a.jsonl:2: ...a.jsonl:4: ...a.jsonl:5: ",
        2,
    ),
    _jsonl("key twice", '{"text": "a", "text": "b", "label": 0}\n{"text": "c", "label": 1}\n', "a.jsonl:1: ", 8),
    _jsonl("deep nesting", "[" * 100_000 + "\n", "a.jsonl: nested too deeply", 2),
    _jsonl("numbers only", "1\n2\n", "a.jsonl:2: not valid JSON", 2),
    _jsonl("a string", '"text"\n', "a.jsonl: holds a string; expected a list of objects", 2),
    _jsonl(
        "preset without its columns",
        lines({"foo": "a", "bar": 0}, {"foo": "b", "bar": 1}),
        "a.jsonl: no column for 'text'",
        1,
        preset="cola",
    ),
    _jsonl(
        "preset of a pair without the second text",
        lines({"sentence1": "a", "label": 0}, {"sentence1": "b", "label": 1}),
        "a.jsonl: no column for 'text'...found 'sentence1', 'label'",
        1,
        preset="mrpc",
    ),
    _jsonl(
        "class that no preset has",
        lines({"sentence": "a", "label": 0}, {"sentence": "b", "label": 7}),
        "a.jsonl:2: label 7 but labels are 0..1",
        11,
        preset="cola",
    ),
    _jsonl(
        "everything too long",
        lines({"text": "x" * 90, "label": 0}, {"text": "y" * 90, "label": 1}),
        "train: every row is longer than 10 tokens",
        17,
        max_length=10,
        too_long="drop",
    ),
    _jsonl("slice beyond the file", CLASSES, "a.jsonl: 0 usable rows", 5, train="a.jsonl[100:]"),
    _jsonl("slice of percent", CLASSES, "data.train: ", 5, train="a.jsonl[:x%]"),
]
LISTS = [
    Case("json scalar", "a.json: ", 2, files={"a.json": "7"}),
    Case("json null", "a.json: ", 2, files={"a.json": "null"}),
    Case("json empty list", "a.json: 0 usable rows", 5, files={"a.json": "[]"}),
    Case("json list of lists", "a.json[0]: a list, but every row must be an object", 2, files={"a.json": "[[1, 2]]"}),
    Case("json cut", "a.json:1: not valid JSON", 2, files={"a.json": json.dumps([FINE, OTHER])[:-5]}),
    Case("json columns of unequal length", "a.json", 8, files={"a.json": '{"text": ["a", "b"], "label": [0]}'}),
    Case("gzip that is none", "a.jsonl.gz: not a whole gzip file", 9, files={"a.jsonl.gz": CLASSES}),
    Case(
        "gzip cut", "a.jsonl.gz: not a whole gzip file", 9, files={"a.jsonl.gz": gzip.compress(CLASSES.encode())[:40]}
    ),
    Case("gzip inside", "a.jsonl", 9, files={"a.jsonl": gzip.compress(CLASSES.encode())}),
    Case("zip archive", "a.zip: unknown kind of file '.zip'", 9, files={"a.zip": b"PK\x03\x04"}),
    Case("no ending", "data: unknown kind of file", 9, files={"data": CLASSES}),
    Case(
        "parquet cut",
        "a.parquet: not a readable parquet file",
        2,
        files={"a.parquet": ""},
        prepare=write_parquet([FINE, OTHER], -9),
    ),
    Case(
        "parquet without rows",
        "a.parquet: 0 usable rows",
        5,
        files={"a.parquet": ""},
        prepare=write_parquet([FINE, OTHER]),
        settings={"data": {"train": "a.parquet[5:]"}},
    ),
    Case(
        "parquet of numbers",
        "a.parquet",
        4,
        files={"a.parquet": ""},
        prepare=write_parquet([{"text": 1, "label": 0}, {"text": 2, "label": 1}]),
    ),
    Case(
        "parquet with nulls",
        "a.parquet",
        3,
        files={"a.parquet": ""},
        prepare=write_parquet([FINE, OTHER, {"text": None, "label": 0}]),
    ),
    Case("a folder for a file", "a.jsonl: cannot be read...data.train", 5, files={"a.jsonl": ""}, prepare=_unreadable),
    Case("a link to itself", "a.jsonl: cannot be read...data.train", 5, files={"a.jsonl": ""}, prepare=_loop),
    Case(
        "no such file",
        "trian.jsonl: no such file; did you mean 'train.jsonl'?",
        44,
        settings={"data": {"train": "trian.jsonl"}},
    ),
    Case("no such validation file", "none.jsonl: no such file", 44, settings={"data": {"validation": "none.jsonl"}}),
    Case(
        "two files missing",
        "x.jsonl: no such file...y.jsonl: no such file",
        44,
        settings={"data": {"train": "x.jsonl", "validation": "y.jsonl"}},
    ),
    Case("a pattern of files", "*.jsonl: no such file", 44, settings={"data": {"train": "*.jsonl"}}),
]
GENERATED = [
    _asked("no answer", {"prompt": "x"}, "a.jsonl:2: 'completion' is missing", 3),
    _asked("null prompt", {"prompt": None, "completion": "b"}, "a.jsonl:2: 'prompt' is missing", 3),
    _asked("blank prompt", {"prompt": "  ", "completion": "b"}, "a.jsonl:2: 'prompt' is empty", 6),
    _asked(
        "number as answer",
        {"prompt": "x", "completion": 4},
        "a.jsonl:2: 'completion' is a number, expected text (4)",
        4,
    ),
    _asked(
        "list as answer", {"prompt": "x", "completion": ["y"]}, "a.jsonl:2: 'completion' is a list, expected text", 4
    ),
    _asked("template with an unknown column", ASK, "data.template: ...topic", 1, template="{topic}: {prompt}"),
    _asked("template with an open brace", ASK, "data.template", 1, template="{prompt"),
    _asked("template without a column", ASK, "data.template", 1, template="Answer:"),
    _asked("unknown template", ASK, "data.template", 20, template="alpacca"),
    _asked("chat without a template", ASK, "data.template", 20, template="chat"),
    _jsonl(
        "every prompt fills the row",
        lines({"prompt": "q" * 99, "completion": "a"}),
        "train: 1 of 1 rows have no answer token left at max_length 48 (first: a.jsonl:1)",
        16,
        "generation",
    ),
    _jsonl("alpaca without output", lines({"instruction": "a", "input": "b"}), "a.jsonl", 1, "generation"),
    _jsonl("messages as text", lines({"messages": "hi"}), "a.jsonl:1: 'messages'", 4, "generation"),
    _jsonl("messages empty", lines({"messages": []}), "a.jsonl:1: 'messages'", 6, "generation"),
    _jsonl(
        "turn without content",
        lines(_chat(USER, {"role": "assistant"})),
        "a.jsonl:1: 'messages' turn 1",
        3,
        "generation",
    ),
    _jsonl("turn that is text", lines(_chat("hi", "hello")), "a.jsonl:1: 'messages' turn 0", 4, "generation"),
    _jsonl("two users in a row", lines(_chat(USER, USER)), "a.jsonl:1: 'messages'", 6, "generation"),
    _jsonl(
        "system turn late",
        lines(_chat(USER, BOT, {"role": "system", "content": "s"}, BOT)),
        "data.format: conversations need a chat template",
        20,
        "generation",
    ),
    _jsonl("labels without text", lines({"label": 1}, {"label": 0}), "a.jsonl", 1, "generation"),
    _validation("validation of another shape", lines({"question": "a", "answer": "b"}), "v.jsonl", 14, "generation"),
    _validation("validation that is empty", "", "v.jsonl: the file is empty", 5),
    _validation("validation without labels", lines({"text": "a"}), "v.jsonl: no column for 'label'", 14),
    _validation("validation with minus one", lines({"text": "a", "label": -1}), "v.jsonl:1: label -1", 12),
    _validation(
        "class unseen in training", lines(FINE, {"text": "x", "label": 2}), "v.jsonl:2: label 2 but labels are 0..1", 14
    ),
    _validation(
        "class named but without rows",
        lines(FINE, {"text": "x", "label": "c"}),
        "v.jsonl:2: class 'c' (1 rows of validation) has no training row",
        14,
        labels={"0": 0, "1": 1, "c": 2},
    ),
    _validation(
        "class by name against ids",
        lines({"text": "a", "label": "good"}),
        "v.jsonl:1: label 'good' is none of 0, 1",
        14,
    ),
    _validation("broken in both", "{\n", "v.jsonl:1: not valid JSON", 2),
    Case(
        "both splits broken",
        "a.jsonl:1: not valid JSON...v.jsonl:2: not valid JSON",
        2,
        files={"a.jsonl": "{\n", "v.jsonl": "[\n"},
        settings={"data": {"validation": "v.jsonl"}},
    ),
    Case(
        "both splits with bad rows",
        "a.jsonl:2: ...v.jsonl:2: ",
        3,
        files={"a.jsonl": lines(FINE, {"label": 1}, OTHER), "v.jsonl": lines(FINE, {"label": 1})},
        settings={"data": {"validation": "v.jsonl"}},
    ),
    Case(
        "score as text",
        "a.tsv:3: 'high' is not a number",
        15,
        task="regression",
        files={"a.tsv": "sentence1\tsentence2\tscore\na\tb\t1.0\na\tb\thigh\nc\td\t2\n"},
    ),
    Case(
        "score that is not finite",
        "a.tsv:3: inf is not a finite number",
        15,
        task="regression",
        files={"a.tsv": "sentence1\tsentence2\tscore\na\tb\t1.0\na\tb\tinf\nc\td\t2\n"},
    ),
    Case(
        "score missing",
        "a.tsv:3: the score is missing",
        3,
        task="regression",
        files={"a.tsv": "sentence1\tsentence2\tscore\na\tb\t1.0\na\tb\t\nc\td\t2\n"},
    ),
    Case(
        "all scores equal",
        "a.tsv column 'score': every score is 1",
        15,
        task="regression",
        files={"a.tsv": "sentence1\tsentence2\tscore\na\tb\t1.0\na\tb\t1.0\n"},
    ),
]
BIG = '{"text": "x", "label": 1, "unused": ' + "9" * 5000 + "}\n"
NOBODY = "~nobodyxyz/a.jsonl"


def _parquet_of_bytes(folder: Path, _: Bench) -> None:
    """A column that says it is text and is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = pa.array([b"fine", b"caf\xe9", b"x", b"y"]).cast(pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": texts, "label": [0, 1, 0, 1]}), folder / "a.parquet")


CSV = "text,label\na,0\nb,1\nc,0\nd,1\n"
PYTHON = [
    _jsonl(
        "integer of 5000 digits", lines(FINE, OTHER) + BIG, "a.jsonl:3: not usable JSON (a number of more than 4300"
    ),
    Case(
        "integer of 5000 digits in a list",
        "a.json: not usable JSON (a number of more than 4300 digits); correct",
        files={"a.json": f"[{BIG.strip()}]"},
    ),
    *(
        _csv(f"encoding {name}", CSV, f"data.encoding: '{name}' is no known encoding of text; use", encoding=name)
        for name in ("base64", "hex", "rot13", "zlib", "undefined")
    ),
    *(
        _csv(f"path {name[:12]}", CSV, said, 44, train=name)
        for name, said in (
            (NOBODY, f"{NOBODY}: the home folder of '~nobodyxyz' is not known; write it out"),
            ("a\0.csv", "holds a character of code 0, which no path can; take it out"),
            ("x" * 4000 + ".csv", ": a name of 4004 bytes is longer than the 255"),
            ("xy/" * 2000 + "a.csv", ": a path of more than 4095 bytes is longer"),
            ("a.csv[:" + "9" * 5000 + "]", "is not a slice; write [:1000]"),
        )
    ),
    Case("run of nobody", "~nobodyxyz/a: the home folder of", 44, command=("evaluate", "~nobodyxyz/a")),
    Case("recipe of nobody", "~nobodyxyz/r.yaml: ", 44, command=("validate", "~nobodyxyz/r.yaml")),
    Case(
        "parquet with text that is none",
        "a.parquet[1]: 'text' is no UTF-8 text (byte 0xe9 at 3); write",
        settings={"data": {"train": "a.parquet"}},
        prepare=_parquet_of_bytes,
    ),
]
TSV = "sentence1\tsentence2\tscore\na\tb\t{}\nc\td\t1\ne\tf\t2\n"
GUESSES = [
    *(
        Case(f"score {value[:9]!a}", f"a.tsv:2: {said}", 7, task="regression", files={"a.tsv": TSV.format(value)})
        for value, said in (
            ("1e308", "1e308 is not a number of at most 1e+18, whose square float32 can hold"),
            ("-1e19", "-1e19 is not a number of at most 1e+18"),
            ("1_000", "'1_000' is not a number as 0.5 or 1e-3 are"),
            ("\u0661\u0662", "'\u0661\u0662' is not a number as 0.5"),
            ("x" * 5000, "'" + "x" * 80 + "' is not a number"),
        )
    ),
    Case(
        "score infinite in most rows",
        "a.tsv:2: inf is not a finite number...a.tsv:3: inf is not a finite number",
        15,
        task="regression",
        files={"a.tsv": TSV.format("inf").replace("\t1\n", "\tinf\n")},
    ),
    _jsonl(
        "label NaN beside one class",
        '{"text": "a", "label": NaN}\n{"text": "b", "label": "x"}\n',
        "a.jsonl:1: the label is missing...holds one class only, 'x'",
    ),
    _csv("column of lookalikes", "t\u0435xt,label\na,0\nb,1\n", "'t\u0435xt' holds U+0435; type its name anew"),
    _csv("column with a letter unseen", "te\u200bxt,label\na,0\nb,1\n", "holds U+200B; type its name anew"),
]
CASES = [
    *PYTHON,
    *GUESSES,
    *map(_through_the_command_line, OF_THE_DATA_ROOM),
    *DELIMITED,
    *LABELLED,
    *LISTS,
    *GENERATED,
]
