"""The loss that keeps the experts of a mixture evenly used, where the model's configuration asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor
from transformers import PreTrainedModel


class RouterLoss(NamedTuple):
    """The load-balancing loss of one forward and its weight."""

    value: Tensor
    """Scalar; about 1 per chosen expert where all are used alike."""
    weight: float
    """`router_aux_loss_coef` of the model's configuration."""


def router_loss(base: PreTrainedModel, outputs: Mapping[str, Any]) -> RouterLoss | None:
    """What the model's own loss would add for its routers; None where it would add nothing.

    transformers adds it inside the model's loss, which is not used here, if `output_router_logits` is set. Sources:
    Fedus et al., arXiv 2101.03961, equations 4-6; transformers' `load_balancing_loss_func`.

    Args:
        base: the transformers model inside.
        outputs: what its forward returned.
    """
    value = outputs.get("aux_loss")
    weight = float(base.config.get_text_config().to_dict().get("router_aux_loss_coef") or 0.0)
    return RouterLoss(value, weight) if isinstance(value, Tensor) and weight else None
