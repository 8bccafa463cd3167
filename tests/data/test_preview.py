from __future__ import annotations

import pytest

from balora.data import DataSettings, encode, preview
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
