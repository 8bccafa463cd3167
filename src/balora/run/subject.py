"""What is evaluated: a run folder, any PEFT adapter, or a plain model; found first, loaded later."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from safetensors import safe_open

from balora.adapters import RESIDUAL_BASE
from balora.artefacts import checked_record
from balora.artefacts.layout import ADAPTER_CONFIG, ADAPTER_WEIGHTS, MODEL_WEIGHTS, RECIPE_RESOLVED
from balora.data.settings import DataSettings
from balora.errors import Findings, ModelError, OutputError
from balora.evaluation.results import file_sha256
from balora.models import (
    ModelSettings,
    build_empty_model,
    check_adapter,
    check_vocabulary,
    load_config,
    load_model,
    load_tokenizer,
    weight_problems,
)
from balora.paths import user_path
from balora.recipe import Recipe, parse_recipe, read_recipe_text
from balora.run.adapter_files import check_adapter_files, check_every_weight_is_used
from balora.run.base import check_base, recorded_base
from balora.run.published import changed_files
from balora.strict_json import read_json
from balora.task import Task

CHANGES_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Starts of PEFT that write into the base weight when an adapter of theirs is loaded."""

_HEADS = ("classifier.weight", "score.weight", "out_proj.weight")
_TASKS: dict[str, Task] = {"SEQ_CLS": "classification", "CAUSAL_LM": "generation", "SEQ_2_SEQ_LM": "generation"}


@dataclass(frozen=True)
class Subject:
    """What is evaluated, as far as small files tell."""

    name: str
    folder: Path | None
    """The run folder, or the adapter's."""
    adapter: Path | None
    """Where the adapter lies; None for a whole model."""
    recipe: Recipe | None
    base: ModelSettings
    """The pretrained model, or the model itself."""
    whole: ModelSettings | None
    """The fine-tuned weights of a run that trained all of them."""
    task: Task
    label_names: tuple[str, ...] | None
    seed: int = 42
    recorded_base: Mapping[str, Any] | None = None
    """What run or adapter say of the base that they were trained on."""
    base_is_named: bool = False
    """Whether the user named the base in place of the one that run or adapter name."""
    residual: ModelSettings | None = None
    """The base of its own that an adapter belongs to, where it started at a quantized residual."""

    @property
    def trained_on(self) -> str | None:
        """The task by the name of its preset, where the recipe says so."""
        preset = None if self.recipe is None else self.recipe.data.preset
        return None if preset is None else preset.lower().replace("-", "").replace("_", "")

    @property
    def data(self) -> DataSettings:
        """How texts were encoded in training."""
        return self.recipe.data if self.recipe is not None else DataSettings(train="none.csv")

    @property
    def weights_sha256(self) -> str | None:
        """Of the adapter, or of the model's one file."""
        if self.adapter is not None:
            return file_sha256(self.adapter / ADAPTER_WEIGHTS)
        folder = user_path((self.whole or self.base).name_or_path)
        return file_sha256(folder / MODEL_WEIGHTS)


@dataclass(frozen=True)
class LoadedSubject:
    """The subject in memory."""

    model: Any
    tokenizer: Any
    device: torch.device
    fresh: tuple[str, ...]
    """Parameters that the pretrained checkpoint does not hold: without the adapter they are random."""
    notes: tuple[str, ...] = ()
    """What should be said of it."""

    @contextmanager
    def as_base(self) -> Iterator[Any]:
        """The untouched base inside the block."""
        with self.model.disable_adapter() if isinstance(self.model, peft.PeftModel) else nullcontext():
            yield self.model


def find_subject(run: Path | str | None, model: str | None) -> Subject:
    """What `run` and `model` name, read from their small files.

    Args:
        run: a run folder, one of its checkpoints, or a folder with a PEFT adapter.
        model: hub id or folder of a model; together with `run` the base in place of the one it names.

    Raises:
        InputError: there is nothing that could be evaluated.
    """
    if run is None:
        if model is None:
            raise OutputError.at("RUN", "nothing to evaluate", "name a run folder, or a model with --model")
        return _plain(ModelSettings(name_or_path=model))
    folder = user_path(run)
    if not folder.is_dir():
        raise OutputError.at(run, "no such folder", "name a run folder, or a model with --model")
    recipe, home = _recipe_of(folder)
    has_adapter = (folder / ADAPTER_CONFIG).is_file()
    if has_adapter:
        check_adapter(folder)
    if has_adapter and not (folder / ADAPTER_WEIGHTS).is_file():
        raise OutputError.at(folder, f"holds no {ADAPTER_WEIGHTS}", "did the run finish? name one of its checkpoints")
    if recipe is not None:
        settings = recipe.model.model_copy(update={"name_or_path": model} if model else {})
        whole = None
        if not has_adapter:
            if not (folder / "config.json").is_file():
                what = "holds neither an adapter nor a model"
                raise OutputError.at(folder, what, "did the run finish? `--resume` ends it, or name a checkpoint")
            whole = settings.model_copy(update={"name_or_path": str(folder), "revision": None})
        names = _label_names(home, recipe)
        seed = int(recipe.training.get("seed", 42))
        adapter = folder if has_adapter else None
        found = Subject(str(folder), folder, adapter, recipe, settings, whole, recipe.task, names, seed)
        return _with_its_base(found, home, model)
    if has_adapter:
        return _with_its_base(_adapter(folder, model), folder, model)
    if (folder / "config.json").is_file():
        return _plain(ModelSettings(name_or_path=str(folder)), folder)
    what = f"holds neither {ADAPTER_CONFIG} nor {RECIPE_RESOLVED} nor config.json"
    raise OutputError.at(folder, what, "name a run folder, an adapter or a model")


