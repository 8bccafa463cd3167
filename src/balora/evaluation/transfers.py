"""Which test sets lie outside the domain of which training task, and what their classes mean to its head.

After GLUE-X (Yang et al. 2023, arXiv 2211.08073): the trained checkpoint is scored as it is, without further tuning.
Every map is written out. A class that maps to None has no counterpart, and its rows are left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from balora.errors import DataError, did_you_mean
from balora.evaluation.labelled_sets import LABELLED_SETS

_SAME_NLI = {"entailment": "entailment", "neutral": "neutral", "contradiction": "contradiction"}
_SAME_SENTIMENT = {"negative": "negative", "positive": "positive"}
_STARS_TO_SENTIMENT = {
    "1 star": "negative",
    "2 stars": "negative",
    "3 stars": None,
    "4 stars": "positive",
    "5 stars": "positive",
}
"""Yelp and Amazon as polarity (Zhang et al. 2015): 1 and 2 against 4 and 5; 3 is neither and left out."""
_SAME_RTE = {"entailment": "entailment", "not_entailment": "not_entailment"}
_SAME_COLA = {"unacceptable": "unacceptable", "acceptable": "acceptable"}


@dataclass(frozen=True)
class Transfer:
    """A test set for the head of another task."""

    trained_on: str
    test_set: str
    labels: Mapping[str, str | None] | None
    """Class of the test set -> class of the head; None for scores."""
    fold: Mapping[str, str] = field(default_factory=dict)
    """Class of the head -> the class it counts as, where the test set tells fewer apart."""


TRANSFERS: tuple[Transfer, ...] = (
    Transfer("cola", "cola_ood", _SAME_COLA),
    Transfer("sst2", "imdb", _SAME_SENTIMENT),
    Transfer("sst2", "yelp", _STARS_TO_SENTIMENT),
    Transfer("sst2", "amazon", _STARS_TO_SENTIMENT),
    Transfer("sst2", "imdb_sentences", _SAME_SENTIMENT),
    Transfer("sst2", "yelp_sentences", _SAME_SENTIMENT),
    Transfer("sst2", "amazon_cells_sentences", _SAME_SENTIMENT),
    Transfer("sst2", "advglue_sst2", _SAME_SENTIMENT),
    Transfer("mnli", "mnli_mm", _SAME_NLI),
    Transfer("mnli", "snli", _SAME_NLI),
    Transfer("mnli", "sick", _SAME_NLI),
    Transfer("mnli", "breaking_nli", _SAME_NLI),
    Transfer("mnli", "hans_contradictions", _SAME_NLI),
    Transfer("mnli", "advglue_mnli", _SAME_NLI),
    Transfer("mnli", "advglue_mnli_mismatched", _SAME_NLI),
    Transfer(
        "mnli",
        "hans",
        {"entailment": "entailment", "non-entailment": "contradiction"},
        fold={"neutral": "contradiction"},
    ),
    Transfer("snli", "mnli", _SAME_NLI),
    Transfer("snli", "sick", _SAME_NLI),
    Transfer("snli", "breaking_nli", _SAME_NLI),
    Transfer("snli", "advglue_mnli", _SAME_NLI),
    Transfer("qnli", "advglue_qnli", _SAME_RTE),
    Transfer("rte", "advglue_rte", _SAME_RTE),
    Transfer("rte", "hans", {"entailment": "entailment", "non-entailment": "not_entailment"}),
    Transfer("rte", "scitail", {"entails": "entailment", "neutral": "not_entailment"}),
    Transfer("rte", "mrpc", {"equivalent": "entailment", "not_equivalent": "not_entailment"}),
    Transfer("rte", "qqp", {"duplicate": "entailment", "not_duplicate": "not_entailment"}),
    Transfer("mrpc", "qqp", {"duplicate": "equivalent", "not_duplicate": "not_equivalent"}),
    Transfer("mrpc", "rte", {"entailment": "equivalent", "not_entailment": "not_equivalent"}),
    Transfer("mrpc", "hans", {"entailment": "equivalent", "non-entailment": "not_equivalent"}),
    Transfer("qqp", "mrpc", {"equivalent": "duplicate", "not_equivalent": "not_duplicate"}),
    Transfer("qqp", "rte", {"entailment": "duplicate", "not_entailment": "not_duplicate"}),
    Transfer("qqp", "hans", {"entailment": "duplicate", "non-entailment": "not_duplicate"}),
    Transfer("qqp", "advglue_qqp", {"not_duplicate": "not_duplicate", "duplicate": "duplicate"}),
    Transfer("stsb", "sick_relatedness", None),
)
"""Training task -> test sets: GLUE-X's, as far as their files could be found, and further ones of the same kind."""

IN_DOMAIN: Mapping[str, str] = {"cola": "cola_in_domain"}
"""Training task -> the test set that drops are measured from, where it is not the one of the same name."""


def transfers_of(trained_on: str) -> list[Transfer]:
    """Every test set outside the domain of a training task.

    >>> [transfer.test_set for transfer in transfers_of("stsb")]
    ['sick_relatedness']
    """
    return [transfer for transfer in TRANSFERS if transfer.trained_on == trained_on]


def transfer_to(trained_on: str | None, test_set: str) -> Transfer:
    """How a head trained on one task is scored on a test set; the same task maps every class to itself.

    Raises:
        DataError: nothing says what the test set's classes mean to this head.
    """
    target = LABELLED_SETS[test_set]
    for transfer in TRANSFERS:
        if (transfer.trained_on, transfer.test_set) == (trained_on, test_set):
            return transfer
    if trained_on is None or target.preset == trained_on:
        same = None if target.classes is None else {name: name for name in target.classes}
        return Transfer(trained_on or test_set, test_set, same)
    known = sorted({transfer.test_set for transfer in transfers_of(trained_on)})
    what = f"nothing says what the classes of '{test_set}' mean to a head trained on {trained_on}"
    fix = did_you_mean(test_set, known) if known else f"evaluate on {trained_on} itself"
    raise DataError.at("--suite", what, fix)


def in_domain_set(trained_on: str) -> str:
    """The test set that drops are measured from."""
    return IN_DOMAIN.get(trained_on, trained_on)
