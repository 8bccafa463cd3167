from __future__ import annotations

import json
from typing import Any

import pytest

from balora.data import DataSettings, Sample, TextData, encode, preview, sample_row
from tests.data.conftest import Load
from tests.data.test_chat import CHATML
from tests.data.tokenizer_kinds import byte_level
from tests.support.tiny import character_tokenizer

TOKENIZER = character_tokenizer()
SETTINGS = DataSettings(train="unused")


def shown(text: object, tokenizer: object = TOKENIZER, **changes: object) -> list[str]:
    return preview(encode(text, tokenizer, SETTINGS, **changes), text, tokenizer).splitlines()


def test_prompt_and_response_stand_apart(load: Load) -> None:
    lines = shown(load([{"prompt": "one\ntwo", "completion": "three"}]), byte_level())
    assert lines[0].endswith("train.jsonl:1): " + lines[0].split("): ")[1])
    assert lines[1:] == ["     read | one", "          | two", "          | ", "  learned | three</s>"]


def test_every_answer_of_a_conversation_is_marked(load: Load) -> None:
    turns = [("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"), ("assistant", "Bye")]
    text = load([{"messages": [{"role": role, "content": content} for role, content in turns]}])
    lines = shown(text, character_tokenizer(chat_template=CHATML))
    assert [line.split(" | ")[0].strip() for line in lines[1:]] == ["read", "learned"] * 2 + ["read"]
    assert [line.split(" | ")[1] for line in lines if "learned |" in line] == ["Hello</s>", "Bye</s>"]


def test_a_pair_with_its_class(load: Load) -> None:
    rows = [{"premise": "p", "hypothesis": "h", "label": label} for label in ("yes", "no")]
    lines = shown(load(rows, "classification"))
    assert lines[1:] == ["     text | p", "     pair | h", "    label | yes (1)", "   tokens | p h"]


def test_a_score(load: Load) -> None:
    assert "    label | 2.5" in shown(load([{"text": "a", "score": 2.5}], "regression"))


def test_source_and_target(load: Load) -> None:
    lines = shown(load([{"prompt": "ask ", "completion": "answer"}]), encoder_decoder=True)
    assert "4 tokens read, 7 tokens learned" in lines[0]
    assert lines[1:] == ["     read | ask ", "  learned | answer</s>"]


def test_another_row_is_found_through_rows_left_out(load: Load) -> None:
    text = load([{"prompt": "q" * 99, "completion": "a"}, {"prompt": "ask ", "completion": "answer"}])
    encoded = encode(text, TOKENIZER, DataSettings(train="x", too_long="drop"))
    assert "train.jsonl:2)" in preview(encoded, text, TOKENIZER)
    with pytest.raises(IndexError):
        preview(encoded, text, TOKENIZER, row=1)


def of(text: TextData, settings: DataSettings = SETTINGS, **changes: Any) -> Sample:
    encoded = encode(text, TOKENIZER, settings, **changes)
    return sample_row(encoded, text, TOKENIZER, settings=settings)


def test_the_mask_that_is_shown_is_the_one_that_trains(load: Load) -> None:
    found = of(load([{"prompt": "ask ", "completion": "answer"}]))
    learned = [part for part in found.parts if part.learned]
    assert [part.text for part in learned] == ["answer</s>"]
    assert sum(part.tokens for part in found.parts) == found.tokens == len(found.input_ids)
    assert isinstance(found.labels, tuple)
    assert found.learned_tokens == learned[0].tokens == sum(label != -100 for label in found.labels)
    assert found.labels[-found.learned_tokens :] == found.input_ids[-found.learned_tokens :]


@pytest.mark.parametrize("encoder_decoder", [False, True])
def test_a_row_that_is_cut_says_so(load: Load, encoder_decoder: bool) -> None:
    text = load([{"prompt": "q" * 30, "completion": "answer"}, {"prompt": "q", "completion": "a"}])
    settings = DataSettings(train="x", max_length=20, too_long="truncate_prompt")
    found = of(text, settings, encoder_decoder=encoder_decoder)
    assert found.truncated
    uncut = encode(text, TOKENIZER, SETTINGS, encoder_decoder=encoder_decoder).train[0]["input_ids"]
    assert found.tokens_before_cut == len(uncut) > 20 >= found.tokens
    assert f", cut from {found.tokens_before_cut}" in found.lines()[0]
    assert found.as_dict()["truncated"] is True
    again = load([{"prompt": "q", "completion": "a"}, {"prompt": "q" * 30, "completion": "answer"}])
    whole = of(again, settings, encoder_decoder=encoder_decoder)
    assert (whole.truncated, whole.tokens_before_cut) == (False, None)
    assert ", cut from" not in whole.lines()[0]


def test_a_class_has_its_name_and_number(load: Load) -> None:
    rows = [{"text": f"t {label}", "label": label} for label in ("yes", "no")]
    found = of(load(rows, "classification")).as_dict()
    assert (found["text"], found["label_name"], found["labels"], found["learned_tokens"]) == ("t yes", "yes", 1, None)
    assert len(found["token_texts"]) == found["tokens"]


def test_what_steers_a_terminal_is_written_out(load: Load) -> None:
    odd = "a\x1b[2Jb\u202ec\x9bd\u200be"
    for text in (
        load([{"prompt": odd, "completion": odd}]),
        load([{"text": odd, "text_pair": odd, "label": label} for label in (odd, "no")], "classification"),
    ):
        for tokenizer in (byte_level(), TOKENIZER):
            found = sample_row(encode(text, tokenizer, SETTINGS), text, tokenizer, settings=SETTINGS)
            for shown_text in (json.dumps(found.as_dict(), ensure_ascii=False), "\n".join(found.lines())):
                assert all(letter.isprintable() or letter == "\n" for letter in shown_text)
