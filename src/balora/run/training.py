"""From a recipe to a run folder."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from transformers import TrainerState, TrainingArguments

from balora.artefacts import (
    STATE_OF_TRAINER,
    PeakMemory,
    RunRecord,
    disk_in_words,
    disk_trouble,
    holds_nothing_but_a_start,
    list_checkpoints,
    make_run_folder,
    newest_complete,
    set_aside,
    signed,
    sole_use,
    step_of,
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
from balora.errors import BaloraError, DivergedError, StoppedError
from balora.evaluation import perplexity_of
from balora.recipe import Recipe, dump_recipe, load_recipe, read_recipe_text, recipe_notes
from balora.run.base import keep_base_of_its_own
from balora.run.beginning import Beginning, begin, check_base_read, checkpoint_weights, read_unchanged
from balora.run.description import begin_record, describe_as_card
from balora.run.parts import (
    Inputs,
    Prepared,
    load_and_adapt,
    loss_path_notes,
    make_trainer,
    objective_notes,
    run_folder_of,
)
from balora.run.resources.exhausted import Needs, memory_explained
from balora.run.resources.foresight import foresee
from balora.training import BALoraTrainer, GracefulStop, MetricsFile, ProgressLine
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
    recipe: Recipe | str | Path, *, recipe_text: str | None = None, resume: bool = False, show_progress: bool = True
) -> RunResult:
    """Fine-tune a model as a recipe says, into a new run folder.

    Args:
        recipe: from `load_recipe`, built in Python, or the path of a recipe file.
        recipe_text: the recipe as the user wrote it, kept beside the resolved one.
        resume: continue from the folder's newest complete checkpoint; a finished run stays as it is.
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
    folder, writes = run_folder_of(recipe), is_first_process()
    console = Console(stderr=True) if show_progress and writes else None
    with ExitStack() as held:
        is_there = _is_folder(folder)
        if is_there and writes:
            held.enter_context(_sole_tidy_use(folder, tidied=resume))
        # Another process may find the folder that the first has made; what it must not be is the first one's to say.
        beginning = begin(folder, recipe, resume=resume) if writes or resume else Beginning()
        if beginning.results is not None:
            _tell(console, beginning.notes)
            took_s = float(beginning.earlier.get("train_seconds") or 0.0)
            return RunResult(folder, dict(beginning.results), took_s, "finished", beginning.notes)
        arguments, inputs = read_unchanged(folder, recipe, beginning)
        needs = _foreseen(recipe, inputs, arguments, console)
        held.enter_context(memory_explained(needs))
        prepared = load_and_adapt(recipe, inputs)
        with _no_folder_without_a_run(folder):
            trainer = make_trainer(recipe, inputs, prepared.model, arguments)
            notes = [*beginning.notes, *recipe_notes(recipe), *inputs.notes, *prepared.notes]
            notes += [*objective_notes(recipe, inputs, arguments), *loss_path_notes(trainer)]
            record = begin_record(recipe, inputs, trainer, beginning, notes=notes)
            check_base_read(folder, recipe, beginning)
            trainer.base_document = record.model["base"]
        _tell(console, record.notes)
        with all_or_none("starting the run"):
            if writes and beginning.checkpoint is None and not resume:
                make_run_folder(folder)
                if not is_there:
                    held.enter_context(sole_use(folder))
                _write_start(folder, record, recipe, recipe_text, inputs, prepared)
            if writes:
                with disk_in_words(folder, "the record of the run"):
                    record.write(folder)
                    held.enter_context(signed(folder))
                    _set_newer_aside(folder, beginning.step)
        return _train_and_record(trainer, needs, record, folder, beginning=beginning, console=console)


def _foreseen(recipe: Recipe, inputs: Inputs, arguments: TrainingArguments, console: Console | None) -> Needs:
    """What the run takes, where it may not fit; that it does not is told before weights are loaded."""
    found = foresee(recipe, inputs, arguments) if is_first_process() else None
    _tell(console, [] if found is None else found.warnings)
    return Needs(recipe, inputs, arguments, found)


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


def _set_newer_aside(folder: Path, step: int) -> None:
    """What is newer than the checkpoint that a run goes on from was passed over, and cannot be used."""
    for checkpoint in list_checkpoints(folder):
        if step_of(checkpoint) > step:
            set_aside(checkpoint)


