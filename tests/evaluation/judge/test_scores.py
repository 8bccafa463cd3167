"""Mean grades and their uncertainty."""

from __future__ import annotations

import math

import numpy as np
import pytest

from balora.evaluation.judge import Judgement, score_judgements


def one(number: int, turn: int, grade: float | None, category: str = "math") -> Judgement:
    return Judgement(number, category, turn, grade, "")


def test_missing_grades_are_in_no_mean() -> None:
    scores = score_judgements([one(1, 1, 10), one(1, 2, None), one(2, 1, 5), one(2, 2, 3)])
    assert (scores.overall.mean, scores.overall.n, scores.overall.missing, scores.overall.questions) == (6.0, 3, 1, 2)
    assert scores.by_turn[1].mean == 7.5
    assert (scores.by_turn[2].mean, scores.by_turn[2].missing) == (3.0, 1)
    assert not scores.is_complete


def test_nothing_is_not_zero() -> None:
    for judgements in ([], [one(1, 1, None)]):
        score = score_judgements(judgements).overall
        assert math.isnan(score.mean)
        assert math.isnan(score.standard_error)
        assert score.n == 0
        assert not score_judgements(judgements).is_complete


def test_a_single_question_has_no_uncertainty() -> None:
    score = score_judgements([one(1, 1, 4), one(1, 2, 6)]).overall
    assert score.mean == 5
    assert all(math.isnan(number) for number in (score.standard_error, *score.interval))


def test_with_one_grade_each_the_error_is_the_usual_one() -> None:
    grades = np.random.default_rng(1).integers(1, 11, 40).astype(float)
    score = score_judgements([one(n, 1, grade) for n, grade in enumerate(grades)]).overall
    assert score.standard_error == pytest.approx(grades.std(ddof=1) / math.sqrt(40))
    assert score.interval[0] < score.mean < score.interval[1]
    assert score.interval[1] - score.interval[0] == pytest.approx(2 * 1.96 * score.standard_error, rel=0.1)


def test_a_second_turn_that_repeats_the_first_adds_no_certainty() -> None:
    grades = np.random.default_rng(2).integers(1, 11, 30)
    once = score_judgements([one(n, 1, float(g)) for n, g in enumerate(grades)])
    twice = score_judgements([one(n, turn, float(g)) for n, g in enumerate(grades) for turn in (1, 2)])
    assert twice.overall.standard_error == pytest.approx(once.overall.standard_error)
    assert twice.overall.interval == pytest.approx(once.overall.interval)
    assert (twice.overall.n, twice.overall.questions) == (60, 30)


def test_categories_and_a_share_of_missing_that_is_small_enough() -> None:
    rows = [one(n, 1, float(1 + n % 10), "math" if n % 2 else "stem") for n in range(99)] + [one(99, 1, None)]
    scores = score_judgements(rows)
    assert list(scores.by_category) == ["stem", "math"]
    assert sum(part.n for part in scores.by_category.values()) == 99
    assert scores.is_complete
    assert not score_judgements([*rows, one(100, 1, None)]).is_complete


def test_the_same_seed_gives_the_same_interval() -> None:
    rows = [one(n, 1, float(1 + n % 7)) for n in range(20)]
    assert score_judgements(rows, seed=3).overall == score_judgements(rows, seed=3).overall
