"""Classification as text: a labelled row as a prompt, and its class as the word that a language model writes.

The prompts of the presets are those that T5 was trained with: the task's name, then each text behind the name of its
column, columns in alphabetical order (Raffel et al., arXiv 1910.10683, appendix D). So are the words: class names as
they stand in GLUE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from balora.data.examples import Conversation, LabelledText, Message, PromptedText, TextSplit
from balora.data.labels import Labels
from balora.data.presets import Preset, canonical_preset
from balora.data.prompts import alpaca_prompt, is_own_template, own_prompt, placeholders, plain_prompt
from balora.data.settings import DataSettings
from balora.errors import DataError, Problem, did_you_mean

ROLES = ("text", "text_pair")
"""What the user's own template may name."""


def words_of(settings: DataSettings, labels: Labels) -> tuple[str, ...]:
    """The word of every class, in the order of their ids.

    Raises:
        DataError: when a class has no word, a word belongs to no class or to two, or is empty.
    """
    given = settings.label_words
    if given is None or given == "names":
        words = labels.names
    elif isinstance(given, dict):
        known = {labels.id_of(name): word for name, word in given.items()}
        problems = [
            Problem("data.label_words", f"'{name}' is no class", did_you_mean(name, labels.names))
            for name in given
            if labels.id_of(name) is None
        ]
        missing = [name for index, name in enumerate(labels.names) if index not in known]
        if missing:
            problems.append(Problem("data.label_words", f"no word for the class {', '.join(missing)}", "add it"))
        if problems:
            raise DataError(problems)
        words = tuple(known[index] for index in range(len(labels.names)))
    else:
        words = tuple(given)
    if len(words) != len(labels.names):
        what = f"{len(words)} words for {len(labels.names)} classes ({', '.join(labels.names[:12])})"
        raise DataError.at("data.label_words", what, "give one word for each class, in this order")
    if len({word.strip() for word in words}) < len(words) or not all(word.strip() for word in words):
        what = f"the words {', '.join(map(repr, words))} do not tell the classes apart"
        raise DataError.at("data.label_words", what, "give every class a word of its own")
    return words


def in_words(split: TextSplit, words: Sequence[str], settings: DataSettings, preset: Preset | None) -> TextSplit:
    """The split with every labelled text as a prompt and the word of its class.

    Raises:
        DataError: when the template names something else than the texts, or leaves one out.
    """
    rows = [example for example in split.examples if isinstance(example, LabelledText)]
    paired = any(row.text_pair is not None for row in rows)
    prompt = _prompt_maker(settings, preset, paired=paired)
    return TextSplit(
        split.name,
        tuple(_example(row, prompt(row), words, settings.template) for row in rows),
        split.rows_read,
        split.rows_dropped,
    )


def _example(row: LabelledText, prompt: str, words: Sequence[str], template: str) -> PromptedText | Conversation:
    assert isinstance(row.label, int)
    word = words[row.label]
    if template == "chat":
        return Conversation(row.place, (Message("user", prompt), Message("assistant", word)))
    if template == "alpaca":
        return PromptedText(row.place, alpaca_prompt(prompt), word)
    if is_own_template(template):
        return PromptedText(row.place, prompt, word)
    return PromptedText(row.place, plain_prompt(prompt, "", word), word)


def _prompt_maker(settings: DataSettings, preset: Preset | None, *, paired: bool) -> Callable[[LabelledText], str]:
    """What makes the prompt of a row."""
    if is_own_template(settings.template):
        _check_own(settings.template, paired=paired)
        return lambda row: own_prompt(settings.template, {"text": row.text, "text_pair": row.text_pair or ""})
    if preset is None or settings.preset is None:
        return lambda row: row.text if row.text_pair is None else f"{row.text}\n{row.text_pair}"
    name, first = canonical_preset(settings.preset), preset.text[0]
    second = preset.text_pair[0] if preset.text_pair else ""

    def named(row: LabelledText) -> str:
        texts = {first: row.text} | ({second: row.text_pair} if row.text_pair is not None else {})
        return " ".join([name, *(f"{column}: {texts[column]}" for column in sorted(texts))])

    return named


def _check_own(template: str, *, paired: bool) -> None:
    named = placeholders(template)
    for field in named:
        if field not in ROLES[: 1 + paired]:
            fix = did_you_mean(field, ROLES[: 1 + paired])
            raise DataError.at("data.template", f"{{{field}}} is not one of the texts of a row", fix)
    left_out = [role for role in ROLES[: 1 + paired] if role not in named]
    if left_out:
        what = f"leaves out {{{left_out[0]}}}, so the model would never see it"
        raise DataError.at("data.template", what, f"add {{{left_out[0]}}}")
