"""From a recipe to a run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import transformers
from rich.console import Console

from balora.artefacts import (
    PeakMemory,
    RunRecord,
    check_free,
    check_resumable,
    make_run_folder,
    write_json_atomically,
    write_model_card,
    write_text_atomically,
)
from balora.artefacts.layout import ALL_RESULTS, RECIPE_AS_GIVEN, RECIPE_RESOLVED, STEP_METRICS
from balora.errors import DivergedError, OutputError
from balora.evaluation import perplexity_of
from balora.recipe import Recipe, dump_recipe, parse_recipe, recipe_notes
from balora.run.description import begin_record, describe_as_card
from balora.run.parts import (
    Inputs,
    load_and_adapt,
    loss_path_notes,
    make_trainer,
    objective_notes,
    read_inputs,
    run_folder_of,
    training_arguments_of,
)
from balora.training import BALoraTrainer, MetricsFile, ProgressLine


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a finished run hands back."""

    folder: Path
    """The run folder."""
    metrics: dict[str, float]
    """Final scores: `eval_` and `test_` metrics, training loss and speed."""
    train_seconds: float
    """Wall time of the training loop."""
    status: str
    """`finished`."""
    notes: tuple[str, ...] = ()
    """What was worth knowing at the start."""


def train(
    recipe: Recipe, *, recipe_text: str | None = None, resume: bool = False, show_progress: bool = True
) -> RunResult:
    """Fine-tune a model as a recipe says, into a new run folder.

    Args:
        recipe: from `load_recipe`, or built in Python.
        recipe_text: the recipe as the user wrote it, kept beside the resolved one.
        resume: continue the run in the recipe's folder from its newest checkpoint.
        show_progress: a progress line and notes on stderr.

    Returns:
        The run folder and its scores.

    Raises:
        InputError: the recipe, the data, the model or the folder is wrong; nothing has been written.
        SelfCheckError: the teacher is not the pretrained model.
        DivergedError: a loss or gradient stopped being finite.
    """
    folder = run_folder_of(recipe)
    checkpoint = None
    if resume:
        checkpoint = check_resumable(folder)
        check_same_recipe(folder, recipe)
    else:
        check_free(folder)
    arguments = training_arguments_of(recipe)
    transformers.set_seed(arguments.seed)
    inputs = read_inputs(recipe)
    prepared = load_and_adapt(recipe, inputs)
    trainer = make_trainer(recipe, inputs, prepared.model, arguments)
    notes = [*recipe_notes(recipe), *inputs.notes, *prepared.notes, *objective_notes(recipe, inputs, arguments)]
    notes += loss_path_notes(trainer)
    record = begin_record(recipe, inputs, trainer, notes=notes)
    console = Console(stderr=True) if show_progress else None
    if console is not None:
        for note in record.notes:
            console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    if checkpoint is None:
        make_run_folder(folder)
        write_text_atomically(folder / RECIPE_RESOLVED, dump_recipe(recipe))
        write_text_atomically(folder / RECIPE_AS_GIVEN, recipe_text or dump_recipe(recipe))
    record.write(folder)
    return _train_and_record(trainer, recipe, inputs, record, folder, checkpoint=checkpoint, console=console)


def check_same_recipe(folder: Path, recipe: Recipe) -> None:
    """Refuse to resume with other settings than those the run began with.

    Raises:
        OutputError: names the sections that differ.
    """
    path = folder / RECIPE_RESOLVED
    if not path.exists():
        what = "is missing, so the run cannot be continued safely"
        raise OutputError.at(path, what, "start again in another folder")
    before = parse_recipe(path.read_text(encoding="utf-8"), origin=str(path)).model_dump()
    differing = [section for section, value in recipe.model_dump().items() if before[section] != value]
    if differing:
        what = f"the run in '{folder}' was started with other settings in {', '.join(differing)}"
        raise OutputError.at("--resume", what, f"resume with {path}, or start a new run in another folder")


def _train_and_record(
    trainer: BALoraTrainer,
    recipe: Recipe,
    inputs: Inputs,
    record: RunRecord,
    folder: Path,
    *,
    checkpoint: Path | None,
    console: Console | None,
) -> RunResult:
    trainer.add_callback(MetricsFile(folder / STEP_METRICS))
    progress = ProgressLine(console)
    if console is not None:
        trainer.add_callback(progress)
    peak = PeakMemory()
    try:
        with peak:
            outcome = trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        metrics = {**outcome.metrics, **final_scores(trainer, inputs)}
        trainer.save_model(str(folder))
    except BaseException as error:
        record.ended(_status_of(error), failure=str(error) or type(error).__name__).write(folder)
        raise
    finally:
        progress.close()
    seconds = float(outcome.metrics["train_runtime"])
    write_json_atomically(folder / ALL_RESULTS, metrics)
    write_model_card(folder, describe_as_card(recipe, inputs, trainer, metrics))
    record.ended(
        "finished", train_seconds=seconds, peak_cpu_gib=peak.cpu_gib, peak_gpu_gib=peak.gpu_gib, results=metrics
    ).write(folder)
    return RunResult(folder, metrics, train_seconds=seconds, status="finished", notes=tuple(record.notes))


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
