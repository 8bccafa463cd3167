"""From a recipe to a run folder."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from transformers import TrainerState, TrainingArguments

from balora.artefacts import (
    STATE_OF_TRAINER,
    PeakMemory,
    RunRecord,
    changes_in_words,
    disk_in_words,
    disk_trouble,
    list_checkpoints,
    make_run_folder,
    set_aside,
    signed,
    sole_use,
    step_of,
    take_over,
    tidy,
    write_json_atomically,
    write_model_card,
    write_text_atomically,
)
from balora.artefacts.files import sync_files
from balora.artefacts.layout import (
    ALL_RESULTS,
    CORRUPTED,
    QUANTIZATION,
    RECIPE_AS_GIVEN,
    RECIPE_RESOLVED,
    RUN_RECORD,
    STEP_METRICS,
)
from balora.errors import OutputError, Problem
from balora.escaping import visible
from balora.evaluation import perplexity_of
from balora.interruption import unwinding
from balora.recipe import Recipe, dump_recipe, load_recipe, read_recipe_text, recipe_notes
from balora.run.base import keep_base_of_its_own
from balora.run.beginning import Beginning, begin, check_base_read, read_unchanged
from balora.run.changed_recipe import write_changed_recipe
from balora.run.description import begin_record, describe_as_card
from balora.run.ending import explained, status_of
from balora.run.parts import (
    Inputs,
    Prepared,
    load_and_adapt,
    loss_path_notes,
    make_trainer,
    objective_notes,
    run_folder_of,
)
from balora.run.published import published_files
from balora.run.resources.exhausted import Needs, memory_explained
from balora.run.resources.foresight import foresee
from balora.run.saved_steps import SavedSteps
from balora.streams import stderr_console
from balora.training import BALoraTrainer, GracefulStop, MetricsFile, ProgressLine
from balora.training.left_evaluation import lines_before_evaluation
from balora.training.process_state import evaluation_left
from balora.training.together import all_or_none, is_first_process


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a finished run hands back."""

    folder: Path
    """The run folder."""
    metrics: dict[str, float]
    """Final scores: `eval_` and `test_` metrics, training loss and speed."""
    train_seconds: float
    """Wall time of the training loop, over all legs."""
    status: str
    """`finished`."""
    notes: tuple[str, ...] = ()
    """What was worth knowing at the start."""


def train(
    recipe: Recipe | str | Path,
    *,
    recipe_text: str | None = None,
    resume: bool = False,
    resume_anyway: bool = False,
    show_progress: bool = True,
) -> RunResult:
    """Fine-tune a model as a recipe says, into a new run folder.

    Args:
        recipe: from `load_recipe`, built in Python, or the path of a recipe file.
        recipe_text: the recipe as the user wrote it, kept beside the resolved one.
        resume: continue from the folder's newest complete checkpoint; a finished run stays as it is.
        resume_anyway: as `resume`, also where settings, data or versions changed, which run.json and the model card
            then tell; another base, adapter, task, optimizer or number of processes is refused all the same.
        show_progress: a progress line and notes on stderr.

    Returns:
        The run folder and its scores.

    Raises:
        InputError: the recipe, the data, the model or the folder is wrong; nothing has been written.
        SelfCheckError: the teacher is not the pretrained model.
        DivergedError: a loss or gradient stopped being finite.
        ResourceError: memory ran out, or the disk is full, read-only or gone; older checkpoints are whole.
        StoppedError: Ctrl-C, SIGTERM or SIGHUP; the first one lets the step end and writes a checkpoint.
    """
    if not isinstance(recipe, Recipe):
        text, _ = read_recipe_text(recipe)
        recipe, recipe_text = load_recipe(recipe), recipe_text or text
    resume = resume or resume_anyway
    folder, writes = run_folder_of(recipe), is_first_process()
    console = stderr_console() if show_progress and writes else None
    with ExitStack() as held:
        is_there = _is_folder(folder)
        if is_there and writes:
            held.enter_context(_sole_tidy_use(folder, tidied=resume))
        # Another process may find the folder that the first has made; what it must not be is the first one's to say.
        beginning = begin(folder, recipe, resume=resume, anyway=resume_anyway) if writes or resume else Beginning()
        if beginning.results is not None:
            return _as_it_was(folder, beginning, beginning.results, console)
        arguments, inputs, changed = read_unchanged(folder, recipe, beginning)
        needs = _foreseen(recipe, inputs, arguments, console)
        held.enter_context(memory_explained(needs))
        prepared = load_and_adapt(recipe, inputs)
        held.enter_context(unwinding())
        with _no_folder_without_a_run(folder):
            trainer, record = _ready(folder, recipe, inputs, arguments, prepared, beginning, changed)
        _tell(console, record.notes)
        with all_or_none("starting the run"):
            if writes and beginning.checkpoint is None and not resume:
                _take(folder, held, is_ours=is_there)
                _write_start(folder, record, recipe, recipe_text, inputs, prepared)
            if writes:
                with disk_in_words(folder, "the record of the run", last_good=beginning.last_good):
                    held.enter_context(signed(folder))
                    _write_leg(folder, record, recipe, recipe_text, inputs, beginning.step)
        return _train_and_record(trainer, needs, record, folder, beginning=beginning, console=console)


