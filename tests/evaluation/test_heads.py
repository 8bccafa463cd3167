"""What a head says does not depend on how its texts are batched."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from balora.data import DataSettings, LabelledText
from balora.errors import DataError
from balora.evaluation.heads import head_ids, head_outputs
from tests.support import tiny

SETTINGS = DataSettings(train="t.csv", max_length=40)
EXAMPLES = [LabelledText(f"f:{n}", "word " * (n % 5 + 1), f"pair {n}" if n % 2 else "p", None) for n in range(9)]


@pytest.mark.parametrize("family", ["bert", "roberta", "deberta-v2", "gpt2"])
def test_batches_equal_one_by_one(family: str) -> None:
    model = tiny.build(family, "sequence_classification", num_labels=3)
    tokenizer = tiny.character_tokenizer()
    batched, cut = head_outputs(model, tokenizer, EXAMPLES, "classification", settings=SETTINGS, batch_size=4)
    assert cut == 0
    for row, example in enumerate(EXAMPLES):
        inputs = tokenizer(example.text, example.text_pair, return_tensors="pt")
        with torch.no_grad():
            alone = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        np.testing.assert_allclose(batched[row], alone[0].numpy(), atol=1e-5)


def test_the_side_of_the_tokenizer_s_padding_does_not_matter() -> None:
    model = tiny.build("gpt2", "sequence_classification", num_labels=2)
    sides = [
        head_outputs(model, tiny.character_tokenizer(padding_side=side), EXAMPLES, "classification", settings=SETTINGS)
        for side in ("left", "right")
    ]
    np.testing.assert_allclose(sides[0][0], sides[1][0], atol=1e-6)


def test_long_texts_are_cut_and_counted_and_progress_is_told() -> None:
    model, told = tiny.build("bert", "sequence_classification", num_labels=1), []
    settings = SETTINGS.model_copy(update={"max_length": 10, "too_long": "error"})
    tokenizer = tiny.character_tokenizer()
    outputs, cut = head_outputs(
        model, tokenizer, EXAMPLES, "regression", settings=settings, batch_size=4, tell=told.append
    )
    assert outputs.shape == (9, 1)
    assert cut > 0
    assert told == [4, 8, 9]


def test_classes_are_found_by_name_or_by_position() -> None:
    wanted = ["not_entailment", "entailment"]
    assert head_ids(["Entailment", "not-entailment", "other"], wanted) == ([1, 0], None)
    ids, note = head_ids(["0", "1"], wanted)
    assert ids == [0, 1]
    assert "order not_entailment, entailment" in str(note)
    assert head_ids(["LABEL_0", "LABEL_1"], wanted)[0] == [0, 1]
    for names in (["bad", "good"], ["1", "0"], ["0", "1", "2"]):
        with pytest.raises(DataError, match="the head tells"):
            head_ids(names, wanted)
