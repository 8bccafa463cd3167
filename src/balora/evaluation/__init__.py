"""Scores a researcher can trust: named metrics, test sets, generation suites, intervals, result files."""

from balora.evaluation.metrics import (
    METRICS,
    Metric,
    check_metric_names,
    is_score,
    keep_predictions,
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
    "keep_predictions",
    "metrics_function",
    "perplexity_of",
    "score_all",
]
