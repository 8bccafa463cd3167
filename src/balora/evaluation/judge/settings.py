"""Which judge grades, and how patiently it is asked."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from balora.settings import Settings

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class JudgeSettings(Settings):
    """A judge model behind an OpenAI-compatible endpoint. The key comes from the environment alone."""

    model: str = Field(min_length=1)
    """The judge's name as the endpoint knows it."""
    base_url: str = "https://api.openai.com/v1"
    """The endpoint, up to and including its version. Plain http only for this machine."""
    key_variable: str = Field(default="OPENAI_API_KEY", pattern=r"^[A-Z][A-Z0-9_]*$")
    """The environment variable that holds the key; its name, never the key."""
    turns: tuple[int, ...] = (1, 2)
    """Which turns are graded; `[1]` is what the paper reports."""
    prompts: Path | None = None
    """A file of prompts in place of balora's own. Left out: scores compare only with others of the same prompts."""
    temperature: float | None = Field(default=0.0, ge=0)
    """None leaves it to the endpoint, for models that accept no other than their own."""
    max_reply_tokens: int = Field(default=1024, ge=16)
    """Longest reply of the judge; one that is cut off counts as malformed."""
    reply_tokens_field: str = Field(default="max_completion_tokens", pattern=r"^max(_completion)?_tokens$")
    """Which name of that limit the endpoint knows; older servers say `max_tokens`."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Seconds to wait for one reply."""
    attempts: int = Field(default=4, ge=1)
    """How often a request is sent in all before its grade counts as missing."""
    first_wait_s: float = Field(default=1.0, ge=0)
    """Seconds before the second attempt, doubled each time; an endpoint that names a longer wait gets it."""
    workers: int = Field(default=4, ge=1, le=64)
    """Requests at a time."""
    prompt_price: float | None = Field(default=None, ge=0)
    """Price of a million prompt tokens, for the estimate."""
    reply_price: float | None = Field(default=None, ge=0)
    """Price of a million reply tokens, for the estimate."""

    @field_validator("turns")
    @classmethod
    def _turns_exist(cls, turns: tuple[int, ...]) -> tuple[int, ...]:
        if not turns or not set(turns) <= {1, 2} or len(set(turns)) != len(turns):
            raise ValueError("turns are 1, 2 or both")
        return turns

    @field_validator("base_url")
    @classmethod
    def _only_safe_addresses(cls, address: str) -> str:
        parts = urlsplit(address)
        if parts.username or parts.password or parts.query:
            raise ValueError("an address must not hold a user, a password or a key")
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError("use https; plain http would show the key to others (allowed for localhost)")
        return address.rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether the judge runs on this machine and may need no key."""
        return urlsplit(self.base_url).hostname in _LOOPBACK
