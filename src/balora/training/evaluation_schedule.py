"""The section `evaluation` as training arguments: when the validation split is scored, what is kept, when to stop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from balora.errors import Problem
from balora.evaluation.settings import EvaluationSettings


def scheduled_arguments(evaluation: EvaluationSettings) -> dict[str, Any]:
    """The fields of `TrainingArguments` that the section decides; none where it leaves them open.

    >>> scheduled_arguments(EvaluationSettings(every=50, keep_best="loss"))["eval_steps"]
    50
    """
    found: dict[str, Any] = {}
    if isinstance(evaluation.every, int):
        found |= {"eval_strategy": "steps", "eval_steps": evaluation.every}
    elif evaluation.every is not None:
        found["eval_strategy"] = "no" if evaluation.every == "end" else "epoch"
    if evaluation.keep_best is not None:
        found |= {"load_best_model_at_end": True, "metric_for_best_model": evaluation.keep_best}
    return found


def schedule_conflicts(evaluation: EvaluationSettings, training: Mapping[str, Any]) -> Iterator[Problem]:
    """Settings that `evaluation` and `training` both make, and differently, and a score that neither names."""
    for name, value in scheduled_arguments(evaluation).items():
        given = training.get(name)
        same = given == value or (name == "metric_for_best_model" and given == f"eval_{value}")
        if given is not None and not same:
            section = "keep_best" if name in {"load_best_model_at_end", "metric_for_best_model"} else "every"
            what = f"evaluation.{section} makes training.{name} {value!r}, but the recipe says {given!r}"
            yield Problem(f"training.{name}", what, "keep one of the two")
    scored = evaluation.keep_best or training.get("metric_for_best_model")
    if training.get("save_strategy") == "best" and not scored:
        what = "is 'best', but nothing says which score"
        yield Problem("training.save_strategy", what, "set evaluation.keep_best, for example loss")
