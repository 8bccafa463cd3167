from __future__ import annotations

import pytest

from tests.data.conftest import Load


def test_splits_are_found_by_name(load: Load) -> None:
    text = load([{"prompt": "a", "completion": str(i)} for i in range(4)], validation=0.25)
    assert text.split("train") is text.train
    assert text.split("validation") is text.validation
    assert text.split("test") is None
    assert len(text.train) == len(text.train.examples) == 3


def test_text_data_is_frozen(load: Load) -> None:
    text = load([{"prompt": "a", "completion": "b"}])
    with pytest.raises(AttributeError):
        text.notes = ()
    with pytest.raises(AttributeError):
        text.train.examples[0].prompt = "c"
