"""The labelled test sets by name: GLUE's own, and those outside a task's domain.

Files are looked for under the names that their authors, or the usual collections, give them. Classes stand in the order
of the ids that the file or dataset uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from balora.data.presets import Preset, preset_named
from balora.data.scored import ScoredSource
from balora.data.sources import HubDataset
from balora.errors import DataError, did_you_mean
from balora.paths import user_path
from balora.task import Task

_NLI = ("entailment", "neutral", "contradiction")
_STARS = ("1 star", "2 stars", "3 stars", "4 stars", "5 stars")


@dataclass(frozen=True)
class LabelledSet:
    """A test set for classification or regression."""

    name: str
    preset: str | None
    """Task whose columns, classes and metrics it has."""
    files: tuple[str, ...]
    """Where it lies under a data folder, the first that is there."""
    class_names: tuple[str, ...] | None = None
    """Where they differ from the preset's."""
    task: Task = "classification"
    hub: HubDataset | None = None
    split: str = "validation"
    columns: Mapping[str, str | int] = field(default_factory=dict)
    header: bool | None = None
    delimiter: str | None = None
    member: str | None = None
    key: str | None = None
    only: tuple[str, str] | None = None
    metrics: tuple[str, ...] = ()
    """Where they differ from the preset's; the main one first."""

    def preset_found(self) -> Preset | None:
        """The preset, if it names one."""
        return None if self.preset is None else preset_named(self.preset, self.task)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Its class names in the order of its ids."""
        preset = self.preset_found()
        return self.class_names or (preset.label_names if preset else None)

    @property
    def scores(self) -> tuple[str, ...]:
        """Its usual scores, the main one first."""
        preset = self.preset_found()
        return self.metrics or (preset.metrics if preset else ("accuracy",))


def _glue(preset: str, folder: str, file: str = "dev.tsv", *more: str, task: Task = "classification") -> LabelledSet:
    files = (f"glue/{folder}/{file}", f"{folder}/{file}", *more)
    hub = HubDataset("nyu-mll/glue", preset, None)
    return LabelledSet(preset, preset, files, task=task, hub=hub)


def _adversarial(preset: str, key: str, name: str = "") -> LabelledSet:
    """AdvGLUE (Wang et al. 2021), dev.json: one list of rows per task."""
    hub = HubDataset("AI-Secure/adv_glue", f"adv_{name or preset}", None)
    files = ("adv_glue/dev.json", "dev.json")
    return LabelledSet(f"advglue_{name or preset}", preset, files, hub=hub, key=key)


def _reviews(name: str, folder: str, hub: str, classes: tuple[str, ...]) -> LabelledSet:
    files = (f"long_reviews/{folder}/test.json", f"{folder}/test.json")
    columns = {"text": "ori", "label": "label"}
    return LabelledSet(name, None, files, classes, hub=HubDataset(hub, None, None), split="test", columns=columns)


def _sentences(name: str) -> LabelledSet:
    """Sentiment Labelled Sentences (Kotzias et al. 2015)."""
    files = (f"labelled_sentences/{name}_labelled.txt", f"{name}_labelled.txt")
    columns = {"text": 0, "label": 1}
    return LabelledSet(
        f"{name}_sentences", None, files, ("negative", "positive"), columns=columns, header=False, delimiter="\t"
    )


LABELLED_SETS: Mapping[str, LabelledSet] = {
    each.name: each
    for each in (
        _glue("cola", "CoLA"),
        _glue("sst2", "SST-2", "dev.tsv", "sst2_sentences/dev.tsv"),
        _glue("mrpc", "MRPC"),
        _glue("qqp", "QQP", "dev.tsv", "nli_qqp_10k/QQP/dev.json", "QQP/dev.json"),
        LabelledSet(
            "mnli",
            "mnli",
            ("glue/MNLI/dev_matched.tsv", "MNLI/dev_matched.tsv", "nli_qqp_10k/MNLI/dev.json", "MNLI/dev.json"),
            hub=HubDataset("nyu-mll/glue", "mnli", None),
            split="validation_matched",
        ),
        LabelledSet(
            "mnli_mm",
            "mnli",
            ("glue/MNLI/dev_mismatched.tsv", "MNLI/dev_mismatched.tsv"),
            hub=HubDataset("nyu-mll/glue", "mnli", None),
            split="validation_mismatched",
        ),
        _glue("qnli", "QNLI", "dev.tsv", "nli_qqp_10k/QNLI/dev.json", "QNLI/dev.json"),
        _glue("rte", "RTE"),
        _glue("wnli", "WNLI"),
        _glue("stsb", "STS-B", task="regression"),
        LabelledSet("cola_in_domain", "cola", ("cola/in_domain_dev.tsv", "in_domain_dev.tsv")),
        LabelledSet("cola_ood", "cola", ("cola/out_of_domain_dev.tsv", "out_of_domain_dev.tsv")),
        _reviews("imdb", "aclImdb", "stanfordnlp/imdb", ("negative", "positive")),
        _reviews("yelp", "yelp_review", "Yelp/yelp_review_full", _STARS),
        _reviews("amazon", "amazon_review", "SetFit/amazon_reviews_multi_en", _STARS),
        _sentences("imdb"),
        _sentences("yelp"),
        _sentences("amazon_cells"),
        LabelledSet(
            "snli",
            "snli",
            ("nli_qqp_10k/SNLI/dev.json", "SNLI/dev.json", "snli_1.0/snli_1.0_test.jsonl"),
            hub=HubDataset("stanfordnlp/snli", None, None),
            split="test",
        ),
        LabelledSet("sick", "sick", ("sick/SICK.txt", "SICK.txt"), only=("SemEval_set", "TEST")),
        LabelledSet(
            "sick_relatedness", "sick", ("sick/SICK.txt", "SICK.txt"), task="regression", only=("SemEval_set", "TEST")
        ),
        LabelledSet(
            "breaking_nli",
            "snli",
            ("breaking_nli/breaking_nli_dataset.zip", "breaking_nli_dataset.zip"),
            member="data/dataset.jsonl",
        ),
        LabelledSet(
            "hans_contradictions",
            None,
            ("hans_mnli_contradictions/mnli_contradicting_examples", "mnli_contradicting_examples"),
            _NLI,
            columns={"text": 0, "text_pair": 1, "label": 2},
            header=False,
            delimiter="\t",
        ),
        LabelledSet(
            "hans",
            None,
            ("hans/heuristics_evaluation_set.txt", "heuristics_evaluation_set.txt"),
            ("entailment", "non-entailment"),
            columns={"text": "sentence1", "text_pair": "sentence2", "label": "gold_label"},
        ),
        LabelledSet(
            "scitail",
            None,
            ("scitail/tsv_format/scitail_1.0_test.tsv", "scitail_1.0_test.tsv"),
            ("entails", "neutral"),
            columns={"text": 0, "text_pair": 1, "label": 2},
            header=False,
        ),
        _adversarial("sst2", "sst2"),
        _adversarial("qqp", "qqp"),
        _adversarial("mnli", "mnli"),
        _adversarial("mnli", "mnli-mm", "mnli_mismatched"),
        _adversarial("qnli", "qnli"),
        _adversarial("rte", "rte"),
    )
}
"""Name -> test set. Not here, because no file could be checked: Flipkart, GLUE-X's Grammar Test and NewsQA-derived
sets, the Twitter paraphrases; `hans` and `scitail` follow their authors' layouts and were not run on the files."""


