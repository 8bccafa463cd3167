from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from balora.data import make_collator
from balora.data.collate import positions
from balora.task import IGNORED_LABEL
from tests.support.tiny import FAMILIES, build, character_tokenizer

row_ids = st.lists(st.integers(3, 95), min_size=1, max_size=9)


def rows(all_ids: list[list[int]], labels: list[Any] | None = None) -> list[dict[str, Any]]:
    labels = labels or [list(ids) for ids in all_ids]
    return [
        {"input_ids": ids, "labels": label, "row": 10 + index}
        for index, (ids, label) in enumerate(zip(all_ids, labels, strict=True))
    ]


def collator(side: str = "right", task: str = "generation", **changes: Any) -> Any:
    return make_collator(character_tokenizer(padding_side=side), task, **changes)


@pytest.mark.parametrize("side", ["left", "right"])
@given(st.lists(row_ids, min_size=1, max_size=5), st.sampled_from([None, 4, 8]))
def test_the_mask_selects_exactly_the_rows(side: str, all_ids: list[list[int]], multiple: int | None) -> None:
    batch = collator(side, pad_to_multiple_of=multiple)(rows(all_ids))
    for index, ids in enumerate(all_ids):
        mask = batch["attention_mask"][index].bool()
        assert batch["input_ids"][index][mask].tolist() == ids
        assert batch["labels"][index][mask].tolist() == ids
        assert set(batch["labels"][index][~mask].tolist()) <= {IGNORED_LABEL}
        assert mask[-1 if side == "left" else 0]
    width = batch["input_ids"].shape[1]
    assert width % (multiple or 1) == 0
    assert 0 <= width - max(map(len, all_ids)) < (multiple or 1)
    assert batch["row"].tolist() == [10 + index for index in range(len(all_ids))]
    assert batch["row"].dtype == torch.int64


def test_padding_with_the_end_token_is_told_by_position() -> None:
    tokenizer = character_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    end = tokenizer.eos_token_id
    batch = make_collator(tokenizer, "generation")(rows([[5, end], [5, 6, 7, end]]))
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert batch["labels"].tolist()[0] == [5, end, IGNORED_LABEL, IGNORED_LABEL]


def test_a_tokenizer_without_padding_token_pads_with_its_end() -> None:
    tokenizer = character_tokenizer()
    tokenizer.pad_token = None
    assert make_collator(tokenizer, "generation").pad_id == tokenizer.eos_token_id
    tokenizer.eos_token = None
    assert make_collator(tokenizer, "generation").pad_id == 0


def test_label_types_follow_the_task() -> None:
    ids = [[5], [6, 7]]
    classes = collator(task="classification")(rows(ids, [0, 2]))["labels"]
    scores = collator(task="regression")(rows(ids, [0.5, 2.0]))["labels"]
    assert (classes.dtype, classes.tolist()) == (torch.int64, [0, 2])
    assert (scores.dtype, scores.tolist()) == (torch.float32, [0.5, 2.0])


def test_rows_without_labels() -> None:
    batch = collator(task="classification")([{"input_ids": [5], "row": 0}])
    assert set(batch) == {"input_ids", "attention_mask", "row"}


def test_token_types_are_padded_like_the_ids() -> None:
    given_rows = [
        {"input_ids": [5, 6], "token_type_ids": [0, 1], "labels": 0, "row": 0},
        {"input_ids": [5], "token_type_ids": [1], "labels": 0, "row": 1},
    ]
    batch = collator("left", "classification")(given_rows)
    assert batch["token_type_ids"].tolist() == [[0, 1], [0, 1]]
    assert "position_ids" not in batch


def test_the_labels_of_an_encoder_decoder_are_padded_on_the_right() -> None:
    batch = collator("left", encoder_decoder=True)(rows([[5], [5, 6]], [[7, 8], [7]]))
    assert batch["labels"].tolist() == [[7, 8], [7, IGNORED_LABEL]]
    assert batch["attention_mask"].tolist() == [[0, 1], [1, 1]]
    assert "position_ids" not in batch


@given(st.lists(row_ids, min_size=1, max_size=4))
def test_positions_count_from_the_first_real_token(all_ids: list[list[int]]) -> None:
    mask = collator("left")(rows(all_ids))["attention_mask"]
    for index, ids in enumerate(all_ids):
        assert positions(mask)[index][mask[index].bool()].tolist() == list(range(len(ids)))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_side_of_the_padding_does_not_change_the_outputs(family: str) -> None:
    model = build(family)
    batch_rows = rows([[5, 6, 7, 8, 9], [10, 11], [12, 13, 14]])
    logits = {}
    for side in ("left", "right"):
        batch = collator(side)(batch_rows)
        mask = batch["attention_mask"].bool()
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "position_ids") if name in batch}
        with torch.no_grad():
            logits[side] = model(**inputs).logits[mask]
    assert "position_ids" in collator("left")(batch_rows)
    torch.testing.assert_close(logits["left"], logits["right"], rtol=1e-5, atol=1e-5)


def test_a_collator_travels_to_worker_processes() -> None:
    assert pickle.loads(pickle.dumps(collator("left"))) == collator("left")


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert", "roberta", "deberta-v2", "t5"])
def test_every_family_takes_the_batch_as_it_is(family: str) -> None:
    """All but `row`, which is for the teacher cache."""
    task = "classification" if family in ("bert", "roberta", "deberta-v2") else "generation"
    labels: list[Any] = [0, 1] if task == "classification" else [[5, 6], [7]] if family == "t5" else [[5, 6], [7, 8, 9]]
    batch = collator("left", task, encoder_decoder=family == "t5")(rows([[5, 6], [7, 8, 9]], labels))
    with torch.no_grad():
        loss = FAMILIES[family]()(**{name: tensor for name, tensor in batch.items() if name != "row"}).loss
    assert torch.isfinite(loss)
