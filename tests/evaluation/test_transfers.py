"""Every map says what each class of the test set means, in the words of the head."""

from __future__ import annotations

import pytest

from balora.errors import DataError
from balora.evaluation.labelled_sets import LABELLED_SETS
from balora.evaluation.transfers import TRANSFERS, Transfer, in_domain_set, transfer_to, transfers_of


@pytest.mark.parametrize("transfer", TRANSFERS, ids=lambda each: f"{each.trained_on}-{each.test_set}")
def test_maps_are_whole_and_in_the_head_s_words(transfer: Transfer) -> None:
    test_set, head = LABELLED_SETS[transfer.test_set], LABELLED_SETS[transfer.trained_on]
    assert test_set.task == head.task
    if transfer.labels is None:
        assert test_set.classes is None
        return
    assert test_set.classes is not None
    assert head.classes is not None
    assert set(transfer.labels) == set(test_set.classes)
    assert {name for name in transfer.labels.values() if name is not None} <= set(head.classes)
    assert set(transfer.fold) | set(transfer.fold.values()) <= set(head.classes)
    assert not set(transfer.fold) & {name for name in transfer.labels.values() if name}


def test_every_pair_is_there_once() -> None:
    pairs = [(each.trained_on, each.test_set) for each in TRANSFERS]
    assert len(pairs) == len(set(pairs))


def test_stars_become_polarity_without_the_middle() -> None:
    labels = transfer_to("sst2", "yelp").labels
    assert labels is not None
    assert [labels[f"{stars} star{'s' if stars > 1 else ''}"] for stars in range(1, 6)] == [
        "negative",
        "negative",
        None,
        "positive",
        "positive",
    ]


def test_its_own_task_maps_to_itself_and_others_are_refused() -> None:
    own = transfer_to("cola", "cola").labels
    assert own == {"unacceptable": "unacceptable", "acceptable": "acceptable"}
    assert transfer_to(None, "stsb").labels is None
    with pytest.raises(DataError, match="mean to a head trained on sst2"):
        transfer_to("sst2", "mnli")
    assert in_domain_set("cola") == "cola_in_domain"
    assert in_domain_set("mnli") == "mnli"
    assert transfers_of("wnli") == []
