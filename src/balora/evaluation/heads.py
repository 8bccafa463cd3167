"""What the head of a classifier or regressor says to texts, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from balora.data import make_collator
from balora.data.encode_labelled import encode_labelled
from balora.data.examples import LabelledText, TextSplit
from balora.data.settings import DataSettings
from balora.data.truncation import length_limit
from balora.errors import DataError
from balora.evaluation.finite import check_outputs
from balora.models import max_positions
from balora.task import Task


def head_outputs(
    model: torch.nn.Module,
    tokenizer: Any,
    examples: Sequence[LabelledText],
    task: Task,
    *,
    settings: DataSettings,
    batch_size: int = 32,
    tell: Callable[[int], None] = lambda _: None,
) -> tuple[NDArray[np.float32], int]:
    """Logits of every example, in order, (examples, outputs), and how many examples were cut to the length limit.

    Examples are encoded as in training, sorted by length into batches, and padded on the right.

    Args:
        model: with a sequence-classification head; put into evaluation mode.
        tokenizer: the one it was trained with.
        examples: their labels are not looked at.
        task: classification or regression.
        settings: `max_length` and `too_long` as in training.
        batch_size: examples per forward.
        tell: called with the number of examples that are done.

    Raises:
        DivergedError: an output is not finite; names the row.
    """
    config: Any = model.config
    limit, _ = length_limit(settings, tokenizer, max_positions(config))
    split = TextSplit("validation", tuple(examples), len(examples), 0)
    cut = settings.model_copy(update={"too_long": "truncate"})
    encoded = encode_labelled(split, tokenizer, cut, limit)
    collate = make_collator(tokenizer, task)
    collate = type(collate)(task, "right", collate.pad_id, False, collate.pad_to_multiple_of)
    order = sorted(range(len(encoded.rows)), key=lambda row: -len(encoded.rows[row].ids))
    typed = any(row.type_ids is not None and row.type_ids.any() for row in encoded.rows)
    outputs: NDArray[np.float32] = np.zeros((len(order), int(config.num_labels)), dtype=np.float32)
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = collate([_inputs(encoded.rows[row], typed) for row in rows])
            logits = model(**{name: value.to(device) for name, value in batch.items()}).logits
            check_outputs(logits, [examples[row].place for row in rows].__getitem__)
            outputs[rows] = logits.float().cpu().numpy().reshape(len(rows), -1)
            tell(min(start + batch_size, len(order)))
    return outputs, encoded.lengths.rows_cut


def _inputs(row: Any, typed: bool) -> dict[str, Any]:
    types = {"token_type_ids": row.type_ids} if typed and row.type_ids is not None else {}
    return {"input_ids": row.ids, **types}


def head_ids(head_names: Sequence[str], class_names: Sequence[str]) -> tuple[list[int], str | None]:
    """For each class of the task the output of the head that stands for it, and a note where positions decided.

    Names decide where they agree (case, spaces, `-` and `_` aside); where the head has no names but numbers, as in
    many checkpoints, its outputs are taken to stand in the order of the task's classes.

    Raises:
        DataError: names neither agree nor are numbers, or there are too few outputs.

    >>> head_ids(["contradiction", "entailment", "neutral"], ["entailment", "neutral", "contradiction"])[0]
    [1, 2, 0]
    """
    plain = [_plain(name) for name in head_names]
    wanted = [_plain(name) for name in class_names]
    if set(wanted) <= set(plain):
        return [plain.index(name) for name in wanted], None
    numbers = [name.removeprefix("label") for name in plain]
    if len(head_names) == len(class_names) and numbers == [str(index) for index in range(len(numbers))]:
        note = f"the head's classes have no names; taken in the order {', '.join(class_names)}"
        return list(range(len(class_names))), note
    what = f"the head tells {', '.join(head_names)} apart, the test set {', '.join(class_names)}"
    raise DataError.at("--suite", what, "evaluate on the task it was trained on, or say trained_on=TASK")


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