def _tell(console: Console | None, notes: Iterable[str]) -> None:
    if console is None:
        return
    for note in notes:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _no_folder_without_a_run(folder: Path) -> Iterator[None]:
    """Take back the empty folder that transformers' Trainer makes, should the run not come to its start."""
    existed = folder.exists()
    try:
        yield
    except BaseException:
        if not existed:
            with suppress(OSError):
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
        metrics_file.keep_up_to(beginning.step)
    progress = ProgressLine(console)
    stop = GracefulStop(lambda line: _tell(console, [line]))
    for callback in (metrics_file, stop, *([progress] if console is not None else [])):
        trainer.add_callback(callback)
    peak, began = PeakMemory(), time.monotonic()
    try:
        with peak, stop:
            training_metrics = run_steps(trainer, beginning.checkpoint)
        early = early_stop_notes(trainer, recipe)
        record.notes.extend(early)
        _tell(console, early)
        metrics = {**training_metrics, **final_scores(trainer, inputs)}
        trainer.save_model(str(folder))
        if writes:
            keep_base_of_its_own(folder)
            write_json_atomically(folder / ALL_RESULTS, metrics)
            write_model_card(folder, describe_as_card(recipe, inputs, trainer, metrics, folder))
            sync_files(folder)
        seconds = float(training_metrics.get("train_runtime", 0.0))
        record = record.ended(
            "finished", train_seconds=seconds, peak_cpu_gib=peak.cpu_gib, peak_gpu_gib=peak.gpu_gib, results=metrics
        )
        if writes:
            record.write(folder)
    except BaseException as error:
        failure = needs.explained(error) or explained(error, folder, recipe)
        reason = error if isinstance(failure, KeyboardInterrupt) else failure
        why = str(reason) or type(reason).__name__
        with suppress(OSError):  # a disk that is full takes no record either
            if writes:
                record.ended(_status_of(error), train_seconds=time.monotonic() - began, failure=why).write(folder)
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


def run_steps(trainer: BALoraTrainer, checkpoint: Path | None) -> dict[str, float]:
    """Train to the end, from a checkpoint where there is one; gives transformers' numbers on it.

    From a checkpoint of the last step nothing is trained: the Trainer would take one step more.
    """
    if checkpoint is not None:
        state = TrainerState.load_from_json(str(checkpoint / STATE_OF_TRAINER))
        if state.global_step >= state.max_steps:
            trainer.state = state
            if trainer.args.load_best_model_at_end and state.best_model_checkpoint:
                trainer._load_best_model()
            else:
                trainer._load_from_checkpoint(str(checkpoint))
            return {}
    outcome = trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    metrics: dict[str, float] = outcome.metrics
    return metrics


def explained(error: BaseException, folder: Path, recipe: Recipe) -> BaseException:
    """What to end with: an interruption or a disk that gives out with what is true of this folder, else the error."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return stopped(error, folder, recipe)
    if isinstance(error, BaloraError):
        return error
    last, _ = newest_complete(folder, checkpoint_weights(recipe))
    trouble = disk_trouble(error, folder, what="the run", last_good=None if last is None else last.name)
    return error if trouble is None else trouble


def stopped(error: BaseException, folder: Path, recipe: Recipe) -> StoppedError:
    """The interruption with what is true of this folder: how the run can go on."""
    if isinstance(error, SystemExit):
        number = (
            signal.Signals(error.code - 128) if isinstance(error.code, int) and error.code > 128 else signal.SIGTERM
        )
    else:
        number = getattr(error, "number", signal.SIGINT)
    checkpoint, _ = newest_complete(folder, checkpoint_weights(recipe))
    if checkpoint is not None:
        advice = f"stopped; the same command with --resume goes on from step {step_of(checkpoint)}"
    elif holds_nothing_but_a_start(folder):
        advice = "stopped before there was a checkpoint; the same command starts again"
    else:
        advice = "stopped, and there is no complete checkpoint to go on from; start again in another folder"
    return StoppedError(number, advice)


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


def _status_of(error: BaseException) -> str:
    if isinstance(error, DivergedError):
        return "diverged"
    return "interrupted" if isinstance(error, KeyboardInterrupt | SystemExit) else "failed"
