"""The generation suites by name: their items, the task file that asks them, and the scores that come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balora.data.files import read_file
from balora.data.hub import read_hub
from balora.data.load import table_of_file
from balora.data.settings import DataSettings
from balora.data.sources import HubDataset, Source, parse_source
from balora.errors import DataError, Problem
from balora.evaluation.labelled_sets import file_in
from balora.paths import user_path


@dataclass(frozen=True)
class GenerationSuite:
    """Items to which a model writes an answer."""

    name: str
    task: str
    """Name of the task file."""
    files: tuple[str, ...]
    """Where the items lie under a data folder, the first that is there."""
    columns: tuple[str, ...]
    """What every item must have."""
    metrics: tuple[str, ...]
    """The main one first."""
    max_new_tokens: int
    hub: HubDataset
    split: str = "test"
    shot_files: tuple[str, ...] = ()
    """Where few-shot examples lie: beside the items, or under a data folder."""
    shot_split: str | None = None
    shots: int = 0
    runs_code: bool = False
    """Whether what the model writes is run, in the sandbox."""
    item_ids: range | None = None
    """Task ids of the items, where the file also holds others."""


_GSM8K = HubDataset("openai/gsm8k", "main", None)
_MATH = HubDataset("HuggingFaceH4/MATH-500", None, None)
_SVAMP = HubDataset("ChilleD/SVAMP", None, None)
_MBPP = HubDataset("google-research-datasets/mbpp", "full", None)
_MATH_FILES = ("math500/test_ori.jsonl", "math500/test.jsonl", "test_ori.jsonl")
_SVAMP_FILES = ("svamp/test.jsonl",)
_SVAMP_COLUMNS = ("Body", "Question", "Answer")

MBPP_TEST_IDS = range(11, 511)
"""MBPP's test split; 1 to 10 are for prompts (Austin et al. 2021, arXiv 2108.07732, section 2.1)."""

GENERATION_SUITES: Mapping[str, GenerationSuite] = {
    suite.name: suite
    for suite in (
        GenerationSuite(
            "gsm8k",
            "balora_gsm8k",
            ("gsm8k/test.jsonl", "test.jsonl"),
            ("question", "answer"),
            ("exact_match_strict", "exact_match_flexible"),
            256,
            _GSM8K,
            shot_files=("gsm8k/train.jsonl", "train.jsonl"),
            shot_split="train",
            shots=5,
        ),
        GenerationSuite(
            "gsm8k_paper",
            "balora_gsm8k_paper",
            ("gsm8k/test.jsonl", "test.jsonl"),
            ("question", "answer"),
            ("accuracy", "answered"),
            1024,
            _GSM8K,
        ),
        GenerationSuite(
            "math500",
            "balora_math500",
            _MATH_FILES,
            ("problem", "answer"),
            ("accuracy", "answered"),
            1024,
            _MATH,
        ),
        GenerationSuite(
            "math500_paper",
            "balora_math500_paper",
            _MATH_FILES,
            ("problem", "answer"),
            ("accuracy", "answered"),
            1024,
            _MATH,
        ),
        GenerationSuite("svamp", "balora_svamp", _SVAMP_FILES, _SVAMP_COLUMNS, ("accuracy", "answered"), 256, _SVAMP),
        GenerationSuite(
            "svamp_paper", "balora_svamp_paper", _SVAMP_FILES, _SVAMP_COLUMNS, ("accuracy", "answered"), 1024, _SVAMP
        ),
        GenerationSuite(
            "humaneval",
            "balora_humaneval",
            ("humaneval/HumanEval.jsonl.gz", "HumanEval.jsonl.gz", "HumanEval.jsonl"),
            ("task_id", "prompt", "entry_point", "test"),
            ("pass@1",),
            512,
            HubDataset("openai/openai_humaneval", None, None),
            runs_code=True,
        ),
        GenerationSuite(
            "mbpp",
            "balora_mbpp",
            ("mbpp/mbpp.jsonl", "mbpp.jsonl"),
            ("task_id", "text", "code", "test_list"),
            ("pass@1",),
            512,
            _MBPP,
            shots=3,
            runs_code=True,
            item_ids=MBPP_TEST_IDS,
        ),
        GenerationSuite(
            "mbpp_sanitized",
            "balora_mbpp_sanitized",
            ("mbpp/sanitized-mbpp.json", "sanitized-mbpp.json"),
            ("task_id", "prompt", "code", "test_list"),
            ("pass@1",),
            512,
            HubDataset("google-research-datasets/mbpp", "sanitized", None),
            shots=3,
            runs_code=True,
            item_ids=MBPP_TEST_IDS,
        ),
    )
}
"""Name -> suite. `_paper` is the paper's way: the Alpaca prompt of training, greedy, up to 1024 tokens, the answer
after "The answer is" (docs/evaluation.md); the others follow the harness' own tasks of that name."""


