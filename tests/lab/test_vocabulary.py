"""The word-level tokenizer: it knows every word, and prompt and completion never run into each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from balora.lab import CityTask, World, WorldSettings, build_tokenizer, build_world, vocabulary, write_corpus


def test_every_text_of_the_world_comes_back_and_has_no_unknown_word(world: World, task: CityTask) -> None:
    tokenizer = build_tokenizer(world)
    corpus = write_corpus(world)
    texts = [sentence.text for sentence in (*corpus.train, *corpus.heldout)]
    texts += [f"{row.prompt} {row.completion}" for row in (*task.train, *task.validation, *task.test)]
    for ids, text in zip(tokenizer(texts)["input_ids"], texts, strict=True):
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.unk_token_id not in ids
        assert len(ids) == len(text.split()) + 1
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_words_are_few_and_different() -> None:
    words = vocabulary(build_world(WorldSettings()))
    assert len(words) == len(set(words))
    assert 100 <= len(words) <= 140


@pytest.mark.parametrize("between", [" ", "\n", "\n\n  "])
def test_the_boundary_of_prompt_and_completion_is_exact(task: CityTask, world: World, between: str) -> None:
    tokenizer = build_tokenizer(world)
    row = task.train[0]
    apart = tokenizer(row.prompt)["input_ids"] + tokenizer(row.completion, add_special_tokens=False)["input_ids"]
    together = tokenizer(row.prompt + between + row.completion, return_offsets_mapping=True)
    assert together["input_ids"] == apart
    start, end = together["offset_mapping"][-1]
    assert (row.prompt + between + row.completion)[start:end] == row.completion


def test_a_saved_tokenizer_reads_back_the_same(world: World, tmp_path: Path) -> None:
    tokenizer = build_tokenizer(world)
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    text = f"where does {world.people[0]} live ?"
    assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert (again.pad_token, again.bos_token, again.eos_token) == ("<pad>", "<s>", "</s>")