def _as_it_was(folder: Path, beginning: Beginning, results: Mapping[str, float], console: Console | None) -> RunResult:
    _tell(console, beginning.notes)
    took_s = float(beginning.earlier.get("train_seconds") or 0.0)
    return RunResult(folder, dict(results), took_s, "finished", beginning.notes)


def _foreseen(recipe: Recipe, inputs: Inputs, arguments: TrainingArguments, console: Console | None) -> Needs:
    """What the run takes, where it may not fit; that it does not is told before weights are loaded."""
    found = foresee(recipe, inputs, arguments) if is_first_process() else None
    _tell(console, [] if found is None else found.warnings)
    return Needs(recipe, inputs, arguments, found)


def _take(folder: Path, held: ExitStack, *, is_ours: bool) -> None:
    """Make the folder, hold it, and clear away what a start before left in it."""
    make_run_folder(folder)
    if not is_ours:
        held.enter_context(sole_use(folder))
    take_over(folder)


def _ready(
    folder: Path,
    recipe: Recipe,
    inputs: Inputs,
    arguments: TrainingArguments,
    prepared: Prepared,
    beginning: Beginning,
    changed: list[Problem],
) -> tuple[BALoraTrainer, RunRecord]:
    """The trainer, and the record with what the user is told; nothing is written yet."""
    trainer = make_trainer(recipe, inputs, prepared.model, arguments)
    notes = [*beginning.notes, *recipe_notes(recipe), *inputs.notes, *prepared.notes]
    notes += [*objective_notes(recipe, inputs, arguments), *loss_path_notes(trainer)]
    notes += [f"goes on although it changed: {each}" for each in changed]
    record = begin_record(recipe, inputs, trainer, beginning, notes=notes)
    record.changed(changed)
    trainer.changed_settings = frozenset(each.where for each in changed)
    check_base_read(folder, recipe, beginning)
    trainer.base_document = record.model["base"]
    return trainer, record


