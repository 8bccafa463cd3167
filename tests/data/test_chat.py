from __future__ import annotations

from typing import Any

import pytest

from balora.data import Conversation, Message
from balora.data.chat import tokenize_conversations
from balora.data.encode_prompted import token_rows
from balora.data.examples import TextSplit
from balora.errors import DataError
from tests.data.tokenizer_kinds import SlowTokenizer
from tests.support.tiny import character_tokenizer

CHATML = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}</s>;{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
SILENT = (
    "<s>{% for m in messages %}{% if m.role == 'user' %}(q){{ m.content }}(a)"
    "{% else %}{{ m.content }}</s>{% endif %}{% endfor %}"
)
"""Writes BOS itself and knows no generation prompt, as Llama 2's and Mistral's do."""
MARKED = (
    "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}</s>{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}"
)
THINKING = (
    "{% for m in messages %}[{{ m.role }}]{% if loop.last and m.role == 'assistant' %}(thought){% endif %}"
    "{{ m.content }};{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
"""Writes the last answer differently from the earlier ones, as Qwen 3's does."""
STRICT = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}"
)

TURNS = (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Bye"), Message("assistant", "See you"))


def learned_texts(tokenizer: Any, messages: tuple[Message, ...] = TURNS) -> list[str]:
    """The stretches of learned text of one conversation, end token included."""
    split = TextSplit("train", (Conversation("f:1", messages),), 1, 0)
    row = token_rows(split, tokenizer)[0]
    tokens = tokenizer.convert_ids_to_tokens(row.ids.tolist())
    found, current = [], ""
    for token, is_learned in [*zip(tokens, row.learned.tolist(), strict=True), ("", False)]:
        if is_learned:
            current += token
        elif current:
            found.append(current)
            current = ""
    return found


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (CHATML, ["Hello</s>", "See you</s>"]),
        (SILENT, ["Hello</s>", "See you</s>"]),
        (MARKED, ["Hello</s>", "See you</s>"]),
        (THINKING, ["Hello;", "(thought)See you;</s>"]),
    ],
    ids=["chatml", "silent", "marked", "thinking"],
)
def test_every_answer_is_learned_with_its_end_and_nothing_else(template: str, expected: list[str]) -> None:
    assert learned_texts(character_tokenizer(chat_template=template)) == expected


def test_a_slow_tokenizer_learns_the_same() -> None:
    slow = SlowTokenizer(chat_template=CHATML.replace("</s>", "."))
    texts = learned_texts(slow)
    assert [len(text) for text in texts] == [len("Hello.;"), len("See you.;</s>")]


@pytest.mark.parametrize("template", [CHATML, SILENT, MARKED])
def test_no_special_token_is_added_to_those_of_the_template(template: str) -> None:
    tokenizer = character_tokenizer(chat_template=template)
    tokenizer.add_bos_token = True
    split = TextSplit("train", (Conversation("f:1", TURNS),), 1, 0)
    ids = token_rows(split, tokenizer)[0].ids.tolist()
    assert ids.count(tokenizer.bos_token_id) == template.count("<s>")


def test_an_answer_that_repeats_the_question_is_found_in_its_own_turn() -> None:
    echo = (Message("user", "Say it"), Message("assistant", "Say it"), Message("user", "Say it"))
    for template in (CHATML, SILENT, THINKING):
        row = tokenize_conversations(
            character_tokenizer(chat_template=template), [Conversation("f:1", (*echo, Message("assistant", "Say it")))]
        )[0]
        tokens = character_tokenizer().convert_ids_to_tokens(row.ids.tolist())
        text = "".join(token if len(token) == 1 else "~" for token in tokens)
        answers = [first for first in range(len(text)) if text.startswith("Say it", first)][1::2]
        assert [bool(row.learned[first]) for first in answers] == [True, True]


def test_the_assistant_may_open_the_conversation() -> None:
    messages = (Message("assistant", "Welcome"), Message("user", "Hi"), Message("assistant", "Hello"))
    assert learned_texts(character_tokenizer(chat_template=CHATML), messages) == ["Welcome</s>", "Hello</s>"]


def test_without_a_template_the_fix_is_named() -> None:
    with pytest.raises(DataError, match=r"conversations need a chat template, and the tokenizer has none; use a model"):
        learned_texts(character_tokenizer())


def test_refused_conversations_are_all_named() -> None:
    wrong = Conversation("f:2", (Message("assistant", "Hello"), Message("user", "x"), Message("assistant", "y")))
    fine = Conversation("f:1", TURNS)
    with pytest.raises(DataError) as error:
        tokenize_conversations(character_tokenizer(chat_template=STRICT), [fine, wrong, fine, wrong])
    assert str(error.value).startswith("f:2: the chat template refuses the conversation (roles must alternate)")


def test_a_template_that_marks_no_answer_is_refused() -> None:
    template = MARKED.replace("m.role == 'assistant'", "m.role == 'nobody'")
    with pytest.raises(DataError, match=r"marks no answer in 1 conversations \(first: f:1\)"):
        learned_texts(character_tokenizer(chat_template=template))


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages | length }} turns",
        "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}",
    ],
)
def test_a_template_that_hides_answers_is_refused(template: str) -> None:
    with pytest.raises(DataError, match=r"does not show the assistant's turn 1"):
        learned_texts(character_tokenizer(chat_template=template))
