from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora.data.labels import (
    LARGEST_SCORE,
    Labels,
    canonical_label,
    discover_labels,
    label_problem,
    mapping_to_copy,
    parse_score,
    require_known_classes,
)
from balora.errors import DataError

NLI = Labels.of_names(["entailment", "neutral", "contradiction"], "here")


@given(st.integers(-5, 50))
def test_every_spelling_of_a_whole_number_is_one_label(number: int) -> None:
    spellings = [number, float(number), str(number), f" {number} ", f"{number}.0", f"{number}.000"]
    assert {canonical_label(value) for value in spellings} == {str(number)}


def test_nothing_is_no_label_and_lists_are_an_error() -> None:
    assert [canonical_label(value) for value in (None, "", " ", float("nan"))] == [None] * 4
    with pytest.raises(TypeError):
        canonical_label(["x"])


def test_names_ids_and_case() -> None:
    assert [NLI.id_of(value) for value in ("neutral", "1", "NEUTRAL", "3", "x")] == [1, 1, 1, None, None]


def test_a_number_means_itself_where_the_names_are_numbers() -> None:
    stars = Labels.of_names(["5", "1"], "here")
    assert [stars.id_of(value) for value in ("5", "1", "0")] == [0, 1, None]


def test_an_explicit_mapping_may_merge_classes() -> None:
    merged = Labels.of_mapping({"entailment": 1, "neutral": 0, "contradiction": 0})
    assert merged.names == ("neutral", "entailment")
    assert merged.id_of("contradiction") == 0


@pytest.mark.parametrize("mapping", [{"a": 0}, {"a": 1, "b": 2}, {"a": 0, "b": 2}, {"a": -1, "b": 0}])
def test_mapped_ids_have_no_gap(mapping: dict[str, int]) -> None:
    with pytest.raises(DataError, match=r"data.labels: maps to the ids"):
        Labels.of_mapping(mapping)


def test_names_are_unique() -> None:
    with pytest.raises(DataError, match=r"names 'a' more than once"):
        Labels.of_names(["a", "b", "a"], "data.labels")


@given(st.lists(st.sampled_from(["pos", "neg", "mid"]), min_size=6).filter(lambda values: len(set(values)) > 1))
def test_texts_are_numbered_in_sorted_order(values: list[str]) -> None:
    found = discover_labels(values, "here")
    assert found.names == tuple(sorted(set(values)))
    assert [found.names[found.id_of(value)] for value in values] == values


def test_numbers_keep_their_value_and_sort_as_numbers() -> None:
    values = [str(number) for number in range(12)] * 3
    assert [discover_labels(values, "here").id_of(str(number)) for number in range(12)] == list(range(12))


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (["1", "2", "5"] * 9, 'ids 1, 2, 5, but ids must be 0..2; set data.labels: {"1": 0, "2": 1, "5": 2}'),
        (["2.5", "3", "4.1"] * 9, "looks like regression, not classification; set task: regression"),
        (["0", "1", "yes"] * 9, r"mixes numbers \(0, 1\) and texts \(yes\)"),
        (["yes"] * 9, "one class only, 'yes'"),
        ([f"sentence {i}" for i in range(50)], "50 different values in 50 rows are no classes"),
    ],
)
def test_values_that_are_no_classes(values: list[str], what: str) -> None:
    with pytest.raises(DataError, match=what):
        discover_labels(values, "here")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("7", r"f:3: label 7 but labels are 0..2 \(entailment, neutral, contradiction\)"),
        ("entailmnt", "f:3: label 'entailmnt' is none of .*; did you mean 'entailment'"),
        ("-1", "f:3: label -1, which means that the row has no label"),
        ("2.5", "set task: regression"),
        (None, "f:3: the label is missing"),
    ],
)
def test_values_without_an_id(value: str | None, what: str) -> None:
    _, problem = label_problem(value, NLI, "f:3")
    with pytest.raises(DataError, match=what):
        raise DataError([problem])


def test_classes_that_only_other_splits_have_are_named_with_place_and_count() -> None:
    with pytest.raises(DataError) as error:
        require_known_classes([0, 1], [0, 2, None, 2], NLI, "validation", ["d:1", "d:2", "d:3", "d:4"])
    assert str(error.value).startswith("d:2: class 'contradiction' (2 rows of validation) has no training row")


def test_an_unknown_label_is_offered_a_class_of_its_own_by_name() -> None:
    _, problem = label_problem("maybe", NLI, "d:7")
    assert problem.fix.endswith(f"or {mapping_to_copy([*NLI.names, 'maybe'])}")
    assert '"0"' not in problem.fix
    many = Labels.of_names([f"class {letter}" for letter in "abcdefghijkl"], "d")
    assert "data.labels" not in label_problem("maybe", many, "d:7")[1].fix


def test_the_mapping_to_copy_is_yaml() -> None:
    assert mapping_to_copy(["a", "b"]) == 'data.labels: {"a": 0, "b": 1}'


@given(st.floats(-LARGEST_SCORE, LARGEST_SCORE))
def test_scores_survive_being_written(score: float) -> None:
    assert parse_score(repr(score)) == parse_score(score) == score


@pytest.mark.parametrize(
    "value", ["good", "nan", "inf", float("nan"), True, [1], "1,5", "1_0", "1e19", -1e300, 10**400, "0x1", "\u0661"]
)
def test_what_is_no_score(value: object) -> None:
    with pytest.raises(ValueError, match=r"number"):
        parse_score(value)
