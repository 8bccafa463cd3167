"""R13: mutated input for every reader: only our own errors come out, within two seconds and a GiB.

The everyday suite draws a few hundred; `FUZZ_SECONDS=600 pytest tests/faults/security/test_fuzz.py` goes on for ten
minutes per reader, with new draws each time. A failure names the seed that repeats it: `FUZZ_SEED=<n>`.
"""

from __future__ import annotations

import json
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from balora.artefacts import read_record
from balora.artefacts.card import model_card
from balora.artefacts.manifest import fault_in, write_manifest
from balora.data import DataSettings, load_text_data
from balora.errors import BaloraError
from balora.evaluation.answers import AnswerJudge, judge_number, mathematical_answer, number_in
from balora.evaluation.judge.prompts import grade_in
from balora.evaluation.transcripts import Transcripts
from balora.models.trust import check_adapter, check_files
from balora.recipe import parse_recipe
from balora.redaction import redacted
from tests.faults.security.mutations import mutated

LONGEST_S = 2.0
MOST_KIB = 1 << 20
"""Growth of this process over all the input of a reader."""
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))

RECIPE = b"""task: classification
model: {name_or_path: some/model, revision: main}
data:
  train: train.csv
  columns: {text: text, label: label}
adapter: {method: pissa, r: 8, target_modules: [query, value]}
regularizers: {consistency_weight: 0.15, temperature: 2}
training: {learning_rate: 1e-4, max_steps: 10, seed: 3}
output: {dir: runs/x}
"""
ROWS = b"".join(json.dumps({"text": f"row {n}", "label": n % 2}).encode() + b"\n" for n in range(4))
TABLE = b'text,label\n"a, b",0\nc,1\n"d ""e""",0\n'
RECORD = json.dumps(
    {"status": "running", "legs": [{"from_step": 0}], "train_seconds": 1.5, "data": {"label_names": []}}
)
CONFIG = json.dumps({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 99}).encode()
ADAPTER = json.dumps(
    {"peft_type": "LORA", "r": 8, "target_modules": ["q_proj"], "base_model_name_or_path": "m"}
).encode()
LINE = (
    json.dumps({"prompt_sha256": "0", "sample": 0, "settings_sha256": "1", "prompt": "p", "text": "t"}).encode() + b"\n"
)


def whole_checkpoint(folder: Path) -> bytes:
    """A checkpoint with one file; gives its manifest."""
    folder.mkdir(exist_ok=True)
    (folder / "trainable.safetensors").write_bytes(b"numbers")
    write_manifest(folder, step=3, resumable=True)
    return (folder / "manifest.json").read_bytes()


def manifest_of_a_checkpoint() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        return whole_checkpoint(Path(name))