def load_subject(subject: Subject) -> LoadedSubject:
    """The weights, on the accelerator where there is one.

    Raises:
        ModelError: the model or the adapter cannot be loaded.
    """
    transformers.set_seed(subject.seed)
    tokenizer = load_tokenizer(_tokenizer_settings(subject))
    names, settings = subject.label_names, _loaded_settings(subject)
    _check_files(subject, tokenizer)
    loaded = load_model(settings, subject.task, tokenizer=tokenizer, label_names=names)
    notes = check_recorded_base(subject)  # again: a model of the hub had no files before
    notes += [] if subject.folder is None else changed_files(subject.folder)
    model: Any = loaded.model
    if subject.adapter is not None:
        try:
            with warnings.catch_warnings():
                # What is missing or too much is said by `check_every_weight_is_used`.
                warnings.simplefilter("ignore", UserWarning)
                model = peft.PeftModel.from_pretrained(model, str(subject.adapter))
        except MemoryError:
            raise
        except Exception as error:  # a stranger's file can make the libraries raise anything
            reason = " ".join(str(error).split())[:200]
            what = f"the adapter does not fit '{subject.base.name_or_path}' ({reason})"
            raise ModelError.at(subject.adapter, what, "name the model it was trained on with --model") from error
        check_every_weight_is_used(subject.adapter, model)
    chosen = best_device()
    return LoadedSubject(model.to(chosen).eval(), tokenizer, chosen, loaded.fresh_parameters, tuple(notes))


def best_device() -> torch.device:
    """The accelerator where there is one, else the CPU."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found or torch.device("cpu")


def changes_the_base(adapter: Path) -> bool:
    """Whether loading an adapter of PEFT writes into the base in memory, so that "adapter off" is not the base."""
    start = read_json(adapter / ADAPTER_CONFIG).get("init_lora_weights")
    return isinstance(start, str) and start.lower().startswith(CHANGES_THE_BASE)


def base_is_apart(subject: Subject) -> bool:
    """Whether the base has to be loaded as a model of its own, because turning an adapter off does not give it."""
    return subject.adapter is None or subject.residual is not None or changes_the_base(subject.adapter)


def _check_files(subject: Subject, tokenizer: Any) -> None:
    """Find what keeps base, tokenizer and adapter from fitting before any weights are loaded.

    Raises:
        ModelError: with every problem.
    """
    settings = _loaded_settings(subject)
    findings = Findings()
    with findings.gathered():
        check_recorded_base(subject)
    with findings.gathered():
        empty = build_empty_model(settings, subject.task, label_names=subject.label_names)
        with findings.gathered():
            check_vocabulary(empty, tokenizer, settings)
        if subject.adapter is not None:
            with findings.gathered():
                check_adapter_files(subject.adapter, empty, settings.name_or_path)
        if problems := weight_problems(settings, empty):
            raise ModelError(problems)
    findings.settle()


def _loaded_settings(subject: Subject) -> ModelSettings:
    """Of the model that is read from disk."""
    return subject.whole or (subject.residual if subject.adapter is not None else None) or subject.base


def check_recorded_base(subject: Subject) -> list[str]:
    """Compare the base at hand with the one that the subject was trained on; see `check_base`.

    Raises:
        ModelError: it is another one, and nobody asked for it.
    """
    if subject.whole is not None:
        return []
    settings = _loaded_settings(subject)
    named = subject.base_is_named and settings is not subject.residual
    return check_base(subject.name, subject.recorded_base, settings, named=named)


def _with_its_base(subject: Subject, home: Path, model: str | None) -> Subject:
    """With what run or adapter say of their base.

    Raises:
        ModelError: the adapter belongs to a base of its own that is not there.
    """
    folder = subject.folder
    assert folder is not None, "only folders have one"
    recipe, residual = subject.recipe, None
    at_residual = recipe is not None and recipe.adapter.quantized_start == "residual"
    place = next((each for each in (folder, home) if (each / RESIDUAL_BASE).is_dir()), None)
    recorded = recorded_base(folder, home)
    if subject.adapter is not None and (at_residual or place is not None):
        if place is None:
            what = f"its adapter belongs to '{RESIDUAL_BASE}', which is written beside it when the run ends"
            raise ModelError.at(folder, what, "let the run finish, or copy that folder too")
        residual, recorded = ModelSettings(name_or_path=str(place / RESIDUAL_BASE)), recorded_base(place, place)
    return replace(subject, recorded_base=recorded, base_is_named=model is not None, residual=residual)


def base_of(subject: Subject) -> Subject:
    """The pretrained model of a run, or of an adapter, as a subject of its own."""
    return replace(
        subject,
        name=subject.base.name_or_path,
        folder=None,
        adapter=None,
        whole=None,
        recorded_base=subject.recorded_base if subject.residual is None else None,
        residual=None,
    )


def load_base(subject: Subject) -> LoadedSubject:
    """`base_of` a subject, in memory."""
    return load_subject(base_of(subject))


def _recipe_of(folder: Path) -> tuple[Recipe | None, Path]:
    """The recipe of a run folder, or of the run that a checkpoint belongs to, and the run's folder."""
    for home in (folder, folder.parent):
        path = home / RECIPE_RESOLVED
        if path.is_file():
            return parse_recipe(read_recipe_text(path)[0], origin=str(path)), home
    return None, folder


