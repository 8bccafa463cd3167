"""Tasks known by name: the columns, class names, scores and hub dataset of GLUE, SNLI and SICK.

Class names stand in the order of the ids of the hub datasets (nyu-mll/glue, stanfordnlp/snli). Columns are listed in
the hub's form first, then as the original files name them (MRPC's `#1 String`, MNLI's `sentence1`). Scores: GLUE,
arXiv 1804.07461, table 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from balora.errors import DataError, did_you_mean
from balora.task import Task


@dataclass(frozen=True)
class RawLayout:
    """A form of the original file that has no header line."""

    widths: tuple[int, ...]
    """How many fields a line may have."""
    roles: tuple[tuple[str, int], ...]
    """Role -> position."""

    def fits(self, fields: Sequence[str], label_values: Sequence[str]) -> bool:
        """Whether a first line is already data: the right width, and a label where the label belongs."""
        return len(fields) in self.widths and all(
            _is_label(fields[position], label_values) for role, position in self.roles if role in ("label", "score")
        )


def _is_label(value: str, label_values: Sequence[str]) -> bool:
    if label_values:
        return value.strip() in label_values
    try:
        float(value)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Preset:
    """What is known about one task."""

    task: Task
    text: tuple[str, ...]
    """Names the column may have, the preferred one first."""
    text_pair: tuple[str, ...]
    label: tuple[str, ...]
    label_names: tuple[str, ...] | None
    metrics: tuple[str, ...]
    hub_id: str | None = "nyu-mll/glue"
    hub_config: str | None = None
    validation_split: str = "validation"
    raw_layouts: tuple[RawLayout, ...] = ()
    without_gold_label: tuple[str, ...] = ()
    """Label values of rows on which the annotators did not agree; such rows are left out and counted."""

    @property
    def column_names(self) -> dict[str, tuple[str, ...]]:
        """Role -> names its column may have."""
        label_role = "score" if self.task == "regression" else "label"
        pair = {"text_pair": self.text_pair} if self.text_pair else {}
        return {"text": self.text, label_role: self.label} | pair

    def raw_layout(self, fields: Sequence[str]) -> RawLayout | None:
        """The layout without a header that a first line belongs to, if any."""
        names = self.label_names or ()
        values = [*(str(number) for number in range(len(names))), *names]
        return next((layout for layout in self.raw_layouts if layout.fits(fields, values)), None)


_YES_NO_PAIR = ("not_entailment", "entailment")
_NLI = ("entailment", "neutral", "contradiction")

_PRESETS: dict[str, tuple[Preset, ...]] = {
    "cola": (
        Preset(
            "classification",
            text=("sentence",),
            text_pair=(),
            label=("label",),
            label_names=("unacceptable", "acceptable"),
            metrics=("matthews", "accuracy"),
            hub_config="cola",
            # source code, label, author's mark, sentence
            raw_layouts=(RawLayout((4,), (("text", 3), ("label", 1))),),
        ),
    ),
    "sst2": (
        Preset(
            "classification",
            text=("sentence",),
            text_pair=(),
            label=("label",),
            label_names=("negative", "positive"),
            metrics=("accuracy",),
            hub_config="sst2",
            raw_layouts=(RawLayout((2,), (("text", 0), ("label", 1))),),
        ),
    ),
    "mrpc": (
        Preset(
            "classification",
            text=("sentence1", "#1 String"),
            text_pair=("sentence2", "#2 String"),
            label=("label", "Quality"),
            label_names=("not_equivalent", "equivalent"),
            metrics=("f1", "accuracy"),
            hub_config="mrpc",
        ),
    ),
    "qqp": (
        Preset(
            "classification",
            text=("question1",),
            text_pair=("question2",),
            label=("label", "is_duplicate"),
            label_names=("not_duplicate", "duplicate"),
            metrics=("f1", "accuracy"),
            hub_config="qqp",
        ),
    ),
    "mnli": (
        Preset(
            "classification",
            text=("premise", "sentence1"),
            text_pair=("hypothesis", "sentence2"),
            label=("label", "gold_label"),
            label_names=_NLI,
            metrics=("accuracy",),
            hub_config="mnli",
            validation_split="validation_matched",
            without_gold_label=("-",),
        ),
    ),
    "qnli": (
        Preset(
            "classification",
            text=("question",),
            text_pair=("sentence",),
            label=("label",),
            label_names=("entailment", "not_entailment"),
            metrics=("accuracy",),
            hub_config="qnli",
        ),
    ),
    "rte": (
        Preset(
            "classification",
            text=("sentence1",),
            text_pair=("sentence2",),
            label=("label",),
            label_names=("entailment", "not_entailment"),
            metrics=("accuracy",),
            hub_config="rte",
        ),
    ),
    "wnli": (
        Preset(
            "classification",
            text=("sentence1",),
            text_pair=("sentence2",),
            label=("label",),
            label_names=_YES_NO_PAIR,
            metrics=("accuracy",),
            hub_config="wnli",
        ),
    ),
    "stsb": (
        Preset(
            "regression",
            text=("sentence1",),
            text_pair=("sentence2",),
            label=("label", "score"),
            label_names=None,
            metrics=("pearson", "spearman"),
            hub_config="stsb",
            # genre, file, year, index, score, sentence1, sentence2; some lines add the two sources
            raw_layouts=(RawLayout((7, 9), (("text", 5), ("text_pair", 6), ("score", 4))),),
        ),
    ),
    "snli": (
        Preset(
            "classification",
            text=("premise", "sentence1"),
            text_pair=("hypothesis", "sentence2"),
            label=("label", "gold_label"),
            label_names=_NLI,
            metrics=("accuracy",),
            hub_id="stanfordnlp/snli",
            without_gold_label=("-", "-1"),
        ),
    ),
    "sick": (
        Preset(
            "classification",
            text=("sentence_A",),
            text_pair=("sentence_B",),
            label=("label", "entailment_label", "entailment_judgment"),
            label_names=_NLI,
            metrics=("accuracy",),
            hub_id=None,
        ),
        Preset(
            "regression",
            text=("sentence_A",),
            text_pair=("sentence_B",),
            label=("relatedness_score",),
            label_names=None,
            metrics=("pearson", "spearman"),
            hub_id=None,
        ),
    ),
}


def preset_names() -> tuple[str, ...]:
    """Every preset, sorted."""
    return tuple(sorted(_PRESETS))


def canonical_preset(name: str) -> str:
    """A preset's name as the table spells it.

    >>> canonical_preset("SST-2")
    'sst2'
    """
    return name.lower().replace("-", "").replace("_", "")


def preset_named(name: str, task: Task) -> Preset:
    """The preset of that name for that task; case, `-` and `_` do not matter.

    Raises:
        DataError: when there is none, or it is one of another task.

    >>> preset_named("SST-2", "classification").label_names
    ('negative', 'positive')
    """
    variants = _PRESETS.get(canonical_preset(name))
    if variants is None:
        raise DataError.at("data.preset", f"no preset is called '{name}'", did_you_mean(name, _PRESETS))
    for preset in variants:
        if preset.task == task:
            return preset
    others = " or ".join(preset.task for preset in variants)
    raise DataError.at("data.preset", f"'{name}' is a {others} task, but task is {task}", f"set task: {others}")
