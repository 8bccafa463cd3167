"""Chat templates are programs of strangers: the same text as transformers gives, and never more than the limits."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path
from typing import Any

import pytest

from balora.data import chat_rendering
from balora.data.chat_rendering import ChatWorker, Rendering, render_chat, render_chats, shared_worker
from balora.errors import DataError
from tests.support.tiny import character_tokenizer

TURNS = [
    {"role": "user", "content": "Hi <b> & 'there' \u2028 \U0001f600 {{ 7 * 7 }}"},
    {"role": "assistant", "content": "Hello\n"},
    {"role": "user", "content": " Bye "},
    {"role": "assistant", "content": "See you"},
]
OTHERS = [
    TURNS[:1],
    TURNS[:2],
    [{"role": "system", "content": "Be brief."}, *TURNS],
    [{"role": "user", "content": ""}],
    [{"role": "assistant", "content": "I begin"}],
]


def real_templates() -> dict[str, str]:
    """Those of well-known models, as TRL ships them for its own tests."""
    found = importlib.util.find_spec("trl")
    folder = Path(found.origin).parent / "chat_templates" if found and found.origin else None
    return {path.stem: path.read_text() for path in sorted(folder.glob("*.jinja"))} if folder else {}


def as_transformers(tokenizer: Any, chat: list[dict[str, str]], **options: bool) -> str | None:
    try:
        return str(tokenizer.apply_chat_template(chat, tokenize=False, **options))
    except Exception:
        return None


@pytest.mark.parametrize("name", real_templates() or [pytest.param("", marks=pytest.mark.skip("trl not installed"))])
def test_every_real_template_writes_the_same_bytes(name: str) -> None:
    tokenizer = character_tokenizer(chat_template=real_templates()[name])
    chats = [TURNS, *OTHERS]
    for ask in (False, True):
        rows = render_chats(tokenizer, chats, [""] * len(chats), Rendering(ask=ask))
        for row, chat in zip(rows, chats, strict=True):
            expected = as_transformers(tokenizer, chat, add_generation_prompt=ask)
            assert (None if row.refused else row.text) == expected


def test_marked_answers_are_those_of_transformers() -> None:
    template = (
        "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}{% generation %}{{ m.content }}</s>"
        "{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}"
    )
    (row,) = render_chats(character_tokenizer(chat_template=template), [TURNS], [""], Rendering(marked=True))
    assert [row.text[first:after] for first, after in row.marked] == ["Hello\n</s>", "See you</s>"]


def test_an_open_last_turn_is_that_of_transformers() -> None:
    template = "{% for m in messages %}[{{ m.role }}]{{ m.content }};{% endfor %}"
    tokenizer = character_tokenizer(chat_template=template)
    expected = as_transformers(tokenizer, TURNS, continue_final_message=True)
    assert render_chat(tokenizer, TURNS, go_on=True) == expected
    assert expected is not None
    assert expected.endswith("See you")


BOMBS = {
    "a large text": "{{ 'a' * (10 ** 9) }}",
    "a large text in parts": "{% for i in range(99999) %}{{ 'a' * 99999 }}{% endfor %}",
    "doubling": "{% set ns = namespace(t='ab') %}{% for i in range(40) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
    "a wide format": "{{ '%1000000000d' % 1 }}",
    "another wide format": "{{ '{:>1000000000}'.format(1) }}",
    "a wide filter": "{{ 'a' | center(2 ** 32) }}",
    "a wide batch": "{{ ([1] | batch(10 ** 9, 'x')) | list }}",
    "indented JSON": "{{ {'a': 1} | tojson(indent=10 ** 9) }}",
    "an unrolled list": "{% set n = namespace(l=[0]) %}{% for i in range(30) %}{% set n.l = n.l + n.l %}{% endfor %}",
    "replace": "{% set a = 'a' * 99999 %}{{ a.replace('a', a) }}",
    "long words": "{{ lipsum(n=10 ** 6) }}",
    "a text just too long": "{{ 'a' * 300000 }}",
}
ENDLESS = {
    "loops in loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a power": "{{ 9 ** (9 ** 9) }}",
    "recursion in macros": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
}
ESCAPES = {
    "classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals of a function": "{{ lipsum.__globals__['os'].popen('touch CANARY').read() }}",
    "the attribute filter": "{{ ('' | attr('__class__')).__mro__ }}",
    "cycler": "{{ cycler.__init__.__globals__.os.system('touch CANARY') }}",
    "format": "{{ '{0.__class__.__mro__}'.format('') }}",
    "format_map": "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "namespace": "{% set ns = namespace(__class__=1) %}{{ ns.__init__.__globals__ }}",
    "self": "{{ self._TemplateReference__context.environment }}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import '/etc/passwd' as x %}",
    "change the conversation": "{{ messages.append({'role': 'user', 'content': 'x'}) }}",
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_rendering, "LONGEST_RENDERING_S", 2)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", BOMBS | ENDLESS)
def test_a_bomb_costs_two_seconds_and_ends_in_one_line(name: str) -> None:
    tokenizer = character_tokenizer(chat_template=(BOMBS | ENDLESS)[name])
    started = time.monotonic()
    with pytest.raises(DataError) as caught:
        render_chat(tokenizer, TURNS)
    assert time.monotonic() - started < 8
    (problem,) = caught.value.problems
    assert "\n" not in str(problem)
    assert "the chat template" in problem.what
    assert len(str(problem)) < 700


@pytest.mark.parametrize("name", ESCAPES)
def test_what_leaves_the_template_language_is_refused(name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    tokenizer = character_tokenizer(chat_template=ESCAPES[name].replace("CANARY", str(canary)))
    try:
        text = render_chat(tokenizer, TURNS)
    except DataError:
        text = ""
    assert "class" not in text
    assert "root:" not in text
    assert "Environment" not in text
    assert not canary.exists()


def test_the_worker_serves_on_after_a_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_rendering, "LONGEST_RENDERING_S", 5)
    good = character_tokenizer(chat_template="{{ messages[0].content }}")
    bomb = character_tokenizer(chat_template="{% if messages[0].content == 'x' %}{{ 'a' * 10 ** 9 }}{% endif %}ok")
    chats = [[{"role": "user", "content": word}] for word in ("a", "b", "x", "c")]
    with pytest.raises(DataError, match=r"row 3: the chat template .* needs more memory"):
        render_chats(bomb, chats, ["row 1", "row 2", "row 3", "row 4"], Rendering())
    texts = [row.text for row in render_chats(good, chats, [""] * 4, Rendering())]
    assert texts == ["a", "b", "x", "c"]


def test_the_worker_knows_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "s" * 34)
    worker = ChatWorker()
    try:
        worker.render(character_tokenizer(chat_template="x"), [TURNS], [""], Rendering())
        assert worker.process._child is not None
        environment = Path(f"/proc/{worker.process._child.pid}/environ")
        if environment.exists():
            assert b"hf_s" not in environment.read_bytes()
    finally:
        worker.process.close()


def test_long_conversations_are_no_bombs() -> None:
    tokenizer = character_tokenizer(chat_template="{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}")
    chats = [
        [{"role": "user", "content": "long " * 100_000}],
        *[[{"role": "user", "content": str(n)}] for n in range(300)],
    ]
    rows = render_chats(tokenizer, chats, [""] * len(chats), Rendering())
    assert len(rows[0].text) == 500_012
    assert [row.text for row in rows[1:]] == [f"<|im_start|>{n}" for n in range(300)]


def test_an_orphaned_worker_ends() -> None:
    worker = shared_worker()
    render_chat(character_tokenizer(chat_template="x"), TURNS)
    process = worker.process._child
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()  # as the kernel does when we are gone
    assert process.wait(10) == 0
    worker.process.close()
    assert os.getpid() > 0
