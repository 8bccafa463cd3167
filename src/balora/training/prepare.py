"""`prepare_model`: adapt a pretrained model and prove at once that its reference is intact."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedModel

from balora.adapters import AdaptedModel, AdapterConfig, adapters_off, attach_adapter, find_method
from balora.task import Task
from balora.teacher import check_agreement, probe_inputs, probe_logits


def prepare_model(
    model: PreTrainedModel,
    adapter_config: AdapterConfig | None = None,
    *,
    task: Task | None = None,
    fresh_parameters: Sequence[str] | None = None,
    self_check: bool = True,
    self_check_tolerance: float | None = None,
) -> PreTrainedModel | AdaptedModel:
    """Adapt a pretrained model for BA-LoRA training.

    The base weights stay bitwise as they are, for every method. Before it returns, the adapted model with adapters off
    and the student at step 0 are compared with the pretrained model on a small batch of random tokens.

    Args:
        model: a transformers model, with its head for classification and regression.
        adapter_config: method, rank, targets; PiSSA of rank 8 on all linear layers where left out.
        task: what the model is for; read off the model when left out.
        fresh_parameters: names that the checkpoint did not hold; their modules are trained and saved in full. They are
            `info["missing_keys"]` of `from_pretrained(..., output_loading_info=True)`. Where they are left out, a
            body's pooler whose bias is exactly 0 counts as fresh for classification and regression.
        self_check: compare student, teacher and pretrained model.
        self_check_tolerance: largest allowed gap relative to the largest logit; by number format where left out.

    Returns:
        A `peft.PeftModel` to hand to `BALoraTrainer` (or any trainer); for method `full` the model itself.

    Raises:
        ModelError: a setting does not fit the model.
        SelfCheckError: with the measured gap.

    Example:
        >>> from transformers import AutoModelForCausalLM  # doctest: +SKIP
        >>> base = AutoModelForCausalLM.from_pretrained("my-model")  # doctest: +SKIP
        >>> model = prepare_model(base, AdapterConfig(method="pissa", r=16))  # doctest: +SKIP
    """
    config = adapter_config or AdapterConfig()
    low_rank = find_method(config.method).low_rank
    if not (self_check and low_rank):
        return attach_adapter(model, config, task, fresh_parameters=fresh_parameters)
    dtype = next(model.parameters()).dtype
    inputs = probe_inputs(model)
    base = probe_logits(model, inputs)
    adapted = attach_adapter(model, config, task, fresh_parameters=fresh_parameters)
    student = probe_logits(adapted, inputs)
    with adapters_off(adapted):
        teacher = probe_logits(adapted, inputs)
    check_agreement(student=student, teacher=teacher, base=base, dtype=dtype, tolerance=self_check_tolerance)
    return adapted
