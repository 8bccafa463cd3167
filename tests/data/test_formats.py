from __future__ import annotations

import pytest

from balora.data import DataSettings, preset_named
from balora.data.formats import generation_shape, labelled_shape, require_fitting_settings, require_target
from balora.data.table import Table, table_of_objects
from balora.errors import DataError


def table(*names: str) -> Table:
    return table_of_objects("f.jsonl", [dict.fromkeys(names, "x")], lambda row: f"f.jsonl:{row}")


def settings(**changes: object) -> DataSettings:
    return DataSettings(train="f.jsonl", **changes)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("prompt", "completion"), "prompt_completion"),
        (("instruction", "input", "output"), "alpaca"),
        (("instruction", "output"), "alpaca"),
        (("instruction", "context", "response", "category"), "alpaca"),
        (("question", "answer"), "query_response"),
        (("query", "response", "type"), "query_response"),
        (("problem", "solution"), "query_response"),
        (("messages",), "messages"),
        (("id", "conversations"), "messages"),
        (("text",), "text"),
    ],
)
def test_generation_formats_by_their_columns(names: tuple[str, ...], found: str) -> None:
    assert generation_shape(table(*names), settings()).format == found


def test_the_context_of_an_instruction_is_its_input() -> None:
    shape = generation_shape(table("instruction", "context", "response"), settings())
    assert shape.columns == {"instruction": "instruction", "output": "response", "input": "context"}


def test_given_columns_decide_the_format() -> None:
    names = ("question", "answer", "a", "b")
    assert generation_shape(table(*names), settings(columns={"prompt": "a", "completion": "b"})).format == (
        "prompt_completion"
    )
    shape = generation_shape(table(*names), settings(columns={"response": "b"}))
    assert (shape.format, shape.columns) == ("query_response", {"response": "b", "query": "question"})


def test_an_own_template_needs_only_a_response() -> None:
    shape = generation_shape(table("text", "code"), settings(columns={"response": "code"}, template="# {text}\n"))
    assert shape.columns == {"response": "code"}


@pytest.mark.parametrize(
    ("names", "changes", "what"),
    [
        (("foo", "bar"), {}, "the columns do not tell the format; found 'foo', 'bar'"),
        (("a", "b"), {"columns": {"prompt": "a", "response": "b"}}, "belong to different formats"),
        (("question", "foo"), {"format": "query_response"}, r"no column for 'response' \(looked for"),
        (("question", "answer", "solution"), {}, "'response' could be 'answer' or 'solution'"),
        (("a",), {"columns": {"query": "a", "response": "a"}}, "'a' is already 'query'"),
    ],
)
def test_columns_that_do_not_decide_it(names: tuple[str, ...], changes: dict[str, object], what: str) -> None:
    with pytest.raises(DataError, match=what):
        generation_shape(table(*names), settings(**changes))


@pytest.mark.parametrize(
    ("task", "changes", "what"),
    [
        ("generation", {"format": "pair"}, "'pair' is not for generation"),
        ("classification", {"format": "alpaca"}, "'alpaca' is not for classification"),
        ("regression", {"labels": ["a", "b"]}, "class names are not for regression"),
        ("classification", {"template": "plain"}, "a prompt template is not for classification"),
        ("classification", {"too_long": "truncate_prompt"}, "there is no prompt to truncate"),
        ("generation", {"preset": "cola"}, "presets are for classification and regression"),
        ("generation", {"template": "alpacca"}, "no template 'alpacca'; did you mean 'alpaca'"),
        ("generation", {"format": "messages", "template": "plain"}, "takes no template"),
    ],
)
def test_settings_of_another_task(task: str, changes: dict[str, object], what: str) -> None:
    with pytest.raises(DataError, match=what):
        require_fitting_settings(settings(**changes), task)


def test_labelled_columns_of_a_preset_then_synonyms() -> None:
    mrpc = preset_named("mrpc", "classification")
    raw = labelled_shape(table("Quality", "#1 ID", "#1 String", "#2 String"), settings(), "classification", mrpc)
    assert raw.columns == {"text": "#1 String", "text_pair": "#2 String", "label": "Quality"}
    other = labelled_shape(table("text_a", "text_b", "label"), settings(), "classification", mrpc)
    assert other.columns == {"text": "text_a", "text_pair": "text_b", "label": "label"}


def test_a_given_text_alone_is_a_sentence() -> None:
    given = settings(columns={"text": "premise"})
    shape = labelled_shape(table("premise", "hypothesis", "label"), given, "classification", None)
    assert (shape.format, "text_pair" in shape.columns) == ("sentence", False)


def test_the_format_of_the_training_split_holds_for_the_others() -> None:
    with pytest.raises(DataError, match=r"no column for 'text'"):
        labelled_shape(table("sentence", "label"), settings(), "classification", None, format_name="pair")
    with pytest.raises(DataError, match=r"no column for 'text_pair'"):
        labelled_shape(
            table("sentence", "label"),
            settings(columns={"text": "sentence"}),
            "classification",
            None,
            format_name="pair",
        )


def test_a_missing_label_is_found_when_it_is_needed() -> None:
    shape = labelled_shape(table("sentence", "idx"), settings(), "classification", None)
    with pytest.raises(DataError, match=r"no column for 'label'"):
        require_target(table("sentence", "idx"), shape, "classification")


def test_label_and_score_belong_to_their_tasks() -> None:
    with pytest.raises(DataError, match=r"the role 'score' is not used here"):
        labelled_shape(table("text", "x"), settings(columns={"score": "x"}), "classification", None)
