"""PiSSA's factors of a model that is not in memory: computed from its checkpoint one weight at a time, and cached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from balora.adapters.attach import check_targets
from balora.adapters.checkpoint_weights import CheckpointWeights
from balora.adapters.factor_cache import FactorCache
from balora.adapters.factors import layer_seed
from balora.adapters.quantized import stored_transposed
from balora.adapters.settings import AdapterConfig
from balora.errors import ModelError

_IN_PEFT = "base_model.model."
"""What PEFT puts before a layer's name, which is part of a layer's seed."""


class Streamed(NamedTuple):
    """One layer whose factors are in the cache now."""

    name: str
    """The layer's name in the model."""
    known: bool
    """Whether they were there already."""


def stream_factors(
    empty: PreTrainedModel,
    config: AdapterConfig,
    cache: FactorCache,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> Iterator[Streamed]:
    """Fill the factor cache for a model, layer by layer; the model's weights are never all in memory.

    A later run with `svd_cache: true` finds its factors there: on a float model under the same `dtype`, and on a
    quantized one that starts at the residual, with `dtype` left out.

    Args:
        empty: the model without weights, on the meta device, with `name_or_path` set.
        config: method, targets, rank and SVD.
        cache: where factors are kept.
        device: where they are computed.
        dtype: the number format that a run loads the weights in; left out, the checkpoint's.

    Yields:
        The layers, as they are done.

    Raises:
        ModelError: the method has no principal factors, or the checkpoint lacks a layer.
    """
    if config.method != "pissa":
        what = f"{config.method} does not start at principal factors"
        raise ModelError.at("adapter.method", what, "write adapter.method: pissa")
    weights = CheckpointWeights.of(empty)
    for name in check_targets(empty, config):
        weight = weights.read(name, transposed=stored_transposed(empty.get_submodule(name)))
        found = cache.hits
        cache(
            weight.to(device=device, dtype=dtype),
            config.r,
            scaling=config.scaling_alpha / config.r,
            svd=config.svd,
            iterations=config.svd_iterations,
            seed=layer_seed(config.seed, f"{_IN_PEFT}{name}"),
        )
        # Before the next one is read.
        del weight
        yield Streamed(name, known=cache.hits > found)
