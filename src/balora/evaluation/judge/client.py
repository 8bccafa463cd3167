"""Asking the judge: one request, its retries, and what counts as a reply."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from balora.errors import InputError, Problem
from balora.evaluation.judge.bounded import bounding_hook, http_library
from balora.evaluation.judge.prompts import grade_in
from balora.evaluation.judge.settings import JudgeSettings
from balora.redaction import hide_variable

_HOPELESS = {401, 403, 404}
"""Answers of an endpoint that would be the same for every request: a wrong key, no such model."""
_WORTH_RETRYING = {408, 409, 425, 429}
_LONGEST_WAIT_S = 60.0
_MOST_TOKENS = 10**9
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one request, after all its attempts."""

    grade: float | None
    text: str
    reason: str = ""
    """Why there is no grade."""
    prompt_tokens: int = 0
    reply_tokens: int = 0
    final: bool = False
    """Whether another attempt would be in vain."""
    asked_to_wait_s: float = 0.0
    """How long the endpoint asked to be left alone."""


class JudgeClient:
    """The `openai` client for one endpoint, with the key from the environment and nowhere else.

    Redirects are not followed, so the key reaches the named host alone.

    Raises:
        InputError: when the package or the key is missing.
    """

    def __init__(self, settings: JudgeSettings) -> None:
        try:
            import openai
        except ImportError:
            what = "the judge needs the package openai"
            raise InputError.at("judge", what, "pip install 'balora[eval]'") from None
        self._errors: Any = openai
        self.settings = settings
        hide_variable(settings.key_variable)
        self._key = os.environ.get(settings.key_variable, "").strip()
        if not self._key and not settings.is_local:
            what = f"the environment variable {settings.key_variable} holds no key for {settings.base_url}"
            raise InputError(
                [Problem("judge", what, f"export {settings.key_variable}, or name another in key_variable")]
            )
        self._client = openai.OpenAI(
            api_key=self._key or "none",
            base_url=settings.base_url,
            timeout=settings.timeout_s,
            max_retries=0,
            default_headers={"Accept-Encoding": "identity"},
            http_client=openai.DefaultHttpxClient(
                follow_redirects=False,
                timeout=settings.timeout_s,
                event_hooks={"response": [bounding_hook(http_library(openai.DefaultHttpxClient), settings.timeout_s)]},
            ),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def grade(self, messages: Sequence[dict[str, str]]) -> Reply:
        """Ask until there is a grade or `attempts` are used up.

        Raises:
            InputError: when the endpoint refuses the key or does not know the model, for then it refuses all.
        """
        reply = Reply(None, "", "not asked")
        for attempt in range(self.settings.attempts):
            if attempt:
                time.sleep(self._wait_s(attempt, reply))
            reply = self._once(messages)
            if reply.grade is not None or reply.final:
                break
        return reply

    def _once(self, messages: Sequence[dict[str, str]]) -> Reply:
        settings = self.settings
        sent: list[Any] = list(messages)
        options: dict[str, Any] = {settings.reply_tokens_field: settings.max_reply_tokens}
        if settings.temperature is not None:
            options["temperature"] = settings.temperature
        try:
            answer = self._client.chat.completions.create(model=settings.model, messages=sent, **options)
        except self._errors.APIStatusError as error:
            return self._refused(error)
        except self._errors.APITimeoutError:
            return Reply(None, "", f"no reply within {settings.timeout_s:g} s")
        except self._errors.APIConnectionError as error:
            return Reply(None, "", self._without_key(f"no connection ({error.__cause__ or error})"))
        except (self._errors.OpenAIError, ValueError, TypeError, RecursionError) as error:
            return Reply(None, "", self._without_key(f"the reply is not a chat completion ({error})"))
        return self._read(answer)

    def _refused(self, error: Any) -> Reply:
        words = self._without_key(f"the endpoint answers {error.status_code}: {error.message}"[:500])
        if error.status_code in _HOPELESS:
            fix = f"check judge.model, judge.base_url and the key in {self.settings.key_variable}"
            raise InputError.at("judge", words, fix)
        again = error.status_code in _WORTH_RETRYING or error.status_code >= 500
        try:
            wait_s = float(error.response.headers.get("retry-after", 0))
        except ValueError:
            wait_s = 0.0
        return Reply(None, "", words, final=not again, asked_to_wait_s=wait_s)

    def _read(self, answer: Any) -> Reply:
        """The grade of a reply that ended by itself; servers differ in what they leave out."""
        try:
            choice = answer.choices[0]
            text = choice.message.content
            finish, used = choice.finish_reason, answer.usage
        except (AttributeError, LookupError, TypeError, ValueError):
            return Reply(None, "", "the reply is not a chat completion")
        tokens = _count(used, "prompt_tokens"), _count(used, "completion_tokens")
        if not isinstance(text, str):
            return Reply(None, "", "the reply is empty", *tokens)
        text = self._without_key(text)
        if finish == "length":
            return Reply(None, text, "the reply was cut off", *tokens)
        grade = grade_in(text)
        return Reply(grade, text, "" if grade is not None else "the reply holds no grade [[1]] to [[10]]", *tokens)

    def _wait_s(self, attempt: int, reply: Reply) -> float:
        """Doubling, with a random part so that the workers do not come back all at once."""
        own: float = self.settings.first_wait_s * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
        return min(max(own, reply.asked_to_wait_s), _LONGEST_WAIT_S)

    def _without_key(self, text: str) -> str:
        """Some endpoints repeat the key in their error messages; half characters, which no file takes, are marked."""
        whole = _HALF.sub("\ufffd", text)
        return whole.replace(self._key, "<key>") if self._key else whole


def _count(used: Any, name: str) -> int:
    """Tokens as an endpoint counts them; 0 where it says nothing, or nothing that could be a count."""
    number = getattr(used, name, None)
    fits = isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= _MOST_TOKENS
    return int(number) if fits else 0  # type: ignore[arg-type]
