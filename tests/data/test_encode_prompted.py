from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tokenizers import processors

from balora.data import Conversation, DataSettings, Message, PromptedText, TextSplit
from balora.data.encode_prompted import encode_decoder_only, encode_encoder_decoder, token_rows
from balora.errors import DataError
from balora.task import IGNORED_LABEL
from tests.data.test_chat import CHATML
from tests.data.tokenizer_kinds import sentence_pieces
from tests.support.tiny import character_tokenizer

TOKENIZER = character_tokenizer()
EOS = TOKENIZER.eos_token_id


def split(*examples: Any) -> TextSplit:
    return TextSplit("train", examples, len(examples), 0)


def example(prompt: str, response: str) -> PromptedText:
    return PromptedText(f"f:{len(prompt) + len(response)}", prompt, response)


def decoder(
    *examples: Any, limit: int = 64, learn_all: bool = False, tokenizer: Any = TOKENIZER, **changes: object
) -> Any:
    return encode_decoder_only(
        split(*examples), tokenizer, DataSettings(train="f", **changes), limit, learn_all=learn_all
    )


def learned(row: Any) -> str:
    return TOKENIZER.decode(row.labels[row.labels != IGNORED_LABEL], skip_special_tokens=False)


def test_the_response_and_its_end_are_learned() -> None:
    row = decoder(example("question ", "answer")).rows[0]
    assert TOKENIZER.decode(row.ids, skip_special_tokens=False) == "question answer</s>"
    assert learned(row) == "answer</s>"


def test_everything_is_learned_when_asked() -> None:
    row = decoder(example("question ", "answer"), learn_all=True).rows[0]
    assert np.array_equal(row.labels, row.ids)


def test_the_beginning_token_is_that_of_the_tokenizer_once() -> None:
    tokenizer = sentence_pieces()
    row = token_rows(split(example("hello ", "world")), tokenizer)[0]
    assert row.ids.tolist().count(tokenizer.bos_token_id) == 1
    assert row.ids[0] == tokenizer.bos_token_id
    assert not row.learned[0]


def test_without_an_end_token_none_is_added() -> None:
    tokenizer = character_tokenizer()
    tokenizer.eos_token = None
    assert len(token_rows(split(example("a", "b")), tokenizer)[0].ids) == 2


def test_a_cut_answer_does_not_learn_to_stop() -> None:
    assert learned(decoder(example("q:", "answer"), limit=5).rows[0]) == "ans"


def test_the_prompt_is_cut_from_the_left_when_asked() -> None:
    row = decoder(example("question ", "answer"), limit=9, too_long="truncate_prompt").rows[0]
    assert TOKENIZER.decode(row.ids, skip_special_tokens=False) == "n answer</s>"
    assert learned(row) == "answer</s>"


def test_rows_that_lose_every_label_are_counted_and_named_never_dropped() -> None:
    rows = [example("q" * 10, "a"), example("q", "a"), example("q" * 20, "a")]
    found = decoder(*rows, limit=8)
    assert len(found.problems) == 1
    assert str(found.problems[0]) == (
        "train: 2 of 3 rows have no answer token left at max_length 8 (first: f:11, f:21); "
        "set data.too_long: truncate_prompt or drop, or raise data.max_length if the model has room"
    )
    assert not decoder(*rows, limit=8, too_long="drop").problems
    assert not decoder(*rows, limit=8, too_long="truncate_prompt").problems
    assert not decoder(*rows, limit=8, learn_all=True).problems


def test_the_row_limit_may_be_met_exactly() -> None:
    assert not decoder(example("q" * 7, "a"), limit=8).problems
    assert decoder(example("q" * 8, "a"), limit=8).problems


def test_a_response_the_tokenizer_cannot_see_is_named() -> None:
    tokenizer = character_tokenizer()
    tokenizer.eos_token = None
    found = decoder(example("", "a"), tokenizer=tokenizer)
    assert "1 of 1 rows have no token to learn with this tokenizer" in str(found.problems[0])


def test_long_rows_are_left_out_or_refused_when_asked() -> None:
    rows = [example("q", "a"), example("q", "a" * 9), example("q", "aa")]
    assert decoder(*rows, limit=6, too_long="drop").source_rows == [0, 2]
    assert "1 of 3 rows are longer than 6 tokens (first: f:10)" in str(
        decoder(*rows, limit=6, too_long="error").problems[0]
    )


CHAT = Conversation("f:1", (Message("user", "Hi"), Message("assistant", "Hello")))


def encoder_decoder(*examples: Any, limit: int = 64, tokenizer: Any = TOKENIZER, **changes: object) -> Any:
    return encode_encoder_decoder(split(*examples), tokenizer, DataSettings(train="f", **changes), limit)


def test_source_and_target_are_apart() -> None:
    row = encoder_decoder(example("question", "answer")).rows[0]
    assert TOKENIZER.decode(row.ids) == "question"
    assert TOKENIZER.decode(row.labels, skip_special_tokens=False) == "answer</s>"


def test_the_last_answer_of_a_conversation_is_the_target() -> None:
    chat = character_tokenizer(chat_template=CHATML)
    row = encoder_decoder(CHAT, tokenizer=chat).rows[0]
    assert chat.decode(row.ids, skip_special_tokens=False) == "[user]Hi</s>;[assistant]"
    assert chat.decode(row.labels, skip_special_tokens=False) == "Hello</s>"


@pytest.mark.parametrize(("policy", "source"), [("truncate", "ques"), ("truncate_prompt", "tion")])
def test_source_and_target_are_cut_apart(policy: str, source: str) -> None:
    found = encoder_decoder(example("question", "answer"), limit=4, too_long=policy)
    assert TOKENIZER.decode(found.rows[0].ids) == source
    assert TOKENIZER.decode(found.rows[0].labels) == "answ"
    assert (found.lengths.rows_cut, found.lengths.max_tokens) == (1, 8)


@pytest.mark.parametrize(("policy", "source"), [("truncate", "<s>qu</s>"), ("truncate_prompt", "<s>on</s>")])
def test_special_tokens_of_the_source_survive_the_cut(policy: str, source: str) -> None:
    tokenizer = character_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", tokenizer.bos_token_id), ("</s>", tokenizer.eos_token_id)]
    )
    row = encoder_decoder(example("question", "x"), limit=4, tokenizer=tokenizer, too_long=policy).rows[0]
    assert tokenizer.decode(row.ids, skip_special_tokens=False) == source


def test_plain_text_has_no_source() -> None:
    with pytest.raises(DataError, match=r"needs a prompt, and 1 rows have none \(first: f:4\)"):
        encoder_decoder(example("", "text"))
