"""Where a run begins: in a new folder, or where an earlier leg of it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from transformers import TrainerState, TrainingArguments

from balora.adapters import BOTTLENECK_WEIGHTS, find_method
from balora.adapters.state import STATE_FILE
from balora.artefacts import (
    STATE_OF_TRAINER,
    check_free,
    check_no_links,
    checked_record,
    diverged_start,
    holds_nothing_but_a_start,
    list_checkpoints,
    lost_checkpoints,
    newest_complete,
    read_record,
    saved_step,
    step_of,
)
from balora.artefacts.layout import (
    ADAPTER_WEIGHTS,
    ALL_RESULTS,
    MODEL_WEIGHTS,
    RECIPE_RESOLVED,
)
from balora.artefacts.manifest import fault_in, read_manifest
from balora.errors import Findings, OutputError, Problem
from balora.recipe import Recipe, parse_recipe, read_recipe_text
from balora.run.base import changed_base
from balora.run.differences import changed_data, changed_processes, changed_settings, may_change, refusal
from balora.run.parts import Inputs
from balora.run.published import changed_files
from balora.run.reading import read_and_check
from balora.run.surroundings import changed_versions
from balora.strict_json import read_json

_START_AGAIN = "start again in another folder"


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a run begins."""

    checkpoint: Path | None = None
    """What it goes on from; None: the pretrained model."""
    earlier: Mapping[str, Any] = field(default_factory=dict)
    """The record of the legs so far; empty for a new run."""
    notes: tuple[str, ...] = ()
    """What the user should know about it."""
    results: Mapping[str, float] | None = None
    """The scores of a run that is finished already; None where there is something to do."""
    changed: tuple[Problem, ...] = ()
    """The settings and versions that are not those it began with; `read_unchanged` refuses them with all else."""
    anyway: bool = False
    """Whether the run is to go on although things changed, where that can work."""
    finished: bool = False
    """Whether it had come to its end, so that nothing can go on."""

    @property
    def step(self) -> int:
        """Steps that are done already."""
        return 0 if self.checkpoint is None else step_of(self.checkpoint)

    @property
    def last_good(self) -> str | None:
        """The name of the checkpoint that it goes on from."""
        return None if self.checkpoint is None else self.checkpoint.name


def begin(folder: Path, recipe: Recipe, *, resume: bool, anyway: bool = False) -> Beginning:
    """Find where a run begins; reads only.

    Args:
        folder: of the run.
        recipe: what it is to be.
        resume: whether it goes on.
        anyway: whether it goes on although settings, data or versions changed.

    Raises:
        OutputError: the folder is taken, or cannot be resumed.
    """
    if not resume:
        check_free(folder)
        return Beginning()
    if not folder.is_dir():
        raise OutputError.at("output.dir", f"there is no run folder '{folder}' to resume", "start without --resume")
    check_no_links(folder)
    changed = tuple(_changed_recipe(folder, recipe))
    earlier, faults = checked_record(folder)
    if faults:
        raise OutputError(replace(each, fix=f"{each.fix}, or {_START_AGAIN}") for each in faults)
    results = finished_results(folder, recipe)
    if results is not None:
        note = f"the run in '{folder}' is already finished; nothing was changed"
        notes = (note, *changed_files(folder))
        return Beginning(None, earlier, notes, None if changed else results, changed, finished=True)
    if holds_nothing_but_a_start(folder):
        note = "there is no checkpoint yet; starting from the beginning"
        return Beginning(None, earlier, (note,), changed=changed, anyway=anyway)
    checkpoint, skipped = newest_complete(folder, checkpoint_weights(recipe))
    if checkpoint is None:
        without = lost_checkpoints(folder) or diverged_start(folder)
        if without is not None and not skipped:
            raise without
        found = "; ".join(skipped) or "no checkpoint"
        raise OutputError.at("output.dir", f"'{folder}' holds nothing to resume from ({found})", _START_AGAIN)
    passed = [f"{line}, so the run goes on from {checkpoint.name} and it is set aside" for line in skipped]
    written = saved_step(earlier, last_leg=True)
    if written > step_of(list_checkpoints(folder)[0]):
        passed.insert(0, f"checkpoint-{written} was written and is gone, so the run goes on from {checkpoint.name}")
    changed = (*changed, *lost_best(checkpoint, recipe))
    versions, told = changed_versions(earlier)
    passed += [f"{line} (the run goes on)" for line in told]
    return Beginning(checkpoint, earlier, tuple(passed), changed=(*changed, *versions), anyway=anyway)


def lost_best(checkpoint: Path, recipe: Recipe) -> list[Problem]:
    """The best checkpoint so far, where the run is to end with it and it is missing or damaged."""
    if recipe.evaluation.keep_best is None and not recipe.training.get("load_best_model_at_end"):
        return []
    state = TrainerState.load_from_json(str(checkpoint / STATE_OF_TRAINER))
    if not state.best_model_checkpoint:  # the best step need not have been saved
        return []
    best = checkpoint.with_name(Path(state.best_model_checkpoint).name)
    fault = fault_in(best)
    if fault is None:
        return []
    score = f"{recipe.evaluation.keep_best or 'score'} {state.best_metric:.6g}"
    found = f"{fault}" if best.is_dir() else "it is missing"
    what = f"held the best weights so far ({score}), and {found}; without it the best of what remains is taken"
    return [Problem(best.name, what)]


