"""The calibration sample of a run: rows of the training split, or of a general text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from balora.adapters import Calibration, draw_rows, find_method
from balora.data import DataSettings, EncodedData, encode, load_text_data, make_collator
from balora.errors import DataError, InputError, Problem
from balora.recipe import Recipe


def draw_calibration(
    recipe: Recipe, data: EncodedData, tokenizer: PreTrainedTokenizerBase, *, max_positions: int | None
) -> Calibration | None:
    """The sample that the recipe's method starts from; None where it needs none.

    Args:
        recipe: its section `adapter.calibration` names the text, the number of rows and the seed.
        data: the encoded examples of the run.
        tokenizer: of the model.
        max_positions: how many positions the model has.

    Raises:
        InputError: the text cannot be read, or its columns hold no text.
    """
    if not find_method(recipe.adapter.method).calibrated:
        return None
    settings = recipe.adapter.calibration
    source, rows, fingerprint = "training split", data.train, data.fingerprint
    labelled = True
    if settings.text is not None:
        text_data = read_text(settings.text, recipe, tokenizer, max_positions=max_positions)
        source, rows, fingerprint = settings.text, text_data.train, text_data.fingerprint
        labelled = recipe.task == "generation"
    chosen = rows.select(draw_rows(len(rows), settings.samples, settings.seed)).to_list()
    collator = make_collator(
        tokenizer, recipe.task if settings.text is None else "generation", encoder_decoder=data.encoder_decoder
    )

    def collate(drawn: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        batch = collator(drawn)
        return batch if labelled else {name: value for name, value in batch.items() if name != "labels"}

    return Calibration(chosen, collate, source=source, fingerprint=fingerprint, seed=settings.seed)


def read_text(
    text: str, recipe: Recipe, tokenizer: PreTrainedTokenizerBase, *, max_positions: int | None
) -> EncodedData:
    """A general text as token rows, cut where the run's own examples are cut.

    Raises:
        InputError: about `adapter.calibration.text`, whatever is wrong with the file.
    """
    try:
        settings = DataSettings(
            train=text,
            format="text",
            max_length=recipe.data.max_length,
            on_bad_row="drop",
            encoding=recipe.data.encoding,
        )
        read = load_text_data(settings, "generation")
        return encode(read, tokenizer, settings, max_positions=max_positions)
    except DataError as error:
        raise InputError(
            Problem(problem.where.replace("data.train", "adapter.calibration.text"), problem.what, problem.fix)
            for problem in error.problems
        ) from error
