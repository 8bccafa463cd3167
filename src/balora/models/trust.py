"""What a stranger's model folder may make us do: nothing but give numbers, unless the user says so for this run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING
from safetensors import SafetensorError, safe_open
from transformers.utils import cached_file

from balora.errors import ModelError, Problem
from balora.models.adapter_config import config_problems
from balora.paths import user_path
from balora.strict_json import read_json

REMOTE_CODE_VARIABLE = "BALORA_TRUST_REMOTE_CODE"
"""Environment variable that names the one model whose code may run: a folder, or `hub id@commit`."""
PICKLE_VARIABLE = "BALORA_ALLOW_PICKLE"
"""Environment variable that names the one model whose pickled weights may be opened: a folder or a hub id."""

LARGEST_CONFIG_BYTES = 16 << 20
MOST_LAYERS = 10_000
WIDEST_LAYER = 1 << 20
LARGEST_VOCABULARY = 1 << 24
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")
_LAYERS = re.compile(r"(?:^|_)(?:n_?layers?|num_(?:hidden_|decoder_|encoder_)?layers|(?:en|de)coder_layers)$")
_EXPERTS = re.compile(r"(?:^|_)(?:num_(?:local_)?experts|n_routed_experts)$")
_WIDTHS = re.compile(r"(?:^|_)(?:hidden_size|intermediate_size|d_model|d_ff|n_embd|head_dim|ffn_dim)$")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")
_NO_WEIGHTS = {"training_args.bin", "optimizer.pt", "scheduler.pt", "scaler.pt"}
_INDEX = "model.safetensors.index.json"


def may_run_code(name: str, revision: str | None) -> bool:
    """Whether the user has named this model, and for one of the hub this very commit, as one whose code may run.

    >>> may_run_code("someone/model", None)
    False
    """
    asked = os.environ.get(REMOTE_CODE_VARIABLE, "")
    if user_path(name).is_dir():
        return asked == name
    return revision is not None and _COMMIT.fullmatch(revision) is not None and asked == f"{name}@{revision}"


def may_unpickle(name: str) -> bool:
    """Whether the user has named this model as one whose pickled weights may be opened."""
    return os.environ.get(PICKLE_VARIABLE, "") == name


def how_to_trust(name: str) -> str:
    """What to type when the code of a model is wanted."""
    what = name if user_path(name).is_dir() else f"{name}@<commit>"
    also = "" if what == name else ", with model.revision set to that commit"
    return f"read its code, then run with {REMOTE_CODE_VARIABLE}={what} in the environment{also}; it runs as you"


def check_files(key: str, name: str, revision: str | None = None) -> None:
    """Refuse a model whose files lead anywhere but to numbers, before any of its weights is opened.

    Args:
        key: the recipe key that names the model.
        name: hub id or folder.
        revision: branch, tag or commit on the hub.

    Raises:
        ModelError: naming file and field.
    """
    problems = [*_config_problems(key, name, revision), *_index_problems(key, name, revision)]
    if not problems and user_path(name).is_dir() and not may_unpickle(name):
        problems = list(_weight_problems(key, user_path(name)))
    if problems:
        raise ModelError(problems)


def check_adapter(folder: Path) -> None:
    """Refuse an adapter whose configuration names code to import, may never end, or is of other types than PEFT's.

    Raises:
        ModelError: naming file, field, what was found and what was expected, all at once.
    """
    config = _read(folder / "adapter_config.json")
    where = folder / "adapter_config.json"
    if config is None:
        raise ModelError.at(where, "is no JSON object", "save the adapter again")
    for field in ("megatron_config", "auto_mapping"):
        value = config.get(field)
        if field == "auto_mapping" and isinstance(value, Mapping):
            value = not str(value.get("parent_library", "transformers")).startswith(("transformers", "peft"))
        if value:
            raise ModelError.at(where, f"'{field}' names code to import", "take it out, and save the adapter again")
    if problems := list(config_problems(where, config)):
        raise ModelError(problems)
    _check_kind(folder, config)
    if not (folder / "adapter_model.safetensors").is_file():
        pickled = sorted(path.name for path in folder.glob("adapter_model.*") if path.suffix in _PICKLED)
        if pickled:
            what = f"holds pickled weights ({pickled[0]}), which can run code when they are opened"
            raise ModelError.at(folder, what, "convert them to safetensors where you trust them")


def _check_kind(folder: Path, config: Mapping[str, Any]) -> None:
    """Factors of LoRA belong to a kind of adapter that reads them."""
    kind, file = config.get("peft_type"), folder / "adapter_model.safetensors"
    prefix = next((prefix for known, prefix in PEFT_TYPE_TO_PREFIX_MAPPING.items() if known.value == kind), "")
    if not file.is_file():
        return
    try:
        with safe_open(file, framework="pt") as weights:
            factors = next((name for name in weights.keys() if ".lora_A." in name), None)  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        said = " ".join(str(error).split())[:120]
        what = f"is no whole safetensors file ({said})"
        raise ModelError.at(file, what, "save or copy the adapter again") from None
    if factors is not None and kind is not None and prefix != "lora_":
        what = f"'peft_type' is {kind!r}, but adapter_model.safetensors holds '{factors}', expected LORA"
        raise ModelError.at(folder / "adapter_config.json", what, "save or copy the adapter again")


def _config_problems(key: str, name: str, revision: str | None) -> Iterator[Problem]:
    for file in ("config.json", "tokenizer_config.json", "generation_config.json"):
        path = _file(name, file, revision)
        if path is None:
            continue
        if path.stat().st_size > LARGEST_CONFIG_BYTES:
            yield Problem(key, f"{file} of '{name}' is larger than {LARGEST_CONFIG_BYTES >> 20} MiB", "check the file")
            continue
        values = _read(path)
        if values is None:
            yield Problem(key, f"{file} of '{name}' is no JSON object", "download it again")
            continue
        for field, value in _fields(values):
            what = _objection(field, value)
            if what and not may_run_code(name, revision):
                yield Problem(key, f"{file} of '{name}': {what}", "use another model")


def _objection(field: str, value: Any) -> str:
    """What is wrong with one field of a configuration; empty where nothing is."""
    last = field.rpartition(".")[2]
    if "_implementation" in field and isinstance(value, str) and not value.isidentifier():
        return f"'{field}' names code to download ({value[:80]!r})"
    if last in {"custom_generate", "custom_pipelines"} and value:
        return f"'{field}' names code to run"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if _LAYERS.search(last) and not 0 <= value <= MOST_LAYERS:
        return f"'{field}' is {value}, which no model has"
    if (_WIDTHS.search(last) or _EXPERTS.search(last)) and not 0 <= value <= WIDEST_LAYER:
        return f"'{field}' is {value}, which no model has"
    if last == "vocab_size" and not 0 <= value <= LARGEST_VOCABULARY:
        return f"'{field}' is {value}, which no model has"
    return ""


def _fields(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every value below an object with the names that lead to it; those of label tables are left out."""
    if isinstance(value, Mapping) and depth < 6:
        for key, part in value.items():
            if key not in ("id2label", "label2id", "added_tokens_decoder"):
                yield from _fields(part, f"{path}.{key}" if path else str(key), depth + 1)
    if path:
        yield path, value


