"""The calibration sample of a run: rows of the training split, or windows of a general text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from balora.adapters import Calibration, draw_rows, find_method
from balora.data import DataSettings, EncodedData, PromptedText, load_text_data, make_collator
from balora.data.fingerprint import rows_sha256
from balora.data.truncation import length_limit
from balora.errors import DataError, InputError, Problem
from balora.recipe import Recipe

WHERE = "adapter.calibration.text"


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
    if settings.text is None:
        drawn = data.train.select(draw_rows(len(data.train), settings.samples, settings.seed)).to_list()
        collate = make_collator(tokenizer, recipe.task, encoder_decoder=data.encoder_decoder)
        return Calibration(drawn, collate, "training split", data.fingerprint, settings.seed)
    windows = read_windows(settings.text, recipe, tokenizer, max_positions=max_positions)
    fingerprint = rows_sha256((np.array(window), np.array(window)) for window in windows)
    chosen = [windows[index] for index in draw_rows(len(windows), settings.samples, settings.seed)]
    text_collate = make_collator(tokenizer, "generation", encoder_decoder=data.encoder_decoder)

    def without_labels_of_words(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """A classifier has no use for next tokens."""
        batch = text_collate(rows)
        return batch if recipe.task == "generation" else {k: v for k, v in batch.items() if k != "labels"}

    rows = [{"input_ids": window, "labels": window} for window in chosen]
    return Calibration(rows, without_labels_of_words, settings.text, fingerprint, settings.seed)


def read_windows(
    text: str, recipe: Recipe, tokenizer: PreTrainedTokenizerBase, *, max_positions: int | None
) -> list[list[int]]:
    """The texts of a file as token ids, cut into windows as long as the run's longest example, without special tokens.

    Raises:
        InputError: about `adapter.calibration.text`, whatever is wrong with the file.
    """
    settings = DataSettings(
        train=text,
        format="text",
        max_length=recipe.data.max_length,
        on_bad_row="drop",
        encoding=recipe.data.encoding,
    )
    try:
        examples = load_text_data(settings, "generation").train.examples
    except DataError as error:
        raise InputError(
            Problem(f"{WHERE}: {problem.where}", problem.what, problem.fix.replace("data.train", WHERE))
            for problem in error.problems
        ) from error
    limit, _ = length_limit(settings, tokenizer, max_positions)
    windows = []
    for example in examples:
        assert isinstance(example, PromptedText)
        ids = tokenizer(example.prompt + example.response, add_special_tokens=False, verbose=False)["input_ids"]
        windows += [ids[start : start + limit] for start in range(0, len(ids), limit)]
    # A covariance of one token says nothing.
    usable = [window for window in windows if len(window) > 1]
    if not usable:
        raise InputError.at(WHERE, f"'{text}' holds no text of two tokens or more", "name another file")
    return usable
