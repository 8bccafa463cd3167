"""Finds what looks like a key or a token, so that none is ever copied into a run folder."""

from __future__ import annotations

import re

ADVICE = "remove it, revoke it if it was shared, and set it in the environment (HF_TOKEN, WANDB_API_KEY, ...)"

_SHAPES = re.compile(
    r"""\bhf_[A-Za-z0-9]{16,}            # Hugging Face
      | \bsk-(?=[a-z_-]*[A-Z0-9])[A-Za-z0-9_-]{16,}  # OpenAI, Anthropic and others
      | \bgh[pousr]_[A-Za-z0-9]{20,}     # GitHub
      | \bgithub_pat_[A-Za-z0-9_]{20,}
      | \bglpat-[A-Za-z0-9_-]{16,}       # GitLab
      | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b    # AWS
      | \bAIza[A-Za-z0-9_-]{30,}         # Google
      | \bxox[abprs]-[A-Za-z0-9-]{10,}   # Slack
      | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----
      | ://[^/\s:@]+:[^/\s:@]+@          # a URL with user and password
    """,
    re.VERBOSE,
)
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

    >>> names_credential("hub_token"), names_credential("regularized_tokens")
    (True, False)
    """
    return _NAMES.search(key.replace("-", "_")) is not None
