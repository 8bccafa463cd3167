"""One encoded row as text with its label mask visible, to look at before training starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

from balora.data.encode import encode_split
from balora.data.encoded import EncodedData
from balora.data.examples import LabelledText, TextData
from balora.data.settings import DataSettings
from balora.task import IGNORED_LABEL


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring tokens that are all learned, or all only read."""

    learned: bool
    text: str
    """Decoded, special tokens included; what would steer a terminal is written out."""
    tokens: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A training row as the model gets it."""

    row: int
    """0-based, among the rows that are trained on."""
    place: str
    """Where it stands in the source."""
    input_ids: tuple[int, ...]
    labels: tuple[int, ...] | float
    """A token id for each position, -100 where it is not learned; or the class id, or the score."""
    tokens: int
    """How many are read, answer included where both are one text."""
    learned_tokens: int | None
    """How many are trained on; None for classes and scores."""
    tokens_before_cut: int | None
    """How long the row was before it was cut; None where it is whole, or nobody looked."""
    parts: tuple[Stretch, ...]
    """Generation: the whole row, in order; an encoder's text first."""
    text: str | None = None
    """Classification and regression: as it stands in the data."""
    text_pair: str | None = None
    label_name: str | None = None
    """Classification: the name of the class."""
    token_texts: tuple[str, ...] = ()
    """Classification and regression: each token."""
    corrupted: tuple[str, ...] = ()
    """What was changed on purpose, and what it truly is."""
    encoder_decoder: bool = False

    @property
    def truncated(self) -> bool:
        """Whether the row was cut to the limit."""
        return self.tokens_before_cut is not None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "truncated": self.truncated}

    def lines(self) -> list[str]:
        """For people: each stretch of text behind `learned |` or `read |`."""
        cut = f", cut from {self.tokens_before_cut}" if self.truncated else ""
        where = f"train row {self.row} ({self.place})"
        if self.text is not None:
            lines = [f"{where}: {self.tokens} tokens{cut}", *_block("text", self.text)]
            lines += _block("pair", self.text_pair) if self.text_pair is not None else []
            label = f"{self.labels:g}" if self.label_name is None else f"{self.label_name} ({self.labels})"
            lines += [*_block("label", label), *_block("tokens", " ".join(self.token_texts))]
        else:
            both = f"{self.tokens} tokens read, {self.learned_tokens} tokens learned"
            one = f"{self.tokens} tokens{cut}, {self.learned_tokens} of them learned"
            lines = [f"{where}: {f'{both}{cut}' if self.encoder_decoder else one}"]
            lines += [line for part in self.parts for line in _block("learned" if part.learned else "read", part.text)]
        return lines + [line for flaw in self.corrupted for line in _block("corrupted", flaw)]


def preview(encoded: EncodedData, text: TextData, tokenizer: Any, *, row: int = 0) -> str:
    """A training row decoded from its token ids, so it shows what the model sees rather than what was meant.

    Raises:
        IndexError: when there is no such row.
    """
    return "\n".join(sample_row(encoded, text, tokenizer, row=row).lines())


def sample_row(
    encoded: EncodedData, text: TextData, tokenizer: Any, *, settings: DataSettings | None = None, row: int = 0
) -> Sample:
    """A training row with everything that says what is learned from it.

    Args:
        encoded: the data as token ids.
        text: the data they were made from.
        tokenizer: that made them.
        settings: how; with them it is said whether the row was cut.
        row: which one.

    Raises:
        IndexError: when there is no such row.
    """
    tokens = encoded.train[row]
    index = encoded.source_rows["train"][row]
    example = text.train.examples[index]
    ids: tuple[int, ...] = tuple(tokens["input_ids"])
    labels = tokens["labels"]
    found = Sample(
        row=row,
        place=visible(example.place),
        input_ids=ids,
        labels=tuple(labels) if isinstance(labels, list) else labels,
        tokens=len(ids),
        learned_tokens=None,
        tokens_before_cut=None if settings is None else _whole_length(encoded, text, tokenizer, settings, index),
        parts=(),
        corrupted=tuple(visible(flaw) for flaw in _flaws(text, index)),
        encoder_decoder=encoded.encoder_decoder,
    )
    if isinstance(example, LabelledText):
        names = text.label_names
        return replace(
            found,
            text=visible(example.text),
            text_pair=None if example.text_pair is None else visible(example.text_pair),
            label_name=visible(names[int(labels)]) if names else None,
            token_texts=tuple(visible(token) for token in tokenizer.convert_ids_to_tokens(ids)),
        )
    learned = sum(label != IGNORED_LABEL for label in labels)
    return replace(found, learned_tokens=learned, parts=tuple(_parts(encoded, tokenizer, ids, labels)))


def visible(text: str) -> str:
    r"""The text with everything written out that would steer a terminal or be seen by nobody; line ends stay.

    >>> visible("a\x1b[31mb\u202ec d")
    'a\\x1b[31mb\\u202ec d'
    """
    return "".join(
        letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _parts(encoded: EncodedData, tokenizer: Any, ids: Sequence[int], labels: Sequence[int]) -> Iterator[Stretch]:
    if encoded.encoder_decoder:
        yield Stretch(False, _decoded(tokenizer, ids), len(ids))
        yield Stretch(True, _decoded(tokenizer, labels), len(labels))
        return
    for is_learned, pairs in groupby(zip(ids, labels, strict=True), key=lambda pair: pair[1] != IGNORED_LABEL):
        stretch = [token for token, _ in pairs]
        yield Stretch(is_learned, _decoded(tokenizer, stretch), len(stretch))


def _whole_length(
    encoded: EncodedData, text: TextData, tokenizer: Any, settings: DataSettings, index: int
) -> int | None:
    """The tokens of a row before it was cut; None where it was not."""
    if not encoded.lengths["train"].rows_cut:
        return None
    alone = replace(text.train, examples=(text.train.examples[index],))
    lengths = encode_split(alone, text, tokenizer, settings, encoded.max_length, encoded.encoder_decoder).lengths
    return lengths.max_tokens if lengths.rows_cut else None


def _flaws(text: TextData, index: int) -> list[str]:
    """What was corrupted on purpose in the row, and what it truly is."""
    changes = text.corruption.train.changes_at(index) if text.corruption else ()
    return [f"{change.kind} in the {change.part}; truly {change.true}" for change in changes]


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return visible(str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)))


def _block(title: str, content: str) -> list[str]:
    """The content behind a title, which stands on the first line only; line ends inside stay visible as lines."""
    return [f"{title if not number else '':>9} | {line}" for number, line in enumerate(content.split("\n"))]
