"""How a prompt and its response become text: named templates, and the user's own.

The `alpaca` wording is the one of Stanford Alpaca (tatsu-lab/stanford_alpaca, train.py, PROMPT_DICT), which the
training scripts of PiSSA and of the paper use.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter

from balora.errors import DataError, did_you_mean

TEMPLATES = ("auto", "alpaca", "plain", "chat")
"""Names `data.template` may have; anything with a {placeholder} is the user's own."""

_ALPACA = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:"
)
_ALPACA_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
)


def template_for(name: str, format_name: str) -> str:
    """The template a format uses: `auto` is alpaca, and plain for prompt_completion.

    >>> template_for("auto", "query_response")
    'alpaca'
    """
    if name != "auto":
        return name
    return "chat" if format_name == "messages" else "plain" if format_name == "prompt_completion" else "alpaca"


def alpaca_prompt(instruction: str, context: str = "") -> str:
    """The Alpaca prompt; the response follows it directly.

    >>> alpaca_prompt("Add 1 and 2.").splitlines()[2:]
    ['### Instruction:', 'Add 1 and 2.', '', '### Response:']
    """
    if context.strip():
        return _ALPACA_WITH_INPUT.format(instruction=instruction, input=context)
    return _ALPACA.format(instruction=instruction)


def plain_prompt(prompt: str, context: str, response: str) -> str:
    r"""The prompt alone, and a line end where neither side brings white space of its own.

    >>> plain_prompt("2 + 2 =", "", "4")
    '2 + 2 =\n'
    >>> plain_prompt("def f():\n", "", "    return 1")
    'def f():\n'
    """
    text = f"{prompt}\n{context}" if context.strip() else prompt
    return text if text[-1:].isspace() or response[:1].isspace() else f"{text}\n"


def chat_prompt(prompt: str, context: str = "") -> str:
    r"""What the user's turn says.

    >>> chat_prompt("Translate.", "Hallo")
    'Translate.\n\nHallo'
    """
    return f"{prompt}\n\n{context}" if context.strip() else prompt


def is_own_template(template: str) -> bool:
    """Whether a template is the user's own text rather than a name."""
    return "{" in template


def placeholders(template: str) -> tuple[str, ...]:
    """The columns that the user's own template names.

    Raises:
        DataError: on unbalanced braces, no placeholder, or anything but plain column names between braces.
    """
    try:
        parts = [(field, spec, conversion) for _, field, spec, conversion in Formatter().parse(template)]
    except ValueError as error:
        fix = "write {column} for a column and {{ or }} for a brace"
        raise DataError.at("data.template", f"cannot be read ({error})", fix) from None
    fields = [field for field, _, _ in parts if field is not None]
    if not all(fields) or any(spec or conversion for _, spec, conversion in parts):
        raise DataError.at("data.template", "holds a placeholder that is not a column name", "write {column}")
    if not fields:
        raise DataError.at("data.template", "names no column", "write {column} where its text belongs")
    return tuple(dict.fromkeys(fields))


def own_columns(template: str, names: tuple[str, ...], roles: Mapping[str, str], response: str) -> dict[str, str]:
    """Placeholder -> column for the user's own template; a column's name comes before a role's.

    Raises:
        DataError: on an unknown placeholder, or one that would show the response in the prompt.
    """
    found = {}
    for field in placeholders(template):
        column = field if field in names else roles.get(field)
        if column is None:
            fix = did_you_mean(field, [*names, *roles])
            raise DataError.at("data.template", f"{{{field}}} is neither a column nor a role", fix)
        if column == response:
            raise DataError.at("data.template", f"{{{field}}} is what the model shall learn", "end where it begins")
        found[field] = column
    return found


def own_prompt(template: str, values: Mapping[str, str]) -> str:
    """The user's own template with its placeholders filled in; values are text, never templates themselves.

    >>> own_prompt("Q: {question} {{x}}", {"question": "{why}"})
    'Q: {why} {x}'
    """
    pieces = []
    for literal, field, _, _ in Formatter().parse(template):
        pieces.append(literal)
        if field is not None:
            pieces.append(values[field])
    return "".join(pieces)
