"""Load a pretrained model for a task, with errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase

from balora.errors import BaloraError, ModelError
from balora.models.failures import explain_load_failure
from balora.models.quantization import (
    quantization_config,
    quantization_notes,
    quantization_problem,
    unquantized_layers,
)
from balora.models.settings import ModelSettings
from balora.models.trust import check_files, how_to_trust, may_run_code, may_unpickle
from balora.task import Task


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A pretrained model ready for a task."""

    model: PreTrainedModel
    fresh_parameters: tuple[str, ...]
    """Names that the checkpoint does not hold and that start at random, usually the task head."""
    notes: tuple[str, ...] = ()
    """What is worth knowing about how it was loaded."""


def load_config(settings: ModelSettings) -> transformers.PretrainedConfig:
    """The model's configuration, without its weights.

    Code that comes with a model is not run, and its files are checked before any is followed, see `models.trust`.

    Raises:
        ModelError: not found, gated, offline, not a transformers model, or files that lead to code.
    """
    check_implementation(settings)
    check_files("model.name_or_path", settings.name_or_path, settings.revision)
    trusted = may_run_code(settings.name_or_path, settings.revision)
    with _explained(settings):
        return AutoConfig.from_pretrained(settings.name_or_path, revision=settings.revision, trust_remote_code=trusted)


def check_implementation(settings: ModelSettings) -> None:
    """Refuse an attention backend that would be downloaded as code.

    Raises:
        ModelError: when the name is that of a repository.
    """
    name = settings.attn_implementation or ""
    if "/" in name and not may_run_code(settings.name_or_path, settings.revision):
        what = f"'{name}' would be downloaded from the hub and run"
        raise ModelError.at("model.attn_implementation", what, how_to_trust(settings.name_or_path))


def load_model(
    settings: ModelSettings,
    task: Task,
    *,
    tokenizer: PreTrainedTokenizerBase,
    label_names: Sequence[str] | None = None,
) -> LoadedModel:
    """Load the weights with the head that the task needs.

    Args:
        settings: which model, in which number format.
        task: classification and regression get a head on top of the body; generation the language-model head.
        tokenizer: must fit the embedding; gives the padding id.
        label_names: class names by id; needed for classification.

    Raises:
        ModelError: not found, gated, offline, an encoder asked to generate, or a tokenizer with more ids than the
            model has embeddings.
    """
    problem = quantization_problem(settings)
    if problem is not None:
        raise ModelError([problem])
    config = configured_for(load_config(settings), task, settings, label_names)
    keep: list[str] = []
    if settings.quantization is not None:
        keep = unquantized_layers(build_empty_model(settings, task, label_names=label_names), settings.quantization)
    with _explained(settings), _quiet_transformers():
        model, info = _auto_class(config, task).from_pretrained(
            settings.name_or_path,
            config=config,
            attn_implementation=settings.attn_implementation,
            quantization_config=quantization_config(settings, config, keep),
            **_guarded(settings),
        )
    check_vocabulary(model, tokenizer, settings)
    check_finite(model, settings)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    notes = tuple(quantization_notes(model, settings))
    return LoadedModel(model=model, fresh_parameters=tuple(sorted(info["missing_keys"])), notes=notes)


def load_masked_model(settings: ModelSettings) -> LoadedModel:
    """Load an encoder with its masked-language-model head.

    Raises:
        ModelError: as `load_model`, or no encoder that predicts masked words.
    """
    config = load_config(settings)
    if type(config) not in transformers.MODEL_FOR_MASKED_LM_MAPPING:
        what = f"'{settings.name_or_path}' ({config.model_type}) is no masked language model"
        raise ModelError.at("model.name_or_path", what, "name an encoder that was pretrained on masked words")
    with _explained(settings), _quiet_transformers():
        model, info = transformers.AutoModelForMaskedLM.from_pretrained(
            settings.name_or_path, config=config, **_guarded(settings)
        )
    check_finite(model, settings)
    return LoadedModel(model=model, fresh_parameters=tuple(sorted(info["missing_keys"])))


def build_empty_model(
    settings: ModelSettings, task: Task, *, label_names: Sequence[str] | None = None
) -> PreTrainedModel:
    """The model's layers on the meta device: names and shapes, no weights read and no memory used.

    Raises:
        ModelError: as `load_model`.
    """
    config = configured_for(load_config(settings), task, settings, label_names)
    with _explained(settings), torch.device("meta"):
        trusted = may_run_code(settings.name_or_path, settings.revision)
        model: PreTrainedModel = _auto_class(config, task).from_config(config, trust_remote_code=trusted)
    return model


def configured_for(
    config: transformers.PretrainedConfig, task: Task, settings: ModelSettings, label_names: Sequence[str] | None
) -> transformers.PretrainedConfig:
    """The configuration with the head's outputs set for the task.

    Raises:
        ModelError: an encoder asked to generate, or a router loss for a model without routers.
    """
    check_task(config, task, settings)
    set_router_loss(config, task, settings)
    if task == "classification":
        names = list(label_names or ())
        config.num_labels = len(names)
        config.id2label = dict(enumerate(names))
        config.label2id = {name: index for index, name in enumerate(names)}
        config.problem_type = "single_label_classification"
    elif task == "regression":
        config.num_labels, config.problem_type = 1, "regression"
    return config


