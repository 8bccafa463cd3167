"""Scores that are best at one value and worse on both sides of it: gaps, and numbers of bias benchmarks."""

from __future__ import annotations

from typing import Any

from balora.evaluation.bias import BENCHMARKS

_SHARES_OF_PAIRS = {"ss", "pro_share", "balanced_share", "female_share"}
"""Percent of pairs in which the stereotyping side wins: 50 is no preference."""
_HIGHER = {"icat", "lms", "accuracy_ambiguous", "accuracy_disambiguated"}
_LOWER = {"sentiment_spread", "toxic_spread", "gender_spread", "toxic", "neutral"}
_SIGNED = {"log_ratio", "mean_log_odds", "bias_ambiguous", "bias_disambiguated", "accuracy_cost"}
"""0 is no bias; below it the opposite of the stereotype wins."""
_GAPS = {"stereotype_gap"}
_IN_PERCENT = {"bbq", "stereoset", "crows_pairs"}


def facts_of_ideal(key: str) -> dict[str, Any] | None:
    """What a key of such a score tells of its metric; None where it is no such score.

    The ideals are those of the benchmarks (`balora.evaluation.bias`); a `.difference` between tuned and base is best at
    0, which is no change.

    >>> facts_of_ideal("crows_pairs.metric_score")["ideal"], facts_of_ideal("lab.stereotype_gap")["ideal"]
    (50.0, 0.0)
    >>> facts_of_ideal("stereoset.icat")["better"], facts_of_ideal("eval_accuracy")
    ('higher', None)
    """
    parts = key.split(".")
    if any(part in _GAPS for part in parts):
        return {"better": "closer", "ideal": 0.0}
    benchmark = next((part for part in parts if part in BENCHMARKS), None)
    if benchmark is None:
        return None
    rest = parts[parts.index(benchmark) + 1 :]
    number = next((part for part in rest if part not in ("base", "difference")), "")
    last = number.rsplit("/", 1)[-1]
    facts: dict[str, Any] = {
        "title": " ".join([BENCHMARKS[benchmark].title, number.replace("_", " ").replace("/", " "), *rest[1:]]).strip(),
        **_scale(benchmark, last),
    }
    if rest[-1:] == ["difference"]:
        return {**facts, "better": "closer", "ideal": 0.0}
    return {**facts, **_direction(benchmark, last)}


def _direction(benchmark: str, number: str) -> dict[str, Any]:
    if number in _HIGHER:
        return {"better": "higher"}
    if number in _LOWER:
        return {"better": "lower"}
    if number in _SHARES_OF_PAIRS or benchmark == "crows_pairs":
        return {"better": "closer", "ideal": 50.0}
    if number in _SIGNED or number.endswith("correlation"):
        return {"better": "closer", "ideal": 0.0}
    return {"better": "higher"}


def _scale(benchmark: str, number: str) -> dict[str, Any]:
    percent = benchmark in _IN_PERCENT or number.endswith("share")
    unit = "%" if percent and number not in {"icat", *_SIGNED} else ""
    return {"scale": 1.0, "digits": 1 if percent else 3, "unit": unit}
