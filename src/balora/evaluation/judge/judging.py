"""All grades of a set of answers: what it will cost, what is known already, and what has to be asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from balora.artefacts.files import write_json_atomically
from balora.cache import cache_folder
from balora.errors import DataError
from balora.evaluation.judge.answers import Answer
from balora.evaluation.judge.client import JudgeClient, Reply
from balora.evaluation.judge.grading import Judgement
from balora.evaluation.judge.prompts import load_prompts
from balora.evaluation.judge.questions import Question
from balora.evaluation.judge.settings import JudgeSettings
from balora.strict_json import read_json

_CHARACTERS_PER_TOKEN = 4
"""About, for English; an endpoint's own count may differ by a third."""


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What judging will ask for, before anything is asked."""

    requests: int
    cached: int
    """Grades that are known already and cost nothing."""
    prompt_tokens: int
    """About, at four characters each."""
    reply_tokens_at_most: int
    cost_at_most: float | None
    """In the unit of the prices, without retries; None where the settings name no prices."""

    def __str__(self) -> str:
        cost = "" if self.cost_at_most is None else f", at most {self.cost_at_most:.2f}"
        return (
            f"{self.requests} requests ({self.cached} more are cached), about {self.prompt_tokens} prompt tokens, "
            f"at most {self.reply_tokens_at_most} reply tokens{cost}"
        )


@dataclass(frozen=True, slots=True)
class _Request:
    question: Question
    turn: int
    messages: list[dict[str, str]]
    key: str


def estimate_cost(questions: Sequence[Question], answers: Sequence[Answer], settings: JudgeSettings) -> CostEstimate:
    """What `judge_answers` would ask for; needs neither key nor network.

    Raises:
        DataError: when questions and answers do not belong together, or the prompts cannot be read.
    """
    requests = _requests(questions, answers, settings)
    return _estimate([request for request in requests if _cached(request) is None], len(requests), settings)


def judge_answers(
    questions: Sequence[Question],
    answers: Sequence[Answer],
    settings: JudgeSettings,
    *,
    on_estimate: Callable[[CostEstimate], bool],
    on_judgement: Callable[[Judgement], None] | None = None,
) -> list[Judgement]:
    """Grade every wanted turn of every answer from 1 to 10, by question and turn.

    `on_estimate` gets the cost before any request and answers whether to go on; without consent only cached grades
    come back and the others are missing. Grades are cached on disk by endpoint, model, sampling, prompt and answer, so
    a second call asks only for what is missing. Replies without a grade are asked for again, then count as missing.

    Raises:
        InputError: when the key or the package is missing, or the endpoint refuses every request.
        DataError: when questions and answers do not belong together, or the prompts cannot be read.
    """
    requests = _requests(questions, answers, settings)
    found = {request.key: reply for request in requests if (reply := _cached(request)) is not None}
    left = [request for request in requests if request.key not in found]
    agreed = on_estimate(_estimate(left, len(requests), settings))
    results: dict[tuple[int, int], Judgement] = {}

    def keep(request: _Request, reply: Reply, *, cached: bool) -> None:
        judgement = _judgement(request, reply, cached=cached)
        results[request.question.number, request.turn] = judgement
        if on_judgement is not None:
            on_judgement(judgement)

    for request in requests:
        if request.key in found:
            keep(request, found[request.key], cached=True)
        elif not agreed:
            keep(request, Reply(None, "", "not asked: the cost was not agreed to"), cached=False)
    if left and agreed:
        for request, reply in _ask_all(left, settings):
            keep(request, reply, cached=False)
    return [results[request.question.number, request.turn] for request in requests]


def _ask_all(requests: Sequence[_Request], settings: JudgeSettings) -> Iterator[tuple[_Request, Reply]]:
    """Replies as they arrive, each in the cache before it is handed on; a refusal of all stops the rest."""
    client = JudgeClient(settings)
    waiting = iter(requests)
    running: dict[Future[Reply], _Request] = {}
    with ThreadPoolExecutor(settings.workers) as pool:
        try:
            while True:
                for request in waiting:
                    running[pool.submit(client.grade, request.messages)] = request
                    if len(running) >= settings.workers:
                        break
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    request = running.pop(future)
                    reply = future.result()
                    _remember(request, reply)
                    yield request, reply
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            client.close()


def _requests(questions: Sequence[Question], answers: Sequence[Answer], settings: JudgeSettings) -> list[_Request]:
    if [question.number for question in questions] != [answer.number for answer in answers]:
        raise DataError.at("answers", "are not one for each question, in the same order", "read them with read_answers")
    prompts = load_prompts(settings.prompts)
    found = []
    for question, answer in zip(questions, answers, strict=True):
        for turn in settings.turns:
            messages = prompts.messages(question, answer.turns, turn)
            found.append(_Request(question, turn, messages, _key(messages, answer, turn, settings)))
    return found


def _key(messages: list[dict[str, str]], answer: Answer, turn: int, settings: JudgeSettings) -> str:
    """Same judge, same prompt, same answer: same key. Patience and prices do not matter, nor does who answered."""
    prompt = hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest()
    said = hashlib.sha256("\x00".join(answer.turns[:turn]).encode()).hexdigest()
    judge = [settings.base_url, settings.model, settings.temperature, settings.max_reply_tokens]
    return hashlib.sha256(json.dumps([judge, prompt, said]).encode()).hexdigest()


def _file_of(key: str) -> Path:
    return cache_folder() / "judge" / key[:2] / f"{key}.json"


def _cached(request: _Request) -> Reply | None:
    try:
        kept: Any = read_json(_file_of(request.key))
        return Reply(
            float(kept["grade"]), str(kept["reply"]), "", int(kept["prompt_tokens"]), int(kept["reply_tokens"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(request: _Request, reply: Reply) -> None:
    """Keep a grade. A missing one is asked for again next time."""
    if reply.grade is None:
        return
    file = _file_of(request.key)
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = {"grade": reply.grade, "reply": reply.text}
    write_json_atomically(file, kept | {"prompt_tokens": reply.prompt_tokens, "reply_tokens": reply.reply_tokens})


def _judgement(request: _Request, reply: Reply, *, cached: bool) -> Judgement:
    question = request.question
    judgement = Judgement(question.number, question.category, request.turn, reply.grade, reply.text, reply.reason)
    counted = replace(judgement, prompt_tokens=reply.prompt_tokens, reply_tokens=reply.reply_tokens)
    return replace(counted, from_cache=cached)


def _estimate(left: Sequence[_Request], total: int, settings: JudgeSettings) -> CostEstimate:
    characters = sum(len(message["content"]) for request in left for message in request.messages)
    prompt_tokens = -(-characters // _CHARACTERS_PER_TOKEN)
    reply_tokens = len(left) * settings.max_reply_tokens
    cost = None
    if settings.prompt_price is not None and settings.reply_price is not None:
        cost = (prompt_tokens * settings.prompt_price + reply_tokens * settings.reply_price) / 1e6
    return CostEstimate(len(left), total - len(left), prompt_tokens, reply_tokens, cost)
