"""`prepare_model`: adapt a pretrained model and prove at once that its reference is intact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peft import LoraConfig, PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from balora.adapters import (
    AdaptedModel,
    AdapterConfig,
    Calibration,
    adapter_config_from_peft,
    adapters_off,
    attach_adapter,
    find_method,
    steady_quantized_layers,
)
from balora.errors import ModelError
from balora.task import Task
from balora.teacher import check_agreement, probe_inputs, probe_logits
from balora.teacher.self_check import allowed_gap


def prepare_model(
    model: PreTrainedModel,
    adapter_config: AdapterConfig | LoraConfig | None = None,
    *,
    task: Task | None = None,
    fresh_parameters: Sequence[str] | None = None,
    calibration: Calibration | None = None,
    self_check: bool = True,
    self_check_tolerance: float | None = None,
) -> PreTrainedModel | AdaptedModel:
    """Adapt a pretrained model for BA-LoRA training.

    The base weights stay bitwise as they are, for every method. Before it returns, the adapted model with adapters off
    and the student at step 0 are compared with the pretrained model on a small batch of random tokens.

    Args:
        model: a transformers model, with its head for classification and regression.
        adapter_config: method, rank, targets; PiSSA of rank 8 on all linear layers where left out. A
            `peft.LoraConfig` is translated (`adapter_config_from_peft`).
        task: what the model is for; read off the model when left out.
        fresh_parameters: names that the checkpoint did not hold; their modules are trained and saved in full. They are
            `info["missing_keys"]` of `from_pretrained(..., output_loading_info=True)`. Where they are left out, a
            body's pooler whose bias is exactly 0 counts as fresh for classification and regression.
        calibration: the sample that corda, corda++, lora_ga and eva start from; the other methods need none.
        self_check: compare student, teacher and pretrained model.
        self_check_tolerance: largest allowed gap relative to the largest logit; by number format where left out.

    Returns:
        A `peft.PeftModel` to hand to `BALoraTrainer`; for bitfit, houlsby, pfeiffer and full the model itself. Other
        trainers train and save it too, without the regularizers; a checkpoint of an anchored model (pissa, milora,
        olora, corda, corda++, lora_ga) is plain LoRA of twice the rank, so only `BALoraTrainer` can resume from one.

    Raises:
        ModelError: the model has no head that can be trained here, or a setting does not fit it.
        SelfCheckError: with the measured gap.

    Example:
        >>> from transformers import AutoModelForCausalLM  # doctest: +SKIP
        >>> base = AutoModelForCausalLM.from_pretrained("my-model")  # doctest: +SKIP
        >>> model = prepare_model(base, AdapterConfig(method="pissa", r=16))  # doctest: +SKIP
    """
    check_model(model, task)
    config = adapter_config or AdapterConfig()
    if isinstance(config, LoraConfig):
        config = adapter_config_from_peft(config)
    if not (self_check and find_method(config.method).keeps_base):
        return attach_adapter(model, config, task, fresh_parameters=fresh_parameters, calibration=calibration)
    dtype = next(model.parameters()).dtype
    steady_quantized_layers(model)
    inputs = probe_inputs(model)
    base = _logits_of_base(model, inputs)
    adapted = attach_adapter(model, config, task, fresh_parameters=fresh_parameters, calibration=calibration)
    student = probe_logits(adapted, inputs)
    with adapters_off(adapted):
        teacher = probe_logits(adapted, inputs)
    # A quantized residual is nearer to the full-precision model than the base was; folding rounds 16 bits once more.
    moved = config.quantized_start == "residual" or (config.fold_anchor and dtype.itemsize < 4)
    tolerance = self_check_tolerance or _tolerance(base, teacher)
    check_agreement(student=student, teacher=teacher, base=None if moved else base, dtype=dtype, tolerance=tolerance)
    return adapted


def _tolerance(base: Tensor, teacher: Tensor) -> float | None:
    """How far the teacher may be from the pretrained model; None: as the weights' number format has it."""
    if teacher.dtype.itemsize > base.dtype.itemsize:
        # The head was turned to float32: what is left of the gap is the base's own rounding in every layer of its head.
        return 2 * allowed_gap(base.dtype)
    return None


def _logits_of_base(model: PreTrainedModel, inputs: dict[str, Any]) -> Tensor:
    """The pretrained model's logits.

    Raises:
        ModelError: it cannot run in the number formats that it was loaded in.
    """
    try:
        return probe_logits(model, inputs)
    except RuntimeError as error:
        if "dtype" not in str(error):
            raise
        what = f"the pretrained model does not run in {model.dtype} ({' '.join(str(error).split())[:200]})"
        raise ModelError.at("model.dtype", what, "load it in float32") from error


def check_model(model: object, task: Task | None) -> None:
    """Refuse what cannot be trained here before anything is attached to it.

    Raises:
        ModelError: for a name or path, a model with an adapter, and a model without a sequence-classification or
            language-model head, or with the other one than the task needs.
    """
    if isinstance(model, str):
        fix = "load it first, with transformers' AutoModelForCausalLM or AutoModelForSequenceClassification"
        raise ModelError.at("model", f"'{model}' is a name, not a model", fix)
    if isinstance(model, PeftModel):
        raise ModelError.at("model", "it has an adapter already", "pass the pretrained model, without get_peft_model")
    if not isinstance(model, PreTrainedModel):
        raise ModelError.at("model", f"{type(model).__name__} is no transformers model", "pass a PreTrainedModel")
    name = type(model).__name__
    classifies = name.endswith("ForSequenceClassification")
    generates = model.can_generate() or name.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration"))
    classifier = "load it with AutoModelForSequenceClassification"
    generator = "load it with AutoModelForCausalLM or AutoModelForSeq2SeqLM"
    if not classifies and not generates:
        what = f"{name} has neither a sequence-classification nor a language-model head"
        raise ModelError.at(
            "model", what, f"for classification and regression {classifier}, for generation {generator}"
        )
    if task is not None and (task == "generation") == classifies:
        what = f"{name} does not fit task {task}"
        raise ModelError.at("model", what, generator if classifies else classifier)
