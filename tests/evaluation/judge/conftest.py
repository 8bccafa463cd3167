from __future__ import annotations

from collections.abc import Iterator

import pytest

from balora.evaluation.judge import Answer, JudgeSettings, Question
from tests.evaluation.judge.endpoint import Endpoint

KEY = "sk-test-6d1f0c2e"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture
def settings(endpoint: Endpoint) -> JudgeSettings:
    return JudgeSettings(model="judge-1", base_url=endpoint.url, first_wait_s=0.001, timeout_s=10, workers=2)


@pytest.fixture
def questions() -> list[Question]:
    return [
        Question(81, "writing", ("Write a poem.", "Now shorter.")),
        Question(111, "math", ("What is 2 + 2?", "And 3 + 3?"), ("It is four.", "It is six.")),
        Question(82, "writing", ("Write a letter.", "Now longer.")),
    ]


@pytest.fixture
def answers(questions: list[Question]) -> list[Answer]:
    return [Answer(one.number, "student", (f"first of {one.number}", f"second of {one.number}")) for one in questions]