def _label_names(home: Path, recipe: Recipe) -> tuple[str, ...] | None:
    if recipe.task != "classification":
        return None
    record, faults = checked_record(home)
    if faults:
        raise OutputError(faults)
    names = (record.get("data") or {}).get("label_names")
    if not names:
        raise OutputError.at(home, "its run.json does not name the classes", "evaluate the run where it was written")
    return tuple(names)


def _tokenizer_settings(subject: Subject) -> ModelSettings:
    folder = subject.folder
    if folder is not None and (folder / "tokenizer_config.json").is_file():
        return ModelSettings(name_or_path=str(folder))
    return subject.base


def _adapter(folder: Path, model: str | None) -> Subject:
    try:
        config = read_json(folder / ADAPTER_CONFIG)
        base, kind = model or config["base_model_name_or_path"], config.get("task_type")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError.at(folder / ADAPTER_CONFIG, f"cannot be read ({error})", "save the adapter again") from None
    outputs = _head_outputs(folder)
    if kind is None:  # PEFT writes none for a model that it wrapped without being told its task
        kind = "CAUSAL_LM" if outputs is None else "SEQ_CLS"
    if not base:
        raise ModelError.at(folder / ADAPTER_CONFIG, "names no base model", "name it with --model")
    if kind not in _TASKS:
        known = ", ".join(_TASKS)
        raise ModelError.at(folder / ADAPTER_CONFIG, f"task_type is {kind}", f"balora evaluates {known}")
    settings = ModelSettings(name_or_path=base)
    if _TASKS[kind] == "generation":
        return Subject(str(folder), folder, folder, None, settings, None, "generation", None)
    if outputs is None:
        what = "the adapter holds no classification head"
        raise ModelError.at(folder, what, "save it with its head (modules_to_save)")
    names = _names_in(load_config(settings), outputs)
    task: Task = "regression" if outputs == 1 else "classification"
    return Subject(str(folder), folder, folder, None, settings, None, task, names if outputs > 1 else None)


def _head_outputs(folder: Path) -> int | None:
    """How many outputs the saved head has; None where there is none."""
    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as weights:
        for name in weights.keys():  # noqa: SIM118 - safe_open is no mapping
            if name.endswith(_HEADS):
                return int(weights.get_slice(name).get_shape()[0])
    return None


def _names_in(config: Any, outputs: int) -> tuple[str, ...]:
    named = {int(index): str(name) for index, name in (config.id2label or {}).items()}
    return tuple(named[index] for index in range(outputs)) if len(named) == outputs else tuple(map(str, range(outputs)))


def _plain(settings: ModelSettings, folder: Path | None = None) -> Subject:
    config = load_config(settings)
    name = settings.name_or_path
    if not any("ForSequenceClassification" in each for each in config.architectures or []):
        return Subject(name, folder, None, None, settings, None, "generation", None)
    task: Task = "regression" if config.num_labels == 1 else "classification"
    names = _names_in(config, config.num_labels) if task == "classification" else None
    return Subject(name, folder, None, None, settings, None, task, names)
