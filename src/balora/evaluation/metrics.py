"""Scores by name, each from scikit-learn or SciPy; no data and undefined scores are NaN, never 0."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

from balora.errors import RecipeError, did_you_mean
from balora.task import IGNORED_LABEL, Task

Values = NDArray[np.floating] | NDArray[np.integer]

_NOT_SCORES = ("_runtime", "_per_second", "_model_preparation_time")
"""Endings of the numbers that transformers reports beside scores."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A score: what it compares and which way is better."""

    name: str
    task: Task
    score: Callable[[Values, Values], float]
    """(predictions, references) -> score; classes as ids, numbers as floats."""
    higher_is_better: bool = True


def _f1(predictions: Values, references: Values) -> float:
    """F1 of class 1 where there are two classes, else the mean over classes (macro)."""
    binary = len(np.union1d(predictions, references)) <= 2 and max(predictions.max(), references.max()) <= 1
    return float(metrics.f1_score(references, predictions, average="binary" if binary else "macro", zero_division=0))


def _correlation(function: Callable[[Values, Values], tuple[float, float]]) -> Callable[[Values, Values], float]:
    def score(predictions: Values, references: Values) -> float:
        if len(predictions) < 2:
            return math.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.ConstantInputWarning)
            return float(function(predictions, references)[0])

    return score


def exact_match(predictions: Values, references: Values) -> float:
    """Share of rows whose every labelled token is the likeliest one, each after the true ones before it.

    That is the share on which greedy decoding writes the reference and stops: it takes the first token if that is
    the likeliest, then stands where the true text does, and so on.

    Args:
        predictions: likeliest tokens, (N, S).
        references: tokens, (N, S), IGNORED_LABEL where nothing is compared.
    """
    return float(((predictions == references) | (references == IGNORED_LABEL)).all(axis=1).mean())


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "classification", lambda p, r: float(metrics.accuracy_score(r, p))),
        Metric("f1", "classification", _f1),
        Metric("matthews", "classification", lambda p, r: float(metrics.matthews_corrcoef(r, p))),
        Metric("pearson", "regression", _correlation(stats.pearsonr)),
        Metric("spearman", "regression", _correlation(stats.spearmanr)),
        Metric("mse", "regression", lambda p, r: float(metrics.mean_squared_error(r, p)), higher_is_better=False),
        Metric("exact_match", "generation", exact_match),
    )
}
"""Name -> score."""


def check_metric_names(names: Sequence[str], task: Task) -> None:
    """Refuse names that are not in the table, or belong to another task.

    Raises:
        RecipeError: names the closest metric of the task.
    """
    fitting = [name for name, metric in METRICS.items() if metric.task == task]
    for name in names:
        if name not in fitting:
            what = f"no metric '{name}' for task {task}"
            raise RecipeError.at("evaluation.metrics", what, did_you_mean(name, fitting))


def score_all(names: Sequence[str], predictions: Values, references: Values) -> dict[str, float]:
    """Every named score; NaN without data.

    Example:
        >>> score_all(["accuracy"], np.array([0, 1, 1]), np.array([0, 1, 0]))
        {'accuracy': 0.6666666666666666}
    """
    if len(references) == 0:
        return dict.fromkeys(names, math.nan)
    return {name: METRICS[name].score(predictions, references) for name in names}


def predictions_from_logits(logits: NDArray[np.floating], task: Task) -> Values:
    """Class ids for a classifier, numbers for a regressor; tokens of a language model are chosen already."""
    if task == "generation":
        return logits
    return logits.squeeze(-1) if task == "regression" else logits.argmax(axis=-1)


def keep_predictions(task: Task) -> Callable[[Any, Any], Any]:
    """What transformers' Trainer calls after each batch of an evaluation: of its logits only the predictions are kept.

    So an evaluation never holds the logits of more than one batch.
    """

    def reduce(logits: Any, labels: Any) -> Any:
        del labels
        parts = logits if isinstance(logits, tuple) else (logits,)
        # Mixtures of experts put their load-balancing loss first.
        first = next(part for part in parts if part.dim() == 3) if task == "generation" else parts[0]
        return first.squeeze(-1) if task == "regression" else first.argmax(dim=-1)

    return reduce


def metrics_function(
    names: Sequence[str], task: Task, *, shift: bool = False
) -> Callable[[object], dict[str, float]] | None:
    """What transformers' Trainer calls after evaluation; None where the loss is the only score.

    Args:
        names: scores of the task.
        task: what the model outputs.
        shift: whether outputs speak of the next token, as those of decoders do.
    """
    if not names:
        return None

    def compute(prediction: object) -> dict[str, float]:
        logits, references = prediction.predictions, prediction.label_ids  # type: ignore[attr-defined]
        first = logits[0] if isinstance(logits, tuple) else logits
        if shift:
            first, references = first[:, :-1], references[:, 1:]
        reduced = first.ndim == references.ndim  # by keep_predictions
        return score_all(names, first if reduced else predictions_from_logits(first, task), references)

    return compute


def is_score(name: str) -> bool:
    """Whether a reported number is a score rather than a speed.

    >>> is_score("eval_accuracy"), is_score("eval_runtime"), is_score("train_loss")
    (True, False, False)
    """
    return name.startswith(("eval_", "test_")) and not name.endswith(_NOT_SCORES)


def perplexity_of(scores: Mapping[str, float], prefix: str) -> dict[str, float]:
    """The exponential of the mean loss per token, where the scores hold one."""
    loss = scores.get(f"{prefix}_loss")
    return {} if loss is None else {f"{prefix}_perplexity": math.exp(loss) if loss < 700 else math.inf}
