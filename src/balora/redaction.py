"""Keys and tokens: what looks like one, and how none of them reaches a file, a log or a traceback.

Everything that balora writes for people passes `redacted`: run records, cards, result files, messages, tracebacks, and
whatever the libraries print while a command runs. Two things are taken out: the values of environment variables that
are named like secrets, and the token that `hf auth login` stored; and whatever has the shape of a key.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import unquote

SHORTEST_SECRET = 8
"""Characters; a shorter value would be found in innocent words."""
ADVICE = "remove it, revoke it if it was shared, and set it in the environment (HF_TOKEN, WANDB_API_KEY, ...)"
"""What to do with a key that stands in a file or a command."""
HIDDEN = "[hidden: shaped like a credential]"

_SHAPES = re.compile(
    r"""\bhf_[A-Za-z0-9]{16,}            # Hugging Face
      | \bsk-(?=[a-z_-]{0,200}[A-Z0-9])[A-Za-z0-9_-]{16,}  # OpenAI, Anthropic and others
      | \bgh[pousr]_[A-Za-z0-9]{20,}     # GitHub
      | \bgithub_pat_[A-Za-z0-9_]{20,}
      | \bglpat-[A-Za-z0-9_-]{16,}       # GitLab
      | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b    # AWS
      | \bAIza[A-Za-z0-9_-]{30,}         # Google
      | \bxox[abprs]-[A-Za-z0-9-]{10,}   # Slack
      | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----(?:[A-Za-z0-9+/=\s\\n]*-----END[ ][A-Z ]*PRIVATE[ ]KEY-----)?
      | \bnpm_[A-Za-z0-9]{30,}
      | \bgsk_[A-Za-z0-9]{20,}          # Groq
      | \br8_[A-Za-z0-9]{20,}           # Replicate
      | \beyJ[A-Za-z0-9_-]{8,1000}\.eyJ[A-Za-z0-9_-]{8,1000}\.[A-Za-z0-9_-]{8,1000}  # a JSON web token
      | ://[^/\s:@]+:[^/\s:@]+@(?:[^/\s:@"'<>]{0,128}@){0,3}  # a URL with user and password
      | ://[^/\s:@"'<>]{0,128}:         # the same with no user, or with : / @ in the password; no port
        (?![0-9]{1,5}(?:[/?#,;"'\s)\]]|$))[^\s@"'<>]{1,256}@(?:[^/\s@"'<>]{0,128}@){0,3}
    """,
    re.VERBOSE,
)
_KEY_WORDS = (
    r"(?:x[-_])?"
    r"(?:api[-_]?key|(?:access|auth)[-_]?token|(?:client[-_]?)?secret(?:[-_](?:access[-_])?key)?|passw(?:or)?d)"
)
_BEHIND_A_WORD = re.compile(
    r"(?P<word>\bBearer\s{1,9}|\bBasic\s{1,9}|[?&](?:access_?token|token|api_?key|key|sig(?:nature)?|password)="
    rf"|[\"']{_KEY_WORDS}[\"']\s{{0,3}}:\s{{0,3}}[\"'])"
    r"(?P<value>[A-Za-z0-9+/=_.~%-]{8,})",
    re.IGNORECASE,
)
_BEHIND_A_COLON = re.compile(
    rf"(?P<word>(?:\bAuthorization[\"']?\s{{0,3}}[:=]\s{{0,3}}[\"']?(?:[a-z]{{1,10}}\s{{1,3}})?"
    rf"|(?<![a-z]){_KEY_WORDS}\s{{0,3}}[:=]\s{{0,3}}[\"']?))"
    r"(?P<value>(?=[a-z+/=_.~%-]{0,200}[0-9])[a-z0-9+/=_.~%-]{8,})",
    re.IGNORECASE,
)
"""In a header or a setting; a word without a digit is prose: `password: required`."""
_IN_A_URL = re.compile(r"://[^/\s:@]{0,128}:(?![0-9]{1,5}[/?#])([^\s@]{1,256}(?:@[^/\s@]{1,128}){0,3})@")
_VARIABLES = re.compile(
    r"(?:(?:^|_)(?:pass|pat|passphrase|password|passwd|token|secret)|_pw|_pwd)_?\d*$", re.IGNORECASE
)
_KEY_VARIABLES = re.compile(r"(?:^|_)(?:key|auth)_?\d*$", re.IGNORECASE)
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])|(?=.*[a-z])(?=.*[A-Z])|.{20}", re.DOTALL)
_NAMED: set[str] = set()
"""Variables that a setting names as one with a secret."""
_NAMES = re.compile(
    r"(?:^|_)(?:token|api_?key|access_?key|secret(?:_?key)?|password|passwd|credentials?)$", re.IGNORECASE
)


def has_credential(text: str) -> bool:
    """Whether the text contains something shaped like a secret.

    >>> has_credential("hf_" + "a" * 34), has_credential("hf_models/llama")
    (True, False)
    >>> has_credential("sk-" + "a1" * 12), has_credential("sk-learn-baseline-run-number-twelve")
    (True, False)
    """
    return _SHAPES.search(text) is not None


def names_credential(key: str) -> bool:
    """Whether a setting of this name would hold a secret.

    >>> names_credential("model.api_key"), names_credential("regularized_tokens")
    (True, False)
    """
    return _NAMES.search(key.replace("-", "_").replace(".", "_")) is not None


def redacted(text: str) -> str:
    """The text with a note in the place of each secret.

    >>> redacted("401 for https://me:pa55word@example.org/x?token=abcdefgh1")
    '401 for https://<secret>@example.org/x?token=<secret>'
    """
    for value, name in known_secrets().items():
        if value in text:
            text = text.replace(value, f"<{name}>")
    text = _SHAPES.sub(lambda found: "://<secret>@" if found[0].startswith("://") else "<secret>", text)
    for pattern in (_BEHIND_A_WORD, _BEHIND_A_COLON):
        text = pattern.sub(lambda found: f"{found['word']}<secret>", text)
    return text


def redacted_override(override: str) -> str:
    """A change `key=value` as it may be shown and written down.

    >>> redacted_override("base.training.hub_token=abc"), redacted_override("seeds=1")
    ('base.training.hub_token=...', 'seeds=1')
    """
    key, equals, text = override.partition("=")
    secret = has_credential(override) or names_credential(key.strip())
    return f"{'...' if has_credential(key) else key}{equals}{'...' if secret else text}"


def redacted_lines(text: str) -> str:
    r"""The text for a page: every line hidden that holds something shaped like a key, or a value under such a name.

    >>> redacted_lines("a: 1\nhub_token: abc\nb: 2")
    'a: 1\nhub_token: [hidden: shaped like a credential]\nb: 2'
    """
    return "\n".join(_redacted_line(line) for line in text.split("\n"))


def _redacted_line(line: str) -> str:
    name, colon, value = line.partition(":")
    words = name.split()
    if colon and value.strip() not in {"", "null", "None"} and words and names_credential(words[-1].strip("'\"-")):
        return f"{name}: {HIDDEN}"
    return HIDDEN if has_credential(line) else line


def redacted_document(value: Any) -> Any:
    """A JSON-like document with every text redacted, keys included."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {redacted(key) if isinstance(key, str) else key: redacted_document(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_document(part) for part in value]
    return value


def known_secrets() -> dict[str, str]:
    """Secret -> where it comes from: environment variables named like secrets, and the stored token of the hub."""
    found = {value.strip(): name for name, value in os.environ.items() if _holds_secret(name, value.strip())}
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("HOME") or "/nonexistent", ".cache", "huggingface"))
    found.setdefault(_stored_token(Path(os.environ.get("HF_TOKEN_PATH") or home / "token")), "stored token")
    for name, value in os.environ.items():
        for password in _passwords_in(name, value):
            found.setdefault(password, f"password in {name}")
            found.setdefault(unquote(password), f"password in {name}")
    longest_first = sorted((value for value in found if len(value) >= SHORTEST_SECRET), key=len, reverse=True)
    return {form: found[value] for value in longest_first for form in _written(value)}


def hide_variable(name: str) -> None:
    """Take the value of this environment variable for a secret, whatever the variable is called."""
    _NAMED.add(name)


def _holds_secret(name: str, value: str) -> bool:
    """By the variable's name; under KEY many a plain word stands, and files with keys are named by their path."""
    if name in _NAMED or names_credential(name):
        return True
    if value.startswith("/") and Path(value).exists():
        return False
    if _VARIABLES.search(name) is not None:
        return True
    return _KEY_VARIABLES.search(name) is not None and _RANDOM.match(value) is not None


def _passwords_in(name: str, value: str) -> list[str]:
    """Of URLs, and of proxies, which are written without `://` too; up to the last @ before the host."""
    found = list(_IN_A_URL.findall(value))
    if name.lower().endswith("_proxy") and "@" in value:
        user, _, password = value.partition("://")[2 if "://" in value else 0].rpartition("@")[0].partition(":")
        found.append(password or user)
    return found


def _written(value: str) -> tuple[str, ...]:
    """The ways in which JSON and Python write a text: a quote or a backslash in a password must not hide it."""
    doubled = value.replace("\\", "\\\\")
    escaped = (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    return (value, *escaped, doubled, doubled.replace("'", "\\'"))


@cache
def _stored_token(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


class RedactingStream:
    """A text stream that takes secrets out of whatever is written through it."""

    def __init__(self, stream: TextIO | Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text without its secrets."""
        self._stream.write(redacted(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write the lines without their secrets."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's own."""
        return getattr(self._stream, name)