def finished_results(folder: Path, recipe: Recipe) -> dict[str, float] | None:
    """The scores of a run that is finished; None where there is still something to do."""
    weights = final_weights(recipe)
    whole = (folder / weights).exists() or (folder / f"{weights}.index.json").exists()
    if read_record(folder).get("status") != "finished" or not whole:
        return None
    try:
        results = read_json(folder / ALL_RESULTS)
    except (OSError, ValueError):
        return None
    numbers = isinstance(results, dict) and all(isinstance(value, int | float | None) for value in results.values())
    return results if numbers else None


def final_weights(recipe: Recipe) -> str:
    """The file of a finished run that holds what was trained."""
    method = find_method(recipe.adapter.method)
    if method.name in ("houlsby", "pfeiffer"):
        return BOTTLENECK_WEIGHTS
    return ADAPTER_WEIGHTS if method.keeps_base else MODEL_WEIGHTS


def checkpoint_weights(recipe: Recipe) -> str:
    """The file of a checkpoint that holds what was trained."""
    return STATE_FILE if find_method(recipe.adapter.method).keeps_base else MODEL_WEIGHTS


def _changed_recipe(folder: Path, recipe: Recipe) -> list[Problem]:
    """Every setting that is another one than when the run began.

    Raises:
        OutputError: the recipe of the run is gone.
    """
    path = folder / RECIPE_RESOLVED
    if not path.is_file():
        raise OutputError.at(path, "is missing, so the run cannot be continued safely", _START_AGAIN)
    before = parse_recipe(read_recipe_text(path)[0], origin=str(path))
    return changed_settings(before.model_dump(mode="json"), recipe.model_dump(mode="json"))


def described_data(inputs: Inputs) -> dict[str, Any]:
    """The data of a run as its record tells them.

    Per split the source; the class names, the training fingerprint; the calibration sample and the flaws that were put
    in on purpose, where there are any.
    """
    sources = {split: asdict(source) for split, source in inputs.text.sources.items()}
    names = None if inputs.text.label_names is None else list(inputs.text.label_names)
    sample = {} if inputs.calibration is None else {"calibration": inputs.calibration.identity()}
    flaws = inputs.text.corruption
    corruption = {} if flaws is None else {"corruption": flaws.summary()}
    return {**sources, "label_names": names, "fingerprint": inputs.data.fingerprint, **sample, **corruption}


def read_unchanged(
    folder: Path, recipe: Recipe, beginning: Beginning
) -> tuple[TrainingArguments, Inputs, list[Problem]]:
    """Everything a run reads before its weights; for one that goes on, the same as when it began.

    Returns:
        Arguments, data and, of a run that goes on anyway, what changed.

    Raises:
        InputError: with every problem of what was read, and of a run that goes on everything that changed.
    """
    findings = Findings()
    read: tuple[TrainingArguments, Inputs] | None = None
    with findings.gathered():
        read = read_and_check(recipe)
    base: Any = None
    differences, stuck = list(beginning.changed), list[Problem]()
    if read is not None and beginning.earlier:
        arguments, inputs = read
        before = beginning.earlier.get("data")
        differences += changed_data(before, described_data(inputs)) if isinstance(before, Mapping) else []
        model = beginning.earlier.get("model")
        base = model.get("base") if isinstance(model, Mapping) else None
        stuck += changed_base(base, recipe.model)
        manifest = None if beginning.checkpoint is None else read_manifest(beginning.checkpoint)
        differences += [] if manifest is None else changed_processes(manifest.processes, arguments.world_size)
    stuck += [each for each in differences if not may_change(each) and not _is_moved_base(each, base)]
    differences += [each for each in stuck if each not in differences]
    with findings.gathered():
        if stuck or (differences and not beginning.anyway):
            offer = not stuck and not beginning.finished
            raise OutputError(refusal(folder, folder / RECIPE_RESOLVED, differences, offer=offer))
    findings.settle()
    assert read is not None, "a finding would say why"
    return *read, differences


def _is_moved_base(difference: Problem, base: Any) -> bool:
    """Whether the base merely lies elsewhere, as far as its fingerprint tells, which is compared beside this."""
    return difference.where == "model.name_or_path" and isinstance(base, Mapping) and bool(base.get("weights_sha256"))


def check_base_read(folder: Path, recipe: Recipe, beginning: Beginning) -> None:
    """Look at the base again where its files were not there before it was loaded, as with a model of the hub.

    Raises:
        OutputError: it is not the one that the run began with.
    """
    model = beginning.earlier.get("model")
    differences = changed_base(model.get("base"), recipe.model) if isinstance(model, Mapping) else []
    if differences:
        raise OutputError(refusal(folder, folder / RECIPE_RESOLVED, differences))