def labelled_set(name: str) -> LabelledSet:
    """The test set of that name.

    Raises:
        DataError: names the closest one.
    """
    if name not in LABELLED_SETS:
        raise DataError.at("--suite", f"no test set is called '{name}'", did_you_mean(name, LABELLED_SETS))
    return LABELLED_SETS[name]


def source_of(test_set: LabelledSet, data: Path | None) -> ScoredSource:
    """Where its rows come from: a file, a folder that holds it under one of its names, or the hub if nothing is said.

    Raises:
        DataError: the folder does not hold it, or there is nothing to say where it is.
    """
    file = None if data is None else file_in(data, test_set.files, test_set.name)
    known = file is None or Path(_without_slice(file)).name in {Path(name).name for name in test_set.files}
    return ScoredSource(
        task=test_set.task,
        class_names=test_set.classes,
        file=file,
        hub=test_set.hub,
        split=test_set.split,
        preset=test_set.preset,
        columns=test_set.columns if file is not None and known else {},
        header=test_set.header if known else None,
        delimiter=test_set.delimiter if known else None,
        member=test_set.member if known else None,
        key=test_set.key if known and file is not None else None,
        only=test_set.only if known and file is not None else None,
    )


def file_in(data: Path, names: tuple[str, ...], suite: str) -> str:
    """The file itself, or the first of the names that a folder holds.

    Raises:
        DataError: neither is there.
    """
    path = user_path(data)
    if not path.is_dir():
        return str(data)
    for name in names:
        if (path / name).is_file():
            return str(path / name)
    what = f"'{data}' holds no file of {suite} (looked for {', '.join(names)})"
    raise DataError.at("--data", what, "name the file itself, or the folder that holds one of these")


def _without_slice(file: str) -> str:
    return file.partition("[")[0] if file.endswith("]") else file
