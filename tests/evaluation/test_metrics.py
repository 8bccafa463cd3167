"""Scores equal hand-computed values, and no data is NaN."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from balora.errors import RecipeError
from balora.evaluation import (
    METRICS,
    check_metric_names,
    keep_predictions,
    metrics_function,
    perplexity_of,
    score_all,
)

PREDICTED, TRUE = np.array([1, 1, 0, 0, 1, 0]), np.array([1, 0, 0, 1, 1, 0])
"""Two true positives, two true negatives, one false positive, one false negative."""


def test_class_scores_by_hand() -> None:
    scores = score_all(["accuracy", "f1", "matthews"], PREDICTED, TRUE)
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert scores["matthews"] == pytest.approx((2 * 2 - 1 * 1) / math.sqrt(3 * 3 * 3 * 3))


def test_f1_of_more_classes_is_the_mean_over_classes() -> None:
    predicted, true = np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2])
    assert METRICS["f1"].score(predicted, true) == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)


def test_correlations_by_hand() -> None:
    predicted, true = np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0])
    scores = score_all(["pearson", "spearman", "mse"], predicted, true)
    assert scores["pearson"] == pytest.approx(3 / math.sqrt(2 * (14 / 3)))
    assert scores["spearman"] == pytest.approx(1.0)
    assert scores["mse"] == pytest.approx(1 / 3)


def test_undefined_scores_are_nan_and_constant_classes_have_no_correlation() -> None:
    constant = np.ones(4)
    assert math.isnan(METRICS["pearson"].score(constant, np.arange(4.0)))
    assert math.isnan(METRICS["spearman"].score(np.array([1.0]), np.array([1.0])))
    assert METRICS["matthews"].score(np.ones(4, dtype=int), np.array([0, 1, 0, 1])) == 0.0
    assert all(math.isnan(value) for value in score_all(["accuracy", "f1"], np.array([]), np.array([])).values())


def test_the_trainer_s_function_reads_classes_and_numbers_off_logits() -> None:
    logits = np.array([[0.1, 0.9], [0.8, 0.2]])
    compute = metrics_function(["accuracy"], "classification")
    assert compute is not None
    assert compute(SimpleNamespace(predictions=logits, label_ids=np.array([1, 1]))) == {"accuracy": 0.5}
    assert compute(SimpleNamespace(predictions=(logits, "hidden"), label_ids=np.array([1, 0]))) == {"accuracy": 1.0}
    compute = metrics_function(["mse"], "regression")
    assert compute is not None
    assert compute(SimpleNamespace(predictions=np.array([[1.0], [3.0]]), label_ids=np.array([1.0, 1.0]))) == {"mse": 2}
    assert metrics_function([], "generation") is None


@pytest.mark.parametrize(
    ("names", "task", "message"),
    [
        (["acuracy"], "classification", "did you mean 'accuracy'"),
        (["accuracy"], "regression", "no metric 'accuracy' for task regression"),
        (["bleu"], "generation", "choose one of exact_match"),
    ],
)
def test_unknown_names_are_refused(names: list[str], task: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_metric_names(names, task)  # type: ignore[arg-type]


def test_perplexity_is_the_exponential_of_the_loss() -> None:
    assert perplexity_of({"eval_loss": math.log(7)}, "eval")["eval_perplexity"] == pytest.approx(7)
    assert perplexity_of({}, "eval") == {}
    assert perplexity_of({"eval_loss": 1e6}, "eval") == {"eval_perplexity": math.inf}


def test_exact_match_wants_every_labelled_token() -> None:
    predicted = np.array([[5, 6, 7], [5, 9, 7], [0, 0, 0]])
    true = np.array([[5, 6, 7], [5, 6, -100], [-100, 0, 0]])
    assert METRICS["exact_match"].score(predicted, true) == pytest.approx(2 / 3)


def test_tokens_of_a_decoder_are_compared_with_the_ones_after_them() -> None:
    predicted, true = np.array([[6, 7, 0]]), np.array([[-100, 6, 7]])
    for shift, expected in ((True, 1.0), (False, 0.0)):
        compute = metrics_function(["exact_match"], "generation", shift=shift)
        assert compute is not None
        assert compute(SimpleNamespace(predictions=predicted, label_ids=true)) == {"exact_match": expected}


def test_only_the_likeliest_tokens_are_kept() -> None:
    """Mixtures give their load-balancing loss before the logits, encoder-decoders their encoder's states after."""
    logits = torch.randn(2, 3, 7)
    for outputs in (logits, (torch.tensor(2.0), logits), (logits, torch.randn(2, 5, 4))):
        assert torch.equal(keep_predictions("generation")(outputs, None), logits.argmax(-1))
