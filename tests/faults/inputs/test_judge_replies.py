"""R12: replies of a judge that are no grade, or one in an odd shape: none is guessed, none ends the run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from balora.evaluation.judge import JudgeSettings
from balora.evaluation.judge.client import JudgeClient
from tests.evaluation.judge.endpoint import Behaviour, Endpoint
from tests.evaluation.judge.test_judging import BAD as OF_THE_JUDGE_S_OWN_TESTS

TEXTS_WITHOUT_A_GRADE = {
    "one bracket": "[7]",
    "brackets apart": "[ [7] ]",
    "round brackets": "((7))",
    "curly brackets": "{{7}}",
    "open at the end": "Rating: [[7",
    "open at the start": "7]]",
    "three brackets and text": "[[[seven]]]",
    "a word": "[[seven]]",
    "a placeholder": "[[rating]]",
    "nothing inside": "[[]]",
    "a blank inside": "[[ ]]",
    "a fraction of ten": "[[7/10]]",
    "a range": "[[6-7]]",
    "two numbers": "[[6, 7]]",
    "a comma for a point": "[[7,5]]",
    "a plus": "[[7+]]",
    "a percentage": "[[70%]]",
    "a letter": "[[A]]",
    "eleven": "[[11]]",
    "a hundred": "[[100]]",
    "zero with decimals": "[[0.0]]",
    "less than one": "[[0.9]]",
    "just above ten": "[[10.01]]",
    "minus one": "[[-1]]",
    "infinity": "[[inf]]",
    "not a number": "[[nan]]",
    "an exponent": "[[1e1]]",
    "hexadecimal": "[[0x7]]",
    "a very long number": f"[[{'9' * 5000}]]",
    "brackets without end": "[" * 50_000,
    "full-width brackets": "\uff3b\uff3b7\uff3d\uff3d",
    "a grade, then one out of range": "[[9]] ... [[90]]",
    "a grade broken over lines": "[[\n\n7\n\nor 8]]",
    "only blanks": " \n\t ",
    "a refusal": "I cannot judge this.",
    "another language": "Bewertung: sieben",
    "a tool call in words": '{"name": "grade", "arguments": {"rating": 7}}',
    "an html page": "<html><body>502</body></html>",
    "half a surrogate": "\ud83d",
}
MESSAGES: dict[str, Any] = {
    "content as parts": [{"type": "text", "text": "[[7]]"}],
    "content as a number": 7,
    "content as an object": {"text": "[[7]]"},
    "content true": True,
}
BODIES = {
    "empty": "",
    "null": "null",
    "a number": "7",
    "true": "true",
    "an empty object": "{}",
    "an empty list": "[]",
    "an error in a good reply": '{"error": {"message": "overloaded"}}',
    "a choice without a message": '{"choices": [{"index": 0, "finish_reason": "stop"}]}',
    "a message that is text": '{"choices": [{"message": "[[7]]"}]}',
    "a message that is null": '{"choices": [{"message": null}]}',
    "choices that are text": '{"choices": "[[7]]"}',
    "choices that are an object": '{"choices": {"0": {"message": {"content": "[[7]]"}}}}',
    "deeply nested": "[" * 20_000 + "]" * 20_000,
    "two documents": '{"choices": []}{"choices": []}',
    "the stream format": 'data: {"choices": [{"delta": {"content": "[[7]]"}}]}\n\ndata: [DONE]\n\n',
}
ODD_BUT_GRADES = {
    "decimals": ("[[8.5]]", 8.5),
    "ten": ("[[10]]", 10.0),
    "one": ("[[1.0]]", 1.0),
    "in bold": ("**Rating: [[7]]**", 7.0),
    "the last one counts": ("At first [[3]], on reflection [[6]].", 6.0),
    "behind much text": ("x" * 100_000 + " [[5]]", 5.0),
    "text behind it": ("[[4]]\n\nThank you!", 4.0),
    "blanks around": ("[[ 5 ]]", 5.0),
    "half a character": ("\ud800 [[5]]", 5.0),
    "in another script around": ("\u8bc4\u5206\uff1a[[9]]", 9.0),
}


def _saying(content: Any) -> Behaviour:
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    message = {"role": "assistant", "content": content}
    text = json.dumps(body | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    return lambda visit: visit.raw(200, text)


def _sending(body: str) -> Behaviour:
    return lambda visit: visit.raw(200, body)


BAD = {
    **{name: behaviour for name, (behaviour, _) in OF_THE_JUDGE_S_OWN_TESTS.items()},
    **{f"text: {name}": _saying(text) for name, text in TEXTS_WITHOUT_A_GRADE.items()},
    **{f"message: {name}": _saying(content) for name, content in MESSAGES.items()},
    **{f"body: {name}": _sending(body) for name, body in BODIES.items()},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture
def client(server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeClient]:
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-a-test")
    settings = JudgeSettings(model="m", base_url=server.url, attempts=1, first_wait_s=0.001, timeout_s=5)
    client = JudgeClient(settings)
    yield client
    client.close()


def test_there_are_enough_replies() -> None:
    assert len(BAD) >= 60


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_grade_is_none_with_one_line_why(name: str, server: Endpoint, client: JudgeClient) -> None:
    server.behaviour = BAD[name]
    reply = client.grade([{"role": "user", "content": name}])
    assert reply.grade is None
    assert reply.reason
    assert "\n" not in reply.reason.strip()
    assert len(reply.reason) <= 600


@pytest.mark.parametrize("name", ODD_BUT_GRADES)
def test_a_grade_in_an_odd_place_is_read(name: str, server: Endpoint, client: JudgeClient) -> None:
    text, grade = ODD_BUT_GRADES[name]
    server.behaviour = _saying(text)
    assert client.grade([{"role": "user", "content": name}]).grade == grade


@pytest.mark.parametrize("count", ["1e999", "-Infinity", "NaN", "-7", "1e300", '"many"', "[7]", "null", "7.0"])
def test_a_grade_is_kept_whatever_the_tokens_are_said_to_be(count: str, server: Endpoint, client: JudgeClient) -> None:
    choice = '{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "[[7]]"}}'
    usage = f'{{"prompt_tokens": {count}, "completion_tokens": 2, "total_tokens": 2}}'
    server.behaviour = _sending(f'{{"id": "x", "model": "m", "choices": [{choice}], "usage": {usage}}}')
    reply = client.grade([{"role": "user", "content": count}])
    assert (reply.grade, reply.prompt_tokens, reply.reply_tokens) == (7.0, 7 if count == "7.0" else 0, 2)


@pytest.mark.parametrize("status", [200, 500])
def test_half_a_character_can_be_written(status: int, server: Endpoint, client: JudgeClient) -> None:
    body = '{"error": {"message": "\\ud800"}, "choices": [{"message": {"content": "\\ud800 none"}}]}'
    server.behaviour = lambda visit: visit.raw(status, body)
    reply = client.grade([{"role": "user", "content": "x"}])
    assert "\ufffd" in f"{reply.text}{reply.reason}"
    (reply.text + reply.reason).encode()
