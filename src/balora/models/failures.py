"""Why a model or tokenizer could not be loaded, in one line."""

from __future__ import annotations

import os

from balora.errors import ModelError, causes, is_out_of_memory
from balora.models.trust import PICKLE_VARIABLE, how_to_trust
from balora.paths import user_path


def explain_load_failure(key: str, name: str, error: Exception) -> ModelError:
    """Turn transformers' long messages into where, what and fix.

    Args:
        key: the recipe key that names the model.
        name: the hub id or folder that was asked for.
        error: what transformers raised; where it ran out of memory, nothing is wrong with the model, and it is raised.
    """
    if any(is_out_of_memory(cause) for cause in causes(error)):
        raise error
    text = str(error)
    if "trust_remote_code" in text:
        what = f"'{name}' needs code of its own to load, and balora runs no code that comes with a model"
        return ModelError.at(key, what, how_to_trust(name))
    if user_path(name).is_dir():
        return ModelError.at(key, f"the folder '{name}' cannot be loaded: {_first_line(text)}", "check its files")
    if "safetensors" in text and "does not appear to have" in text:
        fix = f"choose another revision; if you trust its pickled weights, set {PICKLE_VARIABLE}={name}"
        return ModelError.at(key, f"'{name}' holds no safetensors weights", fix)
    if _looks_like_a_path(name):
        return ModelError.at(key, f"the folder '{name}' does not exist", "check the spelling, or give a hub id")
    if "gated" in text.lower() or "401" in text or "403" in text:
        fix = "accept its licence on the hub and set HF_TOKEN"
        return ModelError.at(key, f"'{name}' is gated or private", fix)
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        fix = "unset HF_HUB_OFFLINE to download it, or give a local folder"
        return ModelError.at(key, f"'{name}' is no local folder, not in the cache, and the hub is switched off", fix)
    if "connect" in text.lower() or "resolve" in text.lower() or "offline" in text.lower():
        return ModelError.at(key, f"'{name}' is no local folder and the hub cannot be reached", "give a local folder")
    return ModelError.at(key, f"'{name}' cannot be loaded: {_first_line(text)}", "check the hub id and the revision")


def _looks_like_a_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:300] if lines else "no reason given"
