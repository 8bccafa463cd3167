"""Scores: named metrics on predictions."""

from balora.evaluation.metrics import (
    METRICS,
    Metric,
    check_metric_names,
    is_score,
    likeliest_tokens,
    metrics_function,
    perplexity_of,
    score_all,
)
from balora.evaluation.settings import EvaluationSettings

__all__ = [
    "METRICS",
    "EvaluationSettings",
    "Metric",
    "check_metric_names",
    "is_score",
    "likeliest_tokens",
    "metrics_function",
    "perplexity_of",
    "score_all",
]
