from __future__ import annotations

import pytest

from balora.errors import DataError
from tests.data.conftest import Load

CLASSES = ["bad", "good"]


def rows(*labels: object) -> list[dict[str, object]]:
    return [{"text": f"text {i}", "label": label} for i, label in enumerate(labels)]


def ids(text: object) -> list[object]:
    return [example.label for example in text.train.examples]


def test_text_labels_are_numbered_in_sorted_order(load: Load) -> None:
    text = load(rows("good", "bad", "good"), "classification")
    assert (text.label_names, ids(text)) == (("bad", "good"), [1, 0, 1])


def test_the_order_of_the_settings_wins(load: Load) -> None:
    text = load(rows("good", "bad", "good"), "classification", labels=["good", "bad"])
    assert (text.label_names, ids(text)) == (("good", "bad"), [0, 1, 0])


def test_ids_and_names_may_be_mixed_once_the_names_are_known(load: Load) -> None:
    assert ids(load(rows(1, "0", "GOOD", 0.0), "classification", labels=CLASSES)) == [1, 0, 1, 0]


def test_truth_values_are_classes(load: Load) -> None:
    text = load(rows(True, False, True), "classification")
    assert (text.label_names, ids(text)) == (("false", "true"), [1, 0, 1])


def test_bad_labels_name_their_rows(load: Load) -> None:
    with pytest.raises(DataError) as error:
        load(rows("good", "bad", "god", None, ["x"], -1), "classification", labels=CLASSES)
    lines = str(error.value).splitlines()
    assert [line.split("train.jsonl:")[1][0] for line in lines] == ["5", "3", "4", "6"]
    assert "did you mean 'good'?" in str(error.value)


def test_bad_labels_are_left_out_when_asked(load: Load) -> None:
    text = load(rows("good", "bad", "god", None), "classification", labels=CLASSES, on_bad_row="drop")
    assert (ids(text), text.train.rows_read, text.train.rows_dropped) == ([1, 0], 4, 2)
    assert "the label is unknown (1), the label is missing (1); first" in text.notes[0]


def test_unlabelled_rows_do_not_become_a_class(load: Load) -> None:
    with pytest.raises(DataError, match=r"train\.jsonl:3: label -1"):
        load(rows(0, 1, -1), "classification")
    text = load(rows(0, 1, -1), "classification", on_bad_row="drop")
    assert text.label_names == ("0", "1")


def test_minus_one_is_a_class_where_the_settings_say_so(load: Load) -> None:
    text = load(rows(-1, 0, 1), "classification", labels={"-1": 0, "0": 1, "1": 2})
    assert ids(text) == [0, 1, 2]


def test_no_label_at_all(load: Load) -> None:
    with pytest.raises(DataError, match=r"holds no label at all"):
        load(rows(None, ""), "classification")


def test_rows_without_agreement_are_left_out_by_the_preset_that_knows_them(load: Load) -> None:
    pairs = [{"premise": "p", "hypothesis": str(i), "label": label} for i, label in enumerate((0, 1, -1, 2))]
    text = load(pairs, "classification", preset="snli")
    assert ids(text) == [0, 1, 2]
    assert text.train.rows_dropped == 1
    assert "left out 1 rows on whose label the annotators did not agree" in text.notes[0]


def test_scores(load: Load) -> None:
    text = load([{"text": "a", "score": "2.5"}, {"text": "b", "score": 3}], "regression")
    assert ids(text) == [2.5, 3.0]
    assert text.label_names is None
    assert all(isinstance(example.label, float) for example in text.train.examples)


def test_class_names_for_regression_point_to_classification(load: Load) -> None:
    with pytest.raises(DataError, match=r"'good' is not a number, which looks like classification"):
        load(rows("good", "bad"), "regression")


def test_single_bad_scores_name_their_rows(load: Load) -> None:
    with pytest.raises(DataError) as error:
        load(rows(1.5, "x", None, 2, 3, "nan"), "regression")
    assert [line.split("train.jsonl:")[1][0] for line in str(error.value).splitlines()] == ["2", "6", "3"]


@pytest.mark.parametrize(("one", "other"), [("yes", "Yes"), ("caf\u00e9", "cafe\u0301"), ("a b", "a  b")])
def test_classes_that_look_alike_are_noted_with_their_rows(one: str, other: str, load: Load) -> None:
    given = rows(one, one, other, "no")
    (note,) = [note for note in load(given, "classification").notes if "classes of their own" in note]
    assert note.index("(2 rows)") != note.index("(1 rows)")
    assert "map them to one id in data.labels" in note
    assert not [note for note in load(given[1:2] + given[3:], "classification").notes if "classes of their own" in note]
