"""Generation through lm-eval: the same numbers as lm-eval alone, resumable item by item, whatever the batches."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import lm_eval
import pytest
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from balora.errors import ModelError
from balora.evaluation.harness import TASK_FILES, HarnessOutcome, room_for, run_task, write_texts, writer_for
from balora.evaluation.transcripts import Transcripts
from tests.support import tiny

GREEDY = {"until": [], "do_sample": False, "temperature": 0.0, "max_gen_toks": 12}
SAMPLED = {"do_sample": True, "temperature": 1.0, "max_gen_toks": 12}


@pytest.fixture(scope="module", autouse=True)
def _quiet_libraries() -> Iterator[None]:
    """Libraries of the harness warn about things that are none of ours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        yield


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny.build("llama", max_position_embeddings=256)


@pytest.fixture
def tokenizer() -> Any:
    return tiny.character_tokenizer()


def question(number: int) -> str:
    return f"{number} and {number % 7}?"


def write_items(folder: Path, answers: list[str]) -> Path:
    path = folder / "test.jsonl"
    rows = [{"question": question(number), "answer": answer} for number, answer in enumerate(answers)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def ours(model: Any, tokenizer: Any, path: Path, kept: Path | None = None, **changes: Any) -> HarnessOutcome:
    writer = writer_for(model, tokenizer, Transcripts(kept, {}), batch_size=changes.pop("batch_size", 4))
    options = {"shots": 0, "generation": {"max_gen_toks": 12}, **changes}
    return run_task(writer, "balora_gsm8k", metadata={"data": str(path)}, **options)


def alone(model: Any, tokenizer: Any, path: Path) -> tuple[list[str], dict[str, float]]:
    """lm-eval's own gsm8k on the same rows, by its own model class and function."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    split = datasets.Dataset.from_list(rows)
    config = load_yaml(Path(lm_eval.__file__).parent / "tasks" / "gsm8k" / "gsm8k.yaml")
    config = {name: value for name, value in config.items() if name not in {"tag", "dataset_path", "dataset_name"}}
    config["custom_dataset"] = lambda **unused: datasets.DatasetDict({"train": split, "test": split})
    config |= {"dataset_path": "json", "num_fewshot": 0, "task": "gsm8k"}
    config["generation_kwargs"] = {**config["generation_kwargs"], "max_gen_toks": 12}
    found = lm_eval.simple_evaluate(
        model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4),
        tasks=[config],
        task_manager=TaskManager(include_defaults=False),
        bootstrap_iters=0,
    )
    texts = [row["resps"][0][0] for row in found["samples"]["gsm8k"] if row["filter"] == "strict-match"]
    return texts, found["results"]["gsm8k"]


def test_the_same_texts_and_numbers_as_lm_eval_alone(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    first = ours(model, tokenizer, write_items(tmp_path, ["#### 1"] * 12))
    last_numbers = [re.findall(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", item.texts[0]) for item in first.items]
    written = [next((part for part in found[-1] if part), "") if found else "" for found in last_numbers]
    assert sum(bool(number) for number in written) > 3, "the tiny model writes no numbers; the test would prove nothing"
    path = write_items(tmp_path, [f"so #### {number}" if number else "#### 1" for number in written])
    texts, results = alone(model, tokenizer, path)
    found = ours(model, tokenizer, path)
    assert [item.texts[0] for item in found.items] == texts
    for ours_name, theirs in (("strict", "strict-match"), ("flexible", "flexible-extract")):
        mean = sum(item.metrics[f"exact_match_{ours_name}"] for item in found.items) / 12
        assert mean == pytest.approx(results[f"exact_match,{theirs}"])
    assert results["exact_match,flexible-extract"] > 0.2


def test_batches_do_not_change_what_is_written(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    path = write_items(tmp_path, ["#### 1"] * 9)
    one, many = (ours(model, tokenizer, path, batch_size=size) for size in (1, 9))
    assert [item.texts for item in one.items] == [item.texts for item in many.items]
    assert one.prompt_sha256 == many.prompt_sha256


def test_only_missing_texts_are_generated(model: Any, tokenizer: Any, tmp_path: Path, monkeypatch: Any) -> None:
    path, kept, asked = write_items(tmp_path, ["#### 1"] * 8), tmp_path / "kept.jsonl", []
    original = HFLM.generate_until

    def watched(self: Any, requests: list[Any], **options: Any) -> list[str]:
        asked.append(len(requests))
        return original(self, requests, **options)

    monkeypatch.setattr(HFLM, "generate_until", watched)
    whole = ours(model, tokenizer, path)
    ours(model, tokenizer, path, kept, limit=5)
    lines = kept.read_text().splitlines(keepends=True)
    kept.write_text("".join(lines[:3]) + lines[3][:30])  # killed while it wrote the fourth
    resumed = ours(model, tokenizer, path, kept)
    again = ours(model, tokenizer, path, kept)
    assert asked == [8, 5, 5]
    assert [item.texts for item in resumed.items] == [item.texts for item in whole.items]
    assert again == resumed


def test_samples_are_all_kept_and_averaged(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    path, kept = write_items(tmp_path, ["#### 1"] * 4), tmp_path / "kept.jsonl"
    found = ours(model, tokenizer, path, kept, samples=3, generation=SAMPLED)
    assert [len(item.texts) for item in found.items] == [3, 3, 3, 3]
    assert len({text for item in found.items for text in item.texts}) > 4
    numbers = [json.loads(line)["sample"] for line in kept.read_text().splitlines()]
    assert sorted(numbers) == [0] * 4 + [1] * 4 + [2] * 4
    again = ours(model, tokenizer, path, kept, samples=3, generation=SAMPLED)
    assert [sorted(item.texts) for item in again.items] == [sorted(item.texts) for item in found.items]


def test_prompts_without_room_are_counted(tokenizer: Any, tmp_path: Path) -> None:
    short = tiny.build("llama", max_position_embeddings=40)
    path = tmp_path / "test.jsonl"
    rows = [{"question": "a?", "answer": "1"}, {"question": "long " * 20, "answer": "2"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert ours(short, tokenizer, path).prompts_cut == 1


def test_rows_and_few_shot_examples_reach_the_prompt(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    path = write_items(tmp_path, ["#### 1"] * 3)
    shots = tmp_path / "train.jsonl"
    shots.write_text(json.dumps({"question": "Q0?", "answer": "A0"}) + "\n")
    kept = tmp_path / "kept.jsonl"
    writer = writer_for(model, tokenizer, Transcripts(kept, {}), batch_size=4)
    metadata = {"data": str(path), "shots": str(shots)}
    found = run_task(writer, "balora_gsm8k", metadata=metadata, shots=1, generation={"max_gen_toks": 4})
    assert json.loads(kept.read_text().splitlines()[0])["prompt"].startswith("Question: Q0?\nAnswer: A0\n\nQuestion: ")
    assert found.items[1].place == f"{path}:2"
    assert found.generation["max_gen_toks"] == 4


def test_texts_outside_a_task_and_encoder_decoders(tokenizer: Any) -> None:
    told: list[tuple[int, int]] = []
    writer = writer_for(
        tiny.build("t5", "seq2seq_lm"),
        tokenizer,
        Transcripts(None, {}),
        batch_size=2,
        tell=lambda done, total: told.append((done, total)),
    )
    texts = write_texts(writer, ["cola sentence: a", "b", "cola sentence: a"], GREEDY)
    assert len(texts) == 3
    assert texts[0] == texts[2]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_room_for_what_is_generated() -> None:
    assert room_for(2048, 256, None) == (256, None)
    tokens, note = room_for(512, 1024, None)
    assert tokens == 256
    assert "512 positions" in str(note)
    assert room_for(512, 1024, 400) == (400, None)
    with pytest.raises(ModelError, match="600 tokens do not fit a model of 512 positions"):
        room_for(512, 1024, 600)


@pytest.mark.parametrize("name", [path.stem for path in sorted(TASK_FILES.glob("*.yaml"))])
def test_every_task_file_is_one_that_the_harness_knows_by_its_folder(name: str) -> None:
    manager = TaskManager(include_path=str(TASK_FILES), include_defaults=False)
    assert f"balora_{name}" in manager.all_tasks
