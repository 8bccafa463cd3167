"""What a run would be, and what is wrong with it, before anything trains."""

from __future__ import annotations

from dataclasses import dataclass, replace

from transformers import TrainingArguments

from balora.adapters import ParameterCounts, count_parameters
from balora.artefacts import check_free
from balora.artefacts.layout import RUN_RECORD
from balora.data import Sample, sample_row
from balora.errors import Findings
from balora.recipe import Recipe, recipe_notes
from balora.run.parts import Inputs, load_and_adapt, objective_notes, run_folder_of
from balora.run.reading import read_and_check
from balora.run.resources import Estimate, estimate

FIRST_ROW = "first training example:"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would be."""

    text: str
    """A report to print: parameter counts, lengths, resources, notes, the first example with its label mask."""
    parameters: ParameterCounts
    """How many numbers train."""
    resources: Estimate
    """Memory, disk and time, reckoned."""
    notes: tuple[str, ...]
    """What is worth knowing; also in the text."""
    sample: Sample
    """The first training row, with what is learned from it; also in the text."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What can be said of a recipe without its model's weights."""

    notes: list[str]
    """What is worth knowing."""
    sample: Sample
    """The first training row, with what is learned from it."""


def plan(recipe: Recipe) -> Plan:
    """Everything up to the first step; nothing is trained and nothing is written.

    Raises:
        InputError: the recipe, the data, the model or the folder is wrong.
        SelfCheckError: the adapted model does not start at the pretrained one.
    """
    folder = run_folder_of(recipe)
    (arguments, inputs), remarks = _looked_at(recipe)
    resources = replace(estimate(recipe, inputs, arguments), remarks=remarks)
    prepared = load_and_adapt(recipe, inputs)
    counts = count_parameters(prepared.model)
    lines = [f"run folder: {folder} ({'in use' if remarks else 'not made yet'})", f"parameters: {counts}"]
    lines += [f"{split}: {lengths}" for split, lengths in inputs.data.lengths.items()]
    lines += resources.lines()
    notes = [*resources.warnings, *recipe_notes(recipe), *inputs.notes, *prepared.notes]
    notes += objective_notes(recipe, inputs, arguments)
    lines += [f"note: {note}" for note in notes]
    sample = _first_row(recipe, inputs)
    lines += ["", FIRST_ROW, *sample.lines()]
    return Plan(text="\n".join(lines), parameters=counts, resources=resources, notes=tuple(notes), sample=sample)


def plan_resources(recipe: Recipe) -> Estimate:
    """Memory, disk and time of a run; no weights are loaded and nothing is written.

    Raises:
        InputError: the recipe, the data or the model's files are wrong.
    """
    (arguments, inputs), remarks = _looked_at(recipe)
    return replace(estimate(recipe, inputs, arguments), remarks=remarks)


def check(recipe: Recipe) -> list[str]:
    """Find what is wrong with a recipe, its data and its model's files without loading weights.

    Returns:
        Notes worth reading.

    Raises:
        InputError: with every problem found.
    """
    return examine(recipe).notes


def examine(recipe: Recipe) -> Examination:
    """As `check`, with the first training row as tokenizer and template render it.

    Raises:
        InputError: with every problem found.
    """
    arguments, inputs = _checked(recipe)
    lengths = [f"{split}: {each}" for split, each in inputs.data.lengths.items()]
    notes = [*lengths, *recipe_notes(recipe), *inputs.notes, *objective_notes(recipe, inputs, arguments)]
    return Examination(notes, _first_row(recipe, inputs))


def _first_row(recipe: Recipe, inputs: Inputs) -> Sample:
    return sample_row(inputs.data, inputs.text, inputs.tokenizer, settings=recipe.data)


def _looked_at(recipe: Recipe) -> tuple[tuple[TrainingArguments, Inputs], tuple[str, ...]]:
    """As `_checked`, but a run folder that is there already is a remark: it may be planned what --resume will take."""
    folder = run_folder_of(recipe)
    if not (folder / RUN_RECORD).is_file():
        return _checked(recipe), ()
    remark = f"'{folder}' already holds a run: --resume goes on with it, a new one needs another output.dir"
    return read_and_check(recipe, Findings()), (remark,)


def _checked(recipe: Recipe) -> tuple[TrainingArguments, Inputs]:
    findings = Findings()
    with findings.gathered():
        check_free(run_folder_of(recipe))
    return read_and_check(recipe, findings)