def _index_problems(key: str, name: str, revision: str | None) -> Iterator[Problem]:
    """An index of shards may name only safetensors files beside itself."""
    path = _file(name, _INDEX, revision)
    if path is None:
        return
    values = _read(path)
    shards = values.get("weight_map") if values is not None else None
    if not isinstance(shards, Mapping):
        yield Problem(key, f"{_INDEX} of '{name}' has no 'weight_map'", "download it again")
        return
    for shard in sorted({str(shard) for shard in shards.values()}):
        if not (_PLAIN_NAME.fullmatch(shard) and shard.endswith(".safetensors")):
            what = f"{_INDEX} of '{name}' names {shard[:80]!r}, which is no safetensors file beside it"
            yield Problem(key, what, "use another model")
            return


def _weight_problems(key: str, folder: Path) -> Iterator[Problem]:
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    if any(name.endswith(".safetensors") for name in names):
        return
    pickled = [name for name in names if name.endswith(_PICKLED) and name not in _NO_WEIGHTS]
    if pickled and "config.json" in names:
        what = f"the folder '{folder}' holds pickled weights alone ({pickled[0]}), which can run code when opened"
        trusted = f"run with {PICKLE_VARIABLE}={folder} in the environment"
        fix = f"convert them to safetensors, or, if you trust them, {trusted}"
        yield Problem(key, what, fix)


def _file(name: str, file: str, revision: str | None) -> Path | None:
    """A file of a model, in its folder or in the cache of the hub; None where it has none or cannot be reached."""
    folder = user_path(name)
    if folder.is_dir():
        return folder / file if (folder / file).is_file() else None
    try:
        found = cached_file(
            name,
            file,
            revision=revision,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
            _raise_exceptions_for_gated_repo=False,
        )
    except (OSError, ValueError):
        return None
    return Path(found) if found else None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        values = read_json(path)
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None
