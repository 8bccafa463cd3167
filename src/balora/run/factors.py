"""A recipe's PiSSA factors, computed before its run and without its model in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from balora.adapters import FactorCache, Streamed, stream_factors
from balora.cache import cache_folder
from balora.errors import RecipeError
from balora.models import build_empty_model
from balora.recipe import Recipe


@dataclass(frozen=True, slots=True)
class CachedFactors:
    """What is in the cache now."""

    folder: Path
    computed: int
    """Layers computed now."""
    known: int
    """Layers that were there already."""


def cache_factors(recipe: Recipe, on_layer: Callable[[Streamed], None] | None = None) -> CachedFactors:
    """Compute the factors that a recipe's run starts from, one weight at a time, on a GPU where there is one.

    Args:
        recipe: its model is named by `model.name_or_path`; no data are read.
        on_layer: told of every layer as it is done.

    Raises:
        RecipeError: the run would start from factors of quantized weights, which only the run has.
        ModelError: the checkpoint, its files or the method do not fit.
    """
    quantized = recipe.model.quantization is not None
    if quantized and recipe.adapter.quantized_start == "anchor":
        what = "the factors are those of the quantized weights, which are in memory only while a run loads them"
        raise RecipeError.at("adapter.quantized_start", what, "set adapter.svd_cache: true and train, or use residual")
    names = ["0", "1"] if recipe.task == "classification" else None
    empty = build_empty_model(recipe.model, recipe.task, label_names=names)
    wanted = None if recipe.model.dtype == "auto" or quantized else getattr(torch, recipe.model.dtype)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cache = FactorCache(cache_folder() / "factors")
    for layer in stream_factors(empty, recipe.adapter, cache, device=device, dtype=wanted):
        if on_layer is not None:
            on_layer(layer)
    return CachedFactors(folder=cache.folder, computed=cache.misses, known=cache.hits)
