"""Test sets are found under the names they have, and hold what their authors say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from balora.data.scored import load_scored
from balora.errors import DataError
from balora.evaluation.labelled_sets import LABELLED_SETS, file_in, labelled_set, source_of
from tests.support.real import data_root, real_path

REAL = {
    "cola": {"acceptable": 721, "unacceptable": 322},
    "cola_in_domain": {"acceptable": 365, "unacceptable": 162},
    "cola_ood": {"acceptable": 354, "unacceptable": 162},
    "sst2": {"positive": 444, "negative": 428},
    "qqp": {"not_duplicate": 623, "duplicate": 377},
    "mnli": {"entailment": 347, "neutral": 333, "contradiction": 320},
    "qnli": {"entailment": 504, "not_entailment": 496},
    "rte": {"entailment": 146, "not_entailment": 131},
    "wnli": {"not_entailment": 40, "entailment": 31},
    "imdb": {"negative": 500, "positive": 500},
    "yelp": {f"{stars} star{'s' if stars > 1 else ''}": 200 for stars in range(1, 6)},
    "amazon": {f"{stars} star{'s' if stars > 1 else ''}": 200 for stars in range(1, 6)},
    "imdb_sentences": {"negative": 500, "positive": 500},
    "yelp_sentences": {"negative": 500, "positive": 500},
    "amazon_cells_sentences": {"negative": 500, "positive": 500},
    "snli": {"entailment": 346, "neutral": 328, "contradiction": 326},
    "sick": {"neutral": 2790, "entailment": 1404, "contradiction": 712},
    "breaking_nli": {"contradiction": 7164, "entailment": 982, "neutral": 47},
    "hans_contradictions": {"contradiction": 179, "neutral": 82},
    "advglue_sst2": {"positive": 76, "negative": 72},
    "advglue_qqp": {"not_duplicate": 46, "duplicate": 32},
    "advglue_mnli": {"contradiction": 50, "neutral": 39, "entailment": 32},
    "advglue_mnli_mismatched": {"entailment": 60, "contradiction": 57, "neutral": 45},
    "advglue_qnli": {"entailment": 74, "not_entailment": 74},
    "advglue_rte": {"not_entailment": 46, "entailment": 35},
}


@pytest.mark.real
@pytest.mark.parametrize("name", list(REAL))
def test_real_files_have_the_published_counts(name: str) -> None:
    real_path("data/README.md")
    found = load_scored(source_of(LABELLED_SETS[name], data_root() / "data"))
    assert found.class_names is not None
    assert Counter(found.class_names[int(row.label or 0)] for row in found.examples) == REAL[name]
    assert found.source.sha256


@pytest.mark.real
@pytest.mark.parametrize(("name", "rows"), [("stsb", 1500), ("sick_relatedness", 4906)])
def test_real_scores_are_read_as_numbers(name: str, rows: int) -> None:
    real_path("data/README.md")
    found = load_scored(source_of(LABELLED_SETS[name], data_root() / "data"))
    assert len(found.examples) == rows
    assert all(0 <= float(row.label or 0) <= 5 for row in found.examples)


def test_a_file_a_folder_and_the_hub(tmp_path: Path) -> None:
    cola = labelled_set("cola")
    assert source_of(cola, None).file is None
    assert str(source_of(cola, None).hub) == "nyu-mll/glue/cola"
    assert source_of(cola, tmp_path / "mine.tsv").file == str(tmp_path / "mine.tsv")
    (tmp_path / "CoLA").mkdir()
    (tmp_path / "CoLA" / "dev.tsv").write_text("x")
    assert source_of(cola, tmp_path).file == str(tmp_path / "CoLA" / "dev.tsv")
    with pytest.raises(DataError, match=r"holds no file of mrpc \(looked for glue/MRPC/dev.tsv"):
        file_in(tmp_path, labelled_set("mrpc").files, "mrpc")


def test_special_layouts_are_for_the_files_that_have_them(tmp_path: Path) -> None:
    """A user's own file for a suite is read by its columns, not as the authors' archive."""
    own = source_of(labelled_set("breaking_nli"), tmp_path / "mine.tsv")
    assert own.member is None
    assert source_of(labelled_set("breaking_nli"), tmp_path / "breaking_nli_dataset.zip").member is not None
    assert source_of(labelled_set("sick"), tmp_path / "SICK.txt[:100]").only is not None


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean 'cola_ood'"):
        labelled_set("cola_odd")


def test_main_scores_are_those_of_glue() -> None:
    main = {name: LABELLED_SETS[name].scores for name in ("cola", "sst2", "mrpc", "qqp", "mnli_mm", "stsb")}
    assert main["cola"][0] == "matthews"
    assert set(main["mrpc"]) == set(main["qqp"]) == {"f1", "accuracy"}
    assert main["stsb"] == ("pearson", "spearman")
    assert main["sst2"] == main["mnli_mm"] == ("accuracy",)
