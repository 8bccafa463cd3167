"""A study file -> Study, or every problem at once with its line."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from balora.errors import Problem, RecipeError, did_you_mean
from balora.recipe.document import Document, FoundProblem, KeyPath, read_document
from balora.recipe.load import read_recipe_text, refuse_credentials
from balora.redaction import redacted_override
from balora.study.axes import Axis, read_axes
from balora.study.catalogue import STUDIES
from balora.study.layout_checks import check_layouts
from balora.study.metrics import LAB_METRICS
from balora.study.overrides import apply_overrides
from balora.study.profiles import apply_profile, begin_from_like
from balora.study.published import check_published
from balora.study.settings import StudySettings
from balora.study.subtree import cut
from balora.study.validation import validated
from balora.training.argument_fields import shown

GENERATORS = ("lab",)
"""What `prepare` can make."""


@dataclass(frozen=True, slots=True)
class Study:
    """What a study file says; see `balora.study.plan` for the runs that follow from it."""

    settings: StudySettings
    axes: tuple[Axis, ...]
    base: Document
    """The recipe that every run starts from, with the places of its values."""
    prepare: Document | None
    """What is made before the runs: `lab: {...}`."""
    text: str
    """The file as it was given."""
    profile: str | None
    origin: str
    """How messages call the file."""
    overrides: tuple[str, ...] = ()
    """Changes from the command line, as they may be shown."""

    @property
    def compare(self) -> str:
        """The axis whose levels are compared."""
        names = [axis.name for axis in self.axes]
        return self.settings.compare or ("method" if "method" in names else names[0])

    @property
    def options(self) -> str:
        """What stands behind the file on the command line that gave this study."""
        profile = [] if self.profile is None else ["--profile", self.profile]
        return shlex.join([*profile, *self.overrides])

    @property
    def has_lab(self) -> bool:
        """Whether runs are measured by the lab."""
        return self.prepare is not None


def load_study(path: Path | str, profile: str | None = None, overrides: Sequence[str] = ()) -> Study:
    """Read a study file, or a shipped study by its name, in one of its profiles, with changes laid over it.

    Raises:
        RecipeError: with every problem at once, each with its line, its key and what to do. Problems that show only
            where axes and recipe meet are found by `balora.study.plan.plan_study`.
    """
    text, origin, folder = read_study_text(path)
    return parse_study(text, origin=origin, profile=profile, folder=folder, overrides=overrides)


def parse_study(
    text: str,
    *,
    origin: str = "study.yaml",
    profile: str | None = None,
    folder: Path | None = None,
    overrides: Sequence[str] = (),
) -> Study:
    """A study from its YAML text; `folder` is where a `base` that is a path is looked for first.

    `overrides` are changes `key=value`, as on the command line; see `balora.study.overrides`.

    Raises:
        RecipeError: with every problem at once.
    """
    refuse_credentials(text, origin)
    document = read_document(text, origin)
    if not isinstance(document.values, dict):
        raise RecipeError.at(f"{origin}:1", f"is {shown(document.values)}", "write name, base, axes, seeds, metrics")
    open_base = functools.partial(_open_base, folder)
    found = begin_from_like(document, open_base)
    found += apply_profile(document, profile, open_base)
    found += apply_overrides(document, overrides, open_base)
    axes, wrong = read_axes(document)
    found += wrong
    base, wrong = _base(document, folder)
    found += wrong
    prepare, wrong = _prepare(document)
    found += wrong
    rest = cut(document, ())
    rest.values = {key: value for key, value in rest.values.items() if key not in ("base", "axes", "prepare")}
    settings, wrong = validated(StudySettings, rest)
    found += wrong
    if settings is not None:
        found += _across(document, settings, axes)
    found += _layouts(document, settings, axes)
    if found or settings is None or base is None:
        told = [problem.problem for problem in sorted(found, key=lambda problem: problem.place)]
        if base is not None and axes:
            named = StudySettings(name="unnamed")
            told += _problems_of_recipes(Study(named, tuple(axes), base, prepare, text, profile, origin))
        raise RecipeError(dict.fromkeys(told))
    changes = tuple(redacted_override(each) for each in overrides)
    return Study(settings, tuple(axes), base, prepare, text, profile, origin, changes)


def _problems_of_recipes(study: Study) -> Sequence[Problem]:
    """What is wrong with the recipes of a study whose own settings are wrong, so that all of it is told at once."""
    from balora.study.plan import Planner  # it plans what this module reads

    try:
        Planner(study, Path("shared").absolute()).check()
    except RecipeError as error:
        return error.problems
    return []


def read_study_text(path: Path | str) -> tuple[str, str, Path | None]:
    """The text of a study file or of a shipped study, the name that messages use, and the file's folder.

    Raises:
        RecipeError: no such file or study, or not a readable text file.
    """
    file = Path(path)
    if file.exists() and not (file.is_dir() and str(path) in STUDIES.names()):
        text, origin = read_recipe_text(file)
        return text, origin, file.parent
    if str(path) in STUDIES.names():
        return STUDIES.named(str(path)).text, f"{path}.yaml", None
    raise STUDIES.neither_file_nor_shipped(path)


def _base(document: Document, folder: Path | None) -> tuple[Document | None, list[FoundProblem]]:
    """The base recipe: written in place, or in a file of its own, or one that is shipped."""
    written = document.values.get("base")
    if isinstance(written, dict):
        base = cut(document, ("base",))
    elif isinstance(written, str):
        named, problems = _named_base(document, written, folder)
        if named is None:
            return None, problems
        base = named
    else:
        what = "is missing" if written is None else f"is {shown(written)}"
        return None, [document.problem(("base",), what, "write a recipe below it, or name a file or a shipped recipe")]
    # The study chooses the folders of its runs.
    base.values.pop("output", None)
    return base, []


def _named_base(document: Document, written: str, folder: Path | None) -> tuple[Document | None, list[FoundProblem]]:
    """The recipe that `base` names."""
    beside = None if folder is None else folder / written
    try:
        text, name = read_recipe_text(beside if beside is not None and beside.is_file() else written)
        refuse_credentials(text, name)
        base = read_document(text, name)
    except RecipeError as error:
        return None, [document.problem(("base",), each.what, each.fix) for each in error.problems]
    if not isinstance(base.values, dict):
        return None, [document.problem(("base",), "is no recipe", "name a recipe file, or write one here")]
    return base, []


def _open_base(folder: Path | None, document: Document) -> list[FoundProblem]:
    """Put the recipe that `base` names in its place."""
    named, problems = _named_base(document, document.values["base"], folder)
    if named is not None:
        document.forget(("base",))
        document.values["base"] = named.values
        document.places |= {("base", *path): place for path, place in named.places.items()}
        document.texts |= {("base", *path): text for path, text in named.texts.items()}
    return problems


def _prepare(document: Document) -> tuple[Document | None, list[FoundProblem]]:
    written = document.values.get("prepare")
    if written is None:
        return None, []
    if not isinstance(written, dict) or len(written) != 1:
        return None, [document.problem(("prepare",), f"is {shown(written)}", "write prepare: {lab: {...}}")]
    name = next(iter(written))
    if name not in GENERATORS:
        problem = document.problem(
            ("prepare", name), "nothing of this name can be made", did_you_mean(name, GENERATORS)
        )
        return None, [problem]
    if written[name] is not None and not isinstance(written[name], dict):
        return None, [document.problem(("prepare", name), f"is {shown(written[name])}", "write settings below it")]
    written[name] = written[name] or {}
    return cut(document, ("prepare",)), []


def _layouts(document: Document, settings: StudySettings | None, axes: list[Axis]) -> Iterator[FoundProblem]:
    """What is wrong with tables, figures and published numbers; the report checks metrics that the recipe brings."""
    if not axes:
        return
    metrics = None
    if settings is not None and settings.metrics:
        metrics = [metric.key for metric in settings.metrics]
    elif settings is not None and document.values.get("prepare") is not None:
        metrics = list(LAB_METRICS)
    named = settings.compare if settings is not None else None
    compare = named or next((axis.name for axis in axes if axis.name == "method"), axes[0].name)
    yield from check_layouts(document, axes, metrics, compare)
    yield from check_published(document, {axis.name: axis.labels for axis in axes})


def _across(document: Document, settings: StudySettings, axes: list[Axis]) -> Iterator[FoundProblem]:
    """What settings say about axes that are not there."""
    known = {axis.name: axis for axis in axes}
    if not known:
        return
    if settings.compare is not None and settings.compare not in known:
        yield document.problem(
            ("compare",), f"no axis is called '{settings.compare}'", did_you_mean(settings.compare, known)
        )
    compared = known.get(settings.compare or ("method" if "method" in known else axes[0].name))
    if compared is not None and settings.baseline is not None and settings.baseline not in compared.labels:
        what = f"'{settings.baseline}' is no level of '{compared.name}'"
        yield document.problem(("baseline",), what, _nearest_label(settings.baseline, compared.labels))
    chosen: list[tuple[KeyPath, Mapping[str, str | list[str]]]]
    chosen = [(("exclude", at), each) for at, each in enumerate(settings.exclude)]
    chosen += [(("evaluate", at, "only"), each.only) for at, each in enumerate(settings.evaluate)]
    for path, levels in chosen:
        yield from _unknown_levels(document, path, levels, known)
    for name in (settings.tune.per or []) if settings.tune else []:
        if name not in known:
            yield document.problem(("tune", "per"), f"no axis is called '{name}'", did_you_mean(name, known))


def _unknown_levels(
    document: Document, path: KeyPath, levels: Mapping[str, str | list[str]], known: Mapping[str, Axis]
) -> Iterator[FoundProblem]:
    for name, labels in levels.items():
        if name not in known:
            yield document.problem((*path, name), "no axis has this name", did_you_mean(name, known))
            continue
        for label in [labels] if isinstance(labels, str) else labels:
            if label not in known[name].labels:
                what = f"'{label}' is no level of '{name}'"
                yield document.problem((*path, name), what, _nearest_label(label, known[name].labels))


def _nearest_label(label: str, labels: Sequence[str]) -> str:
    """The label that was meant; people write lora for LoRA."""
    same = next((each for each in labels if each.casefold() == label.casefold()), None)
    return f"did you mean '{same}'?" if same else did_you_mean(label, labels)