class Readers:
    """One method per reader: bytes in, and nothing but our own errors out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def recipe(self, data: bytes) -> None:
        parse_recipe(data.decode("utf-8", "surrogateescape"))

    def rows(self, data: bytes) -> None:
        load_text_data(DataSettings(train=str(self.file("train.jsonl", data))), "classification")

    def table(self, data: bytes) -> None:
        load_text_data(DataSettings(train=str(self.file("train.csv", data))), "classification")

    def record(self, data: bytes) -> None:
        self.file("run.json", data)
        read_record(self.folder)

    def manifest(self, data: bytes) -> None:
        """Damage to it is damage: only the very bytes that were written are taken."""
        whole = self.folder / "checkpoint"
        written = whole_checkpoint(whole)
        (whole / "manifest.json").write_bytes(data)
        assert (fault_in(whole) is None) == (data == written)

    def model(self, data: bytes) -> None:
        self.file("config.json", data)
        check_files("model.name_or_path", str(self.folder))

    def index(self, data: bytes) -> None:
        self.file("model.safetensors.index.json", data)
        check_files("model.name_or_path", str(self.folder))

    def adapter(self, data: bytes) -> None:
        self.file("adapter_config.json", data)
        self.file("adapter_model.safetensors", save({"base_model.model.q_proj.lora_A.weight": torch.zeros(8, 4)}))
        check_adapter(self.folder)

    def transcripts(self, data: bytes) -> None:
        Transcripts(self.file("t.jsonl", data), {})

    def judge_reply(self, data: bytes) -> None:
        grade = grade_in(data.decode(errors="replace"))
        assert grade is None or 1 <= grade <= 10

    def answer(self, data: bytes) -> None:
        text = data.decode(errors="replace")
        number_in(text)
        mathematical_answer(text)
        judge_number(text, "7")

    def card(self, data: bytes) -> None:
        text = data.decode(errors="surrogateescape")
        model_card(base_name=text, task="generation", method="lora", regularizers=text, parameters=text, results={})

    def redaction(self, data: bytes) -> None:
        redacted(data.decode(errors="surrogateescape"))


SEEDS: dict[str, bytes] = {
    "recipe": RECIPE,
    "rows": ROWS,
    "table": TABLE,
    "record": RECORD.encode(),
    "manifest": manifest_of_a_checkpoint(),
    "model": CONFIG,
    "index": json.dumps({"metadata": {}, "weight_map": {"a.weight": "model-1.safetensors"}}).encode(),
    "adapter": ADAPTER,
    "transcripts": LINE * 3,
    "judge_reply": b"The answer is good. [[7]] and not [[3]]",
    "answer": rb"so \boxed{\frac{1}{2}}. The answer is: $1,250.50",
    "card": b"org/model <b>x</b>",
    "redaction": b"token hf_aaaaaaaaaaaaaaaaaaaaaaaa and https://u:p@h/?token=abcdefgh x-api-key: abcdef12 "
    b'{"api_key": "abcdefgh"} Authorization: token a1b2c3d4 db://:p:a/s@h eyJhbGciOi.eyJzdWIiOi.dozjgNryP4 npm_gsk_r8_',
}
EVERYDAY = {"recipe": 60, "rows": 60, "table": 60}


def draws(name: str) -> Iterator[tuple[int, bytes]]:
    others = list(SEEDS.values())
    number, until = SEED * 1_000_000, time.monotonic() + SECONDS
    last = number + EVERYDAY.get(name, 300)
    while number < last or (SECONDS and time.monotonic() < until):
        yield number, mutated(SEEDS[name], others, random.Random(f"{name} {number}"))
        number += 1


def quick(work: Callable[[bytes], object], data: bytes, what: str) -> None:
    """Two seconds of this process's own time: a busy machine must not look like a slow reader."""
    began = time.process_time()
    try:
        work(data)
    except BaloraError as error:
        if not str(error):
            raise AssertionError(f"{what}: an error without a word") from error
    except Exception as error:
        raise AssertionError(f"{what}: {data[:300]!r}") from error
    assert time.process_time() - began < LONGEST_S, f"{what}: {data[:300]!r}"


@pytest.mark.parametrize("name", SEEDS)
def test_mutated_input_brings_out_our_own_errors_alone(name: str, tmp_path: Path) -> None:
    work = getattr(Readers(tmp_path), name)
    work(SEEDS[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, data in draws(name):
        quick(work, data, f"{name} {number}")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_KIB


@pytest.mark.parametrize("name", SEEDS)
@pytest.mark.parametrize("before", [b"", b'{"status": ', b'{"weight_map": {"a": '], ids=["list", "status", "map"])
def test_json_in_more_brackets_than_can_be_followed(name: str, before: bytes, tmp_path: Path) -> None:
    quick(getattr(Readers(tmp_path), name), before + b"[" * 100_000, name)


def test_mutated_answers_are_judged_or_given_up(tmp_path: Path) -> None:
    seeds = [rb"\frac{1}{2}", rb"\sqrt{3}+x^{2}", rb"(1, 2] \cup \{3\}", rb"\begin{pmatrix}1\\2\end{pmatrix}"]
    del tmp_path
    until, number = time.monotonic() + SECONDS, 0
    with AnswerJudge() as judge:
        while number < 40 or time.monotonic() < until:
            draw = random.Random(f"math {SEED} {number}")
            text = mutated(draw.choice(seeds), seeds, draw).decode(errors="replace")
            judge.judge(text, r"\frac{1}{2}")
            number += 1
        assert judge.judge(r"\frac{2}{4}", r"\frac{1}{2}").equal
