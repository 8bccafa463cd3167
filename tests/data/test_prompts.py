from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora.data.prompts import alpaca_prompt, is_own_template, own_columns, own_prompt, placeholders, plain_prompt
from balora.errors import DataError


@given(st.text(), st.text())
def test_the_alpaca_prompt_holds_its_parts_once_and_ends_where_the_response_begins(query: str, context: str) -> None:
    prompt = alpaca_prompt(query, context)
    assert f"### Instruction:\n{query}\n" in prompt
    assert (f"### Input:\n{context}\n" in prompt) == bool(context.strip()) or "### Input:" in query
    assert prompt.endswith("\n\n### Response:")


def test_the_alpaca_wording_differs_with_and_without_input() -> None:
    assert "paired with an input" in alpaca_prompt("a", "b")
    assert "paired with an input" not in alpaca_prompt("a", "  ")


@given(st.text(min_size=1), st.text(min_size=1))
def test_plain_puts_white_space_at_the_seam_exactly_once(prompt: str, response: str) -> None:
    text = plain_prompt(prompt, "", response)
    assert text.startswith(prompt)
    assert text[-1:].isspace() or response[:1].isspace()
    assert len(text) <= len(prompt) + 1


@given(st.dictionaries(st.sampled_from(["a", "b c", "#1 String"]), st.text(), min_size=3))
def test_own_templates_put_values_in_as_they_stand(values: dict[str, str]) -> None:
    template = "x{a}{{y}}{b c}{#1 String}{a}"
    assert own_prompt(template, values) == f"x{values['a']}{{y}}{values['b c']}{values['#1 String']}{values['a']}"
    assert placeholders(template) == ("a", "b c", "#1 String")


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("{", "cannot be read"),
        ("{{}}", "names no column"),
        ("{}", "not a column name"),
        ("{a!r}", "not a column name"),
        ("{a:>10}", "not a column name"),
    ],
)
def test_templates_that_cannot_be_used(template: str, what: str) -> None:
    assert is_own_template(template)
    with pytest.raises(DataError, match=f"data.template: .*{what}"):
        placeholders(template)


def test_placeholders_are_columns_or_roles_and_never_the_response() -> None:
    roles = {"query": "question", "response": "answer"}
    names = ("question", "answer", "hint")
    assert own_columns("{query} {hint}", names, roles, "answer") == {"query": "question", "hint": "hint"}
    with pytest.raises(DataError, match=r"{hnt} is neither a column nor a role; did you mean 'hint'"):
        own_columns("{hnt}", names, roles, "answer")
    for shown in ("{answer}", "{response}"):
        with pytest.raises(DataError, match=r"is what the model shall learn"):
            own_columns(shown, names, roles, "answer")


def test_attributes_of_values_cannot_be_reached() -> None:
    with pytest.raises(DataError, match=r"neither a column nor a role"):
        own_columns("{a.__class__}", ("a",), {}, "b")