@dataclass(frozen=True)
class GenerationRows:
    """The items of a suite as they lie in a file or on the hub."""

    rows: tuple[dict[str, Any], ...]
    """Columns by name, and `place`."""
    where: str
    sha256: str | None
    revision: str | None = None


def items_of(suite: GenerationSuite, rows: GenerationRows) -> tuple[dict[str, Any], ...]:
    """The rows that are asked, without those that are only for prompts."""
    if suite.item_ids is None:
        return rows.rows
    return tuple(row for row in rows.rows if int(row["task_id"]) in suite.item_ids)


def data_of(suite: GenerationSuite, data: Path | None) -> str:
    """What the suite's items are read from: a file, or `hub:` where nothing is said.

    Raises:
        DataError: the folder does not hold them.
    """
    return f"hub:{suite.split}" if data is None else file_in(data, suite.files, suite.name)


def shots_of(suite: GenerationSuite, data: Path | None, shots: int) -> str | None:
    """What few-shot examples are read from; None where the suite needs none.

    Raises:
        DataError: they are nowhere to be found.
    """
    if shots == 0 or suite.shot_split is None:
        return None
    if data is None:
        return f"hub:{suite.shot_split}"
    folder = user_path(data) if user_path(data).is_dir() else user_path(data).parent
    for name in suite.shot_files:
        if (folder / name).is_file():
            return str(folder / name)
    what = f"no file of few-shot examples (looked for {', '.join(suite.shot_files)} in '{folder}')"
    raise DataError.at("--data", what, "put it there, or set shots=0")


def read_rows(suite: GenerationSuite, data: str) -> GenerationRows:
    """The items of a suite.

    Raises:
        DataError: they cannot be read, or lack a column.
    """
    if data.startswith("hub:"):
        source = Source(data.removeprefix("hub:"), parse_source("x", "--data").rows, suite.hub)
        table = read_hub(source, "--data")
        digest, revision = None, suite.hub.revision
    else:
        source = parse_source(data, "--data")
        content, digest = read_file(source.name, "--data")
        table, revision = table_of_file(source, content, DataSettings(train=data), None), None
    if table.broken:
        raise DataError(row.problem for row in table.broken)
    missing = [name for name in suite.columns if name not in table.names]
    if missing:
        problems = [
            Problem(table.where, f"no column '{name}'; {table.found()}", f"{suite.name} needs it") for name in missing
        ]
        raise DataError(problems)
    if not table.rows:
        raise DataError.at(table.where, "0 rows", "name a file with rows")
    columns = {name: table.column(name) for name in table.names}
    rows = tuple(
        {**{name: values[row] for name, values in columns.items()}, "place": table.place(row)}
        for row in range(table.rows)
    )
    _require_values(suite, rows)
    return GenerationRows(rows, table.where, digest, revision)


def _require_values(suite: GenerationSuite, rows: tuple[dict[str, Any], ...]) -> None:
    empty = [
        Problem(row["place"], f"'{name}' is missing", "correct the row, or leave it out")
        for row in rows
        for name in suite.columns
        if row[name] is None or row[name] == ""
    ]
    if empty:
        raise DataError(empty[:20])
