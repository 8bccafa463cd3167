"""What a key tells about its metric."""

from __future__ import annotations

import pytest

from balora.study.metrics import LAB_METRICS, metric_of


@pytest.mark.parametrize(
    ("key", "better"),
    [
        ("eval_accuracy", "higher"),
        ("eval_loss", "lower"),
        ("eval_mse", "lower"),
        ("eval_perplexity", "lower"),
        ("test_matthews", "higher"),
        ("lab.facts_retained", "higher"),
        ("lab.wrong_labels_memorised", "lower"),
        ("lab.stereotype_gap", "closer"),
        ("lab.false_facts_repeated", "lower"),
        ("lab.false_facts_corrected", "higher"),
        ("audit.drift.kl_nats_per_token", "lower"),
        ("gsm8k.accuracy", "higher"),
        ("cost.train_s", "lower"),
    ],
)
def test_which_way_is_better(key: str, better: str) -> None:
    assert metric_of(key).better == better


def test_what_the_file_says_wins() -> None:
    metric = metric_of("eval_accuracy", {"title": "acc", "better": "lower", "scale": 1.0, "digits": 4, "unit": "x"})
    assert (metric.title, metric.better, metric.scale, metric.digits, metric.unit) == ("acc", "lower", 1.0, 4, "x")


def test_shares_are_shown_in_percent_and_correlations_times_a_hundred() -> None:
    assert (metric_of("eval_accuracy").scale, metric_of("eval_accuracy").unit) == (100.0, "%")
    assert (metric_of("eval_matthews").scale, metric_of("eval_matthews").unit) == (100.0, "")
    assert len({metric_of(key).title for key in LAB_METRICS}) == len(LAB_METRICS)


@pytest.mark.parametrize("key", ["lab.false_facts_repeated", "lab.wrong_labels_memorised"])
def test_repeating_what_is_false_is_bad(key: str) -> None:
    metric = metric_of(key)
    assert (metric.better, metric.unit) == ("lower", "%")
    assert metric_of("lab.false_facts_corrected").better == "higher"
