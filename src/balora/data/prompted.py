"""Examples of generation: prompt and response, conversations, or plain text."""

from __future__ import annotations

from collections.abc import Sequence

from balora.data.bad_rows import BadRows
from balora.data.conversations import read_conversations
from balora.data.examples import Conversation, Example, Message, PromptedText
from balora.data.formats import RESPONSE_ROLE, Shape
from balora.data.prompts import (
    alpaca_prompt,
    chat_prompt,
    is_own_template,
    own_columns,
    own_prompt,
    plain_prompt,
    template_for,
)
from balora.data.table import Table
from balora.data.texts import optional_texts, template_texts, usable_texts

_PROMPT_ROLE = {"prompt_completion": "prompt", "alpaca": "instruction", "query_response": "query"}


def read_generation(table: Table, shape: Shape, template: str, bad: BadRows) -> tuple[list[Example | None], list[str]]:
    """The examples of a table, None where a row is unusable (and marked in `bad`), and notes.

    Raises:
        DataError: when the user's own template names something that is not there.
    """
    if shape.format == "messages":
        conversations, shortened = read_conversations(table, shape.columns["messages"], bad)
        note = f"{table.where}: {shortened} conversations end in turns nobody answered; those turns are left out"
        return list(conversations), [note] if shortened else []
    if shape.format == "text":
        texts = usable_texts(table, shape.columns["text"], bad)
        return _unless_bad([PromptedText(table.place(row), "", text) for row, text in enumerate(texts)], bad), []
    responses = usable_texts(table, shape.columns[RESPONSE_ROLE[shape.format]], bad)
    if is_own_template(template):
        examples: Sequence[Example] = _own(table, shape, template, responses, bad)
    else:
        examples = _named(table, shape, template_for(template, shape.format), responses, bad)
    return _unless_bad(examples, bad), []


def _unless_bad(examples: Sequence[Example], bad: BadRows) -> list[Example | None]:
    return [None if row in bad.rows else example for row, example in enumerate(examples)]


def _named(table: Table, shape: Shape, template: str, responses: Sequence[str], bad: BadRows) -> list[Example]:
    prompts = usable_texts(table, shape.columns[_PROMPT_ROLE[shape.format]], bad)
    contexts = optional_texts(table, shape.columns.get("input"), bad)
    examples: list[Example] = []
    for row, (prompt, context, response) in enumerate(zip(prompts, contexts, responses, strict=True)):
        place = table.place(row)
        if template == "chat":
            turns = (Message("user", chat_prompt(prompt, context)), Message("assistant", response))
            examples.append(Conversation(place, turns))
        elif template == "plain":
            examples.append(PromptedText(place, plain_prompt(prompt, context, response), response))
        else:
            examples.append(PromptedText(place, alpaca_prompt(prompt, context), response))
    return examples


def _own(table: Table, shape: Shape, template: str, responses: Sequence[str], bad: BadRows) -> list[Example]:
    response = shape.columns[RESPONSE_ROLE[shape.format]]
    columns = own_columns(template, table.names, shape.columns, response)
    values = {field: template_texts(table, column, bad) for field, column in columns.items()}
    return [
        PromptedText(
            table.place(row), own_prompt(template, {field: texts[row] for field, texts in values.items()}), text
        )
        for row, text in enumerate(responses)
    ]