def set_router_loss(config: transformers.PretrainedConfig, task: Task, settings: ModelSettings) -> None:
    """Turn the load-balancing loss of a mixture of experts on or off as the settings say.

    Raises:
        ModelError: for a model that computes none.
    """
    weight = settings.router_aux_loss_coef
    if weight is None:
        return
    text = config.get_text_config()
    if "router_aux_loss_coef" not in text.to_dict():
        what = f"'{config.model_type}' has no load-balancing loss that could be weighed"
        raise ModelError.at("model.router_aux_loss_coef", what, "leave it out")
    if weight and task != "generation":
        what = f"transformers computes the load-balancing loss with a language-model head only, not for {task}"
        raise ModelError.at("model.router_aux_loss_coef", what, "leave it out")
    text.output_router_logits, text.router_aux_loss_coef = weight > 0, weight


def check_task(config: transformers.PretrainedConfig, task: Task, settings: ModelSettings) -> None:
    """Refuse to generate with a model that was only ever an encoder.

    Raises:
        ModelError: when every architecture in the configuration is an encoder's.
    """
    architectures = config.architectures or []
    encoder_only = bool(architectures) and all(
        name.endswith(("ForMaskedLM", "ForSequenceClassification", "ForPreTraining")) for name in architectures
    )
    if task == "generation" and encoder_only and not config.is_encoder_decoder:
        what = f"'{settings.name_or_path}' is an encoder ({architectures[0]}) and cannot generate text"
        raise ModelError.at("model.name_or_path", what, "use a decoder such as Llama, or task: classification")


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: ModelSettings) -> None:
    """Refuse a tokenizer that can produce ids the embedding does not have.

    Raises:
        ModelError: names both sizes.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        what = f"the tokenizer has {len(tokenizer)} ids, the model {rows} embeddings"
        raise ModelError.at(
            "model.tokenizer", what, f"is it the wrong tokenizer for {settings.name_or_path}? leave it out"
        )


def check_finite(model: PreTrainedModel, settings: ModelSettings) -> None:
    """Refuse weights that are not numbers: no file format checks that, and no training heals it.

    Raises:
        ModelError: names the tensors.
    """
    # Packed weights are tensors of a kind of their own, made from what was read.
    plain = ((name, p.detach()) for name, p in model.named_parameters() if type(p.detach()) is torch.Tensor)
    pieces = ((name, piece) for name, tensor in plain for piece in tensor.reshape(-1).split(1 << 24))
    bad = dict.fromkeys(name for name, piece in pieces if piece.is_floating_point() and not piece.isfinite().all())
    if bad:
        what = f"{len(bad)} tensors of '{settings.name_or_path}' hold NaN or inf (first {next(iter(bad))})"
        raise ModelError.at("model.name_or_path", what, "download it again, or use another revision")


def max_positions(config: transformers.PretrainedConfig) -> int | None:
    """How many tokens the position embedding holds; None where there is no such limit (T5).

    Raises:
        ModelError: the padding id lies beyond them.
    """
    values = config.to_dict()
    positions = values.get("max_position_embeddings") or values.get("n_positions")
    if positions is None or config.model_type == "t5":
        return None
    # RoBERTa's family counts positions from padding_idx + 1.
    offset = config.pad_token_id + 1 if config.model_type in _OFFSET_POSITIONS else 0
    if offset >= positions:
        what = f"config.json says pad_token_id {config.pad_token_id}, which leaves none of its {positions} positions"
        raise ModelError.at("model.name_or_path", what, "correct it to the id of the padding token")
    return int(positions) - int(offset)


_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "roberta-prelayernorm", "longformer"}


def _auto_class(config: transformers.PretrainedConfig, task: Task) -> Any:
    if task != "generation":
        return transformers.AutoModelForSequenceClassification
    if config.is_encoder_decoder:
        return transformers.AutoModelForSeq2SeqLM
    return transformers.AutoModelForCausalLM


def _guarded(settings: ModelSettings) -> dict[str, Any]:
    """What every reading of weights asks for: this revision and format, no pickle and no code unless allowed."""
    return {
        "revision": settings.revision,
        "dtype": settings.dtype,
        "output_loading_info": True,
        "use_safetensors": None if may_unpickle(settings.name_or_path) else True,
        "trust_remote_code": may_run_code(settings.name_or_path, settings.revision),
    }


@contextmanager
def _explained(settings: ModelSettings) -> Iterator[None]:
    try:
        yield
    except (BaloraError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a stranger's file can make the libraries raise anything
        raise explain_load_failure("model.name_or_path", settings.name_or_path, error) from error


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No load report on stderr: what is fresh is returned, and the caller says it in its own words."""
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(verbosity)