def _is_folder(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except OSError:  # a name that no file system takes: `begin` says so
        return False


@contextmanager
def _sole_tidy_use(folder: Path, *, tidied: bool) -> Iterator[None]:
    with sole_use(folder):
        if tidied:
            tidy(folder)
        yield


def _write_start(
    folder: Path, record: RunRecord, recipe: Recipe, text: str | None, inputs: Inputs, prepared: Prepared
) -> None:
    """What a new run folder holds before the first step; where the disk has no room for it, nothing.

    Raises:
        ResourceError: the disk is full or read-only.
    """
    try:
        record.write(folder)
        write_text_atomically(folder / RECIPE_RESOLVED, dump_recipe(recipe))
        write_text_atomically(folder / RECIPE_AS_GIVEN, text or dump_recipe(recipe))
        if prepared.quantization is not None:
            write_json_atomically(folder / QUANTIZATION, prepared.quantization.as_document())
        if inputs.text.corruption is not None:
            write_json_atomically(folder / CORRUPTED, inputs.text.corruption.as_document())
    except OSError as error:
        for name in (RUN_RECORD, RECIPE_RESOLVED, RECIPE_AS_GIVEN, QUANTIZATION, CORRUPTED):
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        raise (disk_trouble(error, folder, what="the start of the run") or error) from error


def _write_leg(folder: Path, record: RunRecord, recipe: Recipe, text: str | None, inputs: Inputs, step: int) -> None:
    """The record of a leg that begins, and what follows from it."""
    record.write(folder)
    if record.legs[-1].get("differences"):
        write_changed_recipe(folder, recipe, text, record, inputs)
    _set_newer_aside(folder, step)


def _set_newer_aside(folder: Path, step: int) -> None:
    """What is newer than the checkpoint that a run goes on from was passed over, and cannot be used."""
    for checkpoint in list_checkpoints(folder):
        if step_of(checkpoint) > step:
            set_aside(checkpoint)


def _tell(console: Console | None, notes: Iterable[str]) -> None:
    if console is None:
        return
    for note in notes:
        console.print(visible(f"note: {note}"), highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _no_folder_without_a_run(folder: Path) -> Iterator[None]:
    """Take back the empty folder that transformers' Trainer makes, should the run not come to its start.

    Not where another process has begun in it meanwhile.
    """
    existed = folder.exists()
    try:
        yield
    except BaseException:
        if not existed:
            with suppress(OSError, OutputError), sole_use(folder):
                folder.rmdir()
        raise


def _train_and_record(
    trainer: BALoraTrainer,
    needs: Needs,
    record: RunRecord,
    folder: Path,
    *,
    beginning: Beginning,
    console: Console | None,
) -> RunResult:
    recipe, inputs = needs.recipe, needs.inputs
    metrics_file = MetricsFile(folder / STEP_METRICS)
    writes = is_first_process()
    if writes:
        metrics_file.keep_up_to(beginning.step, lines_before_evaluation(beginning.checkpoint))
    progress = ProgressLine(console)
    stop = GracefulStop(lambda line: _tell(console, [line]))
    for callback in (SavedSteps(record, folder), metrics_file, stop, *([progress] if console is not None else [])):
        trainer.add_callback(callback)
    peak, began = PeakMemory(), time.monotonic()
    try:
        with peak, stop:
            training_metrics = run_steps(trainer, beginning.checkpoint)
        early = [*early_stop_notes(trainer, recipe), *untimed_notes(training_metrics)]
        record.notes.extend(early)
        _tell(console, early)
        metrics = {**training_metrics, **final_scores(trainer, inputs)}
        trainer.save_model(str(folder))
        if writes:
            keep_base_of_its_own(folder)
            write_json_atomically(folder / ALL_RESULTS, metrics)
            card = describe_as_card(recipe, inputs, trainer, metrics, folder)
            write_model_card(folder, card + changes_in_words(record.legs))
            sync_files(folder)
        seconds = float(training_metrics.get("train_runtime", 0.0))
        facts = {"results": metrics, "files": published_files(folder) if writes else {}}
        record = record.ended(
            "finished", train_seconds=seconds, peak_cpu_gib=peak.cpu_gib, peak_gpu_gib=peak.gpu_gib, **facts
        )
        if writes:
            record.write(folder)
    except BaseException as error:
        failure = needs.explained(error) or explained(error, folder, recipe)
        reason = error if isinstance(failure, KeyboardInterrupt) else failure
        why = str(reason) or type(reason).__name__
        with suppress(OSError):  # a disk that is full takes no record either
            if writes:
                record.ended(status_of(error), train_seconds=time.monotonic() - began, failure=why).write(folder)
        if failure is error:
            raise
        raise failure from error
    finally:
        progress.close()
    seconds = record.train_seconds or 0.0
    return RunResult(folder, metrics, train_seconds=seconds, status="finished", notes=tuple(record.notes))


def early_stop_notes(trainer: BALoraTrainer, recipe: Recipe) -> list[str]:
    """What is to be said where `evaluation.patience` ended the run before its last step."""
    state = trainer.state
    if recipe.evaluation.patience is None or state.global_step >= state.max_steps:
        return []
    score = recipe.evaluation.keep_best
    return [f"stopped early, at step {state.global_step} of {state.max_steps}: {score} no longer improved"]


def untimed_notes(training_metrics: Mapping[str, float]) -> list[str]:
    """What is to be said where a run went on from its last step."""
    if "train_runtime" in training_metrics:
        return []
    return ["no step was left to train, so that train_runtime is not known; train_loss is the mean of the log lines"]


def run_steps(trainer: BALoraTrainer, checkpoint: Path | None) -> dict[str, float]:
    """Train to the end, from a checkpoint where there is one; gives transformers' numbers on it.

    From a checkpoint of the last step nothing is trained: the Trainer would take one step more. What is known then is
    the loss, not the time that the steps took.
    """
    if checkpoint is not None:
        state = TrainerState.load_from_json(str(checkpoint / STATE_OF_TRAINER))
        last = trainer.planned_steps() if trainer.changed_settings else state.max_steps
        if state.global_step >= last and not evaluation_left(checkpoint):
            trainer.state = state
            trainer.take_best_from(checkpoint.parent)
            if trainer.args.load_best_model_at_end and state.best_model_checkpoint:
                trainer._load_best_model()
            else:
                trainer._load_from_checkpoint(str(checkpoint))
            return mean_loss(state)
    outcome = trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    metrics: dict[str, float] = outcome.metrics
    if checkpoint is not None and trainer.state.global_step == step_of(checkpoint):
        # Of this leg, which only evaluated, transformers reports the mean over no step.
        metrics = {name: value for name, value in metrics.items() if name != "train_loss"} | mean_loss(trainer.state)
    return metrics


def mean_loss(state: TrainerState) -> dict[str, float]:
    """The training loss over all steps that were logged, under transformers' name for it; empty where none was."""
    total, last = 0.0, 0
    for line in state.log_history:
        if "loss" in line:
            total, last = total + line["loss"] * (line["step"] - last), line["step"]
    return {"train_loss": total / last} if last else {}


def final_scores(trainer: BALoraTrainer, inputs: Inputs) -> dict[str, float]:
    """Scores of the trained model on the validation split, and on the test split where it has labels."""
    scores: dict[str, float] = {}
    if inputs.data.validation is not None:
        scores |= last_scores(trainer) or trainer.evaluate()
    if inputs.data.test is not None and "labels" in inputs.data.test.column_names:
        scores |= trainer.evaluate(inputs.data.test, metric_key_prefix="test")
    if inputs.text.task == "generation":
        scores |= perplexity_of(scores, "eval") | perplexity_of(scores, "test")
    return scores


def last_scores(trainer: BALoraTrainer) -> dict[str, float]:
    """The validation scores of the weights as they are, where the last step was already evaluated; else nothing."""
    if trainer.args.load_best_model_at_end:
        return {}
    at_end = [log for log in trainer.state.log_history if log.get("step") == trainer.state.global_step]
    return next(({k: v for k, v in log.items() if k != "step"} for log in at_end if "eval_loss" in log), {})
