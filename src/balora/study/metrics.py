"""What a metric's key tells about it: its title, which way is better, how it is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from balora.data.presets import preset_named
from balora.errors import Problem
from balora.evaluation.metrics import METRICS
from balora.recipe import Recipe
from balora.study.ideals import facts_of_ideal
from balora.study.results import Metric

if TYPE_CHECKING:
    from balora.study.settings import StudySettings

LAB_METRICS = (
    "lab.task_accuracy",
    "lab.minority_recall",
    "lab.facts_retained",
    "lab.wrong_labels_memorised",
    "lab.stereotype_gap",
    "lab.heldout_loss",
)
"""What the lab measures of every run, in the order of interest."""

LAB_VALIDATION = "lab.validation_accuracy"
"""The lab's score on its validation split, by which settings are chosen."""

_TITLES: Mapping[str, str] = {
    "eval_matthews": "Matthews correlation",
    "eval_f1": "F1",
    "eval_mse": "mean squared error",
    "lab.task_accuracy": "task accuracy",
    "lab.minority_recall": "rare cities",
    "lab.facts_retained": "facts retained",
    "lab.wrong_labels_memorised": "wrong labels memorised",
    "lab.false_facts_repeated": "false facts repeated",
    "lab.false_facts_corrected": "false facts corrected",
    "lab.stereotype_gap": "stereotype gap",
    "lab.heldout_loss": "held-out loss",
    "lab.validation_accuracy": "validation accuracy",
    "cost.train_s": "training time",
    "cost.peak_cpu_gib": "peak memory",
    "cost.peak_gpu_gib": "peak GPU memory",
    "cost.adapter_parameters": "adapter parameters",
    "cost.trainable_parameters": "trainable parameters",
    "cost.total_parameters": "parameters",
}
_LOWER_IS_BETTER = (
    "loss",
    "perplexity",
    "mse",
    "memorised",
    "repeated",
    "memorization",
    "memorisation",
    "drift",
    "kl",
    "error",
    "toxicity",
    "forgetting",
    "drop",
)
"""Words of a key that say so."""
_PERCENT = (
    "accuracy",
    "matthews",
    "f1",
    "pearson",
    "spearman",
    "exact_match",
    "recall",
    "retained",
    "memorised",
    "repeated",
    "corrected",
)
_CORRELATIONS = ("matthews", "pearson", "spearman")
"""Shown times 100, as papers do, without being a share."""
_COSTS: Mapping[str, tuple[float, int, str]] = {
    "cost.train_s": (1.0, 1, "s"),
    "cost.peak_cpu_gib": (1.0, 2, "GiB"),
    "cost.peak_gpu_gib": (1.0, 2, "GiB"),
    "cost.adapter_parameters": (1e-6, 3, "M"),
    "cost.trainable_parameters": (1e-6, 3, "M"),
    "cost.total_parameters": (1e-6, 1, "M"),
}


def metric_of(key: str, given: Mapping[str, Any] | None = None) -> Metric:
    """The metric of a key; what is given wins over what the key tells.

    >>> metric_of("eval_matthews").title, metric_of("eval_loss").better
    ('Matthews correlation', 'lower')
    >>> metric_of("lab.task_accuracy", {"digits": 1}).digits, metric_of("lab.stereotype_gap").direction
    (1, 'closer to 0')
    """
    words = key.replace(".", "_").split("_")
    last = key.rsplit(".", 1)[-1].removeprefix("eval_").removeprefix("test_")
    known = METRICS.get(last)
    lower = key.startswith("cost.") or (
        not known.higher_is_better if known else any(word in _LOWER_IS_BETTER for word in words)
    )
    percent = (any(word in key for word in _PERCENT) and not lower) or key.endswith(("memorised", "repeated"))
    correlation = any(word in key for word in _CORRELATIONS)
    scale, digits, unit = _COSTS.get(key, (100.0, 1, "" if correlation else "%") if percent else (1.0, 3, ""))
    found: dict[str, Any] = {
        "title": _TITLES.get(key, last.replace("_", " ")),
        "better": "lower" if lower else "higher",
        "scale": scale,
        "digits": digits,
        "unit": unit,
    }
    found |= facts_of_ideal(key) or {}
    chosen = dict(given or {})
    if chosen.get("ideal") is not None:
        chosen.setdefault("better", "closer")
    if chosen.get("better", found["better"]) != "closer":
        found.pop("ideal", None)
    return Metric(key=key, **{**found, **chosen})


def metrics_of(settings: StudySettings, recipe: Recipe, *, has_lab: bool) -> tuple[Metric, ...]:
    """The study's metrics; where it names none, the lab's, or those that its recipe scores on the validation split."""
    if settings.metrics:
        return tuple(metric.as_metric() for metric in settings.metrics)
    if has_lab:
        return tuple(metric_of(key) for key in LAB_METRICS)
    names = recipe.evaluation.metrics
    if names is None and recipe.data.preset is not None:
        as_words = recipe.task == "generation" and recipe.data.label_words is not None
        names = list(preset_named(recipe.data.preset, "classification" if as_words else recipe.task).metrics)
    if names is None:
        names = [metric.name for metric in METRICS.values() if metric.task == recipe.task][:1]
    return tuple(metric_of(f"eval_{name}") for name in [*names, "loss"])


def check_metrics(
    settings: StudySettings, metrics: tuple[Metric, ...], recipe: Recipe, *, origin: str
) -> Iterator[Problem]:
    """What can be seen to be wrong with metrics before any run: a score that nothing will measure."""
    has_validation = recipe.data.validation is not None or recipe.data.train is None
    wanted = [(f"{origin} metrics", metric.key) for metric in metrics]
    for where, key in wanted:
        if key.startswith("eval_") and not has_validation:
            fix = "set base.data.validation to a file or to a share of the training rows"
            yield Problem(where, f"'{key}' needs a validation split", fix)
        if key.startswith("audit.") and settings.audit is None:
            yield Problem(where, f"'{key}' needs an audit", "add audit: {}")
    if settings.tune is None:
        return
    decides = settings.tune.by or metrics[0].key
    if not decides.startswith("eval_") and decides != LAB_VALIDATION:
        fix = f"set tune.by to {LAB_VALIDATION if decides.startswith('lab.') else 'a score that begins with eval_'}"
        yield Problem(f"{origin} tune.by", f"'{decides}' is not measured on a validation split", fix)
