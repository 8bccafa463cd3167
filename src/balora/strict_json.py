"""JSON for files and for other programs: no secret in it, and no number that strict readers refuse."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from balora.redaction import redacted_document


def strict_json(document: Any, *, default: Callable[[Any], Any] | None = None) -> str:
    """The document as indented JSON without secrets; numbers that are not finite become null, as strict JSON has none.

    Args:
        document: mappings, sequences, texts and numbers.
        default: what stands for anything else; left out, it is refused.
    """
    plain = finite_or_null(redacted_document(document))
    return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False, default=default) + "\n"


def finite_or_null(value: Any) -> Any:
    """The same document with NaN and infinities as None."""
    if isinstance(value, Mapping):
        return {key: finite_or_null(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_null(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
