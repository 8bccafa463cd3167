"""Chat templates rendered in a process with limits: a model's template is a program that somebody else wrote."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from balora.errors import DataError
from balora.limited_process import LimitedProcess, NoReplyError

LONGEST_RENDERING_S = 10
"""Seconds for one conversation; an ordinary template takes less than a millisecond."""
LONGEST_FACTOR, LONGEST_EXTRA = 16, 1 << 18
"""A rendering may have this many times the characters of its conversation, and this many more."""
_CHATS_AT_A_TIME = 64
_PASSED_ON = ("LC_TIME", "TZ", "HF_HOME", "LD_LIBRARY_PATH", "SYSTEMROOT")
_ANOTHER = "use another tokenizer with model.tokenizer, or data with a prompt and a response and data.template: alpaca"
_LIMITS = {
    "memory": "needs more memory than a chat template may use",
    "text": f"writes more than {LONGEST_FACTOR} times what the conversation holds",
    "time": f"is not done after {LONGEST_RENDERING_S} s",
    "end": "ended the process that renders it",
}

Span = tuple[int, int]
Turns = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a template made of one conversation."""

    text: str = ""
    marked: tuple[Span, ...] = ()
    """Characters that the template marks as answers."""
    refused: str = ""
    """Why the template refuses the conversation; empty where it does not."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """How conversations are to be rendered."""

    ask: bool = False
    """Whether the text ends where the assistant's answer would begin."""
    marked: bool = False
    """Whether to find the characters that the template marks as answers."""
    go_on: bool = False
    """Whether the text ends with the last turn, open."""


def render_chats(tokenizer: Any, chats: Sequence[Turns], places: Sequence[str], rendering: Rendering) -> list[Rendered]:
    """Each conversation as the tokenizer's own chat template writes it, the same text as `apply_chat_template` gives.

    The template runs in a process of its own that holds none of our environment, for at most `LONGEST_RENDERING_S` per
    conversation, with half a GiB of memory, and may write `LONGEST_FACTOR` times what it is given.

    Args:
        tokenizer: has a chat template.
        chats: conversations, turns of role and content.
        places: what messages call them.
        rendering: how.

    Raises:
        DataError: when the template takes more time, memory or room than it may.
    """
    return shared_worker().render(tokenizer, chats, places, rendering)


def render_chat(tokenizer: Any, chat: Turns, *, go_on: bool = False) -> str:
    """One conversation, ended where the assistant's answer would begin; with `go_on` at its last turn's end, open.

    Raises:
        DataError: when the template refuses it, or takes more than it may.
    """
    rendering = Rendering(ask=not go_on, go_on=go_on)
    (found,) = render_chats(tokenizer, [chat], ["the conversation"], rendering)
    if found.refused:
        what = f"the chat template refuses the conversation ({found.refused})"
        raise DataError.at(
            tokenizer.name_or_path or "the tokenizer", what, "check the order and the roles of its turns"
        )
    return found.text


class ChatWorker:
    """The process that renders."""

    def __init__(self) -> None:
        self.process = LimitedProcess(
            Path(__file__).with_name("chat_worker.py"),
            "renders chat templates",
            passed_on=_PASSED_ON,
            environment={"HF_HUB_OFFLINE": "1"},
            set_up={"import_from": sys.path},
        )

    def render(
        self, tokenizer: Any, chats: Sequence[Turns], places: Sequence[str], rendering: Rendering
    ) -> list[Rendered]:
        """As `render_chats`."""
        rows: list[Rendered] = []
        request = {
            "template": tokenizer.get_chat_template(),
            "tokens": dict(tokenizer.special_tokens_map),
            "ask": rendering.ask,
            "marked": rendering.marked,
            "go_on": rendering.go_on,
            "longest_s": LONGEST_RENDERING_S,
            "longest_factor": LONGEST_FACTOR,
            "longest_extra": LONGEST_EXTRA,
        }
        for start in range(0, len(chats), _CHATS_AT_A_TIME):
            batch = [[dict(turn) for turn in chat] for chat in chats[start : start + _CHATS_AT_A_TIME]]
            self.process.send(request | {"chats": batch})
            for place in places[start : start + _CHATS_AT_A_TIME]:
                reply = self._reply()
                if "limit" in reply:
                    self.process.close()
                    what = f"the chat template of '{tokenizer.name_or_path}' {_LIMITS[reply['limit']]}"
                    raise DataError.at(place, what, _ANOTHER)
                spans = tuple((int(first), int(after)) for first, after in reply.get("marked", ()))
                rows.append(Rendered(reply.get("text", ""), spans, reply.get("refused", "")))
        return rows

    def _reply(self) -> dict[str, Any]:
        try:
            return self.process.reply(LONGEST_RENDERING_S)
        except NoReplyError as silence:
            return {"limit": "time" if silence.late else "end"}


@cache
def shared_worker() -> ChatWorker:
    """One worker for the whole process, ended with it."""
    worker = ChatWorker()
    atexit.register(worker.process.close)
    return worker
