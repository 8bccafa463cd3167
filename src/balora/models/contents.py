"""What the weight files of a model hold, read from their headers: no tensor is loaded."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel
from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING, AutoHfQuantizer

from balora.errors import Problem
from balora.models.settings import ModelSettings
from balora.paths import user_path
from balora.strict_json import read_json

_KEY = "model.name_or_path"
_WHOLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_OLDER = "pytorch_model*.bin"
_DOWNLOAD = "download or save the model again"
SHOWN = 3


def weight_problems(settings: ModelSettings, empty: PreTrainedModel) -> list[Problem]:
    """What keeps the files of a model from becoming this model.

    Files that are missing, cut short or of another kind, and tensors of other shapes. A model of the hub that is not
    in the cache yet, and weights in an older format, are not looked into.

    Args:
        settings: which model.
        empty: the model that is to be filled; it may be on the meta device.
    """
    files = weight_files(settings)
    if isinstance(files, Problem):
        return [files]
    shapes: dict[str, tuple[int, ...]] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            shapes |= _shapes(file)
        except (SafetensorError, OSError, ValueError) as error:
            said = " ".join(str(error).split())[:120]
            problems.append(Problem(_KEY, f"'{file}' is no whole safetensors file ({said})", _DOWNLOAD))
    quantized = empty.config.to_dict().get("quantization_config")
    if quantized:
        return [*problems, *_quantization_problems(settings.name_or_path, quantized)]
    if problems or not shapes:
        return problems
    return list(_compared(settings.name_or_path, shapes, empty))


def _quantization_problems(name: str, given: Any) -> Iterator[Problem]:
    """A checkpoint that was saved quantized is read by a package of its own."""
    what = f"the weights of '{name}' are quantized in a way that cannot be read"
    fix = "install what it needs, or use the model without quantization"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            method = given.get("quant_method") or ("bitsandbytes" if _is_of_bits(given) else None)
            known = method in AUTO_QUANTIZER_MAPPING or _is_of_bits(given)
            said = "" if known else f"quant_method is {str(method)[:80]!r}"
            if known:
                AutoHfQuantizer.from_config(given, pre_quantized=True).validate_environment(device_map=None)
    except Exception as error:  # each package says in its own way that it is not there
        said = " ".join(str(error).split())[:160] or type(error).__name__
    if said:
        yield Problem(_KEY, f"{what} ({said})", fix)


def _is_of_bits(given: Mapping[str, Any]) -> bool:
    return bool(given.get("load_in_8bit") or given.get("load_in_4bit"))


def weight_files(settings: ModelSettings) -> list[Path] | Problem:
    """The safetensors files of a model that are on this machine, or why there are none."""
    folder = user_path(settings.name_or_path)
    if not folder.is_dir():
        found = (_cached(settings, name) for name in (_WHOLE, _INDEX))
        path = next((path for path in found if path is not None), None)
        if path is None:
            return []
        return [path] if path.name == _WHOLE else [file for file in _shards(path) if file.is_file()]
    if (folder / _WHOLE).is_file():
        return [folder / _WHOLE]
    if (folder / _INDEX).is_file():
        shards = _shards(folder / _INDEX)
        missing = [file.name for file in shards if not file.is_file()]
        if not shards:
            return Problem(_KEY, f"'{folder / _INDEX}' names no weight files", _DOWNLOAD)
        if missing:
            listed = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
            return Problem(_KEY, f"{len(missing)} of {len(shards)} weight files are missing ({listed})", _DOWNLOAD)
        return shards
    if any(folder.glob(_OLDER)):
        return []
    return Problem(_KEY, f"the folder '{folder}' holds no weights ({_WHOLE})", "name the folder of the whole model")


def _cached(settings: ModelSettings, name: str) -> Path | None:
    try:
        found = try_to_load_from_cache(settings.name_or_path, name, revision=settings.revision)
    except (OSError, ValueError):
        return None
    return Path(found) if isinstance(found, str) else None


def _shards(index: Path) -> list[Path]:
    try:
        names = read_json(index)["weight_map"].values()
        return [index.parent / name for name in sorted(set(names))]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return []


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    with safe_open(file, framework="pt") as weights:
        return {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118


def _compared(name: str, shapes: Mapping[str, tuple[int, ...]], empty: PreTrainedModel) -> Iterator[Problem]:
    wanted = {key: tuple(tensor.shape) for key, tensor in empty.state_dict(keep_vars=True).items()}
    prefix = f"{empty.base_model_prefix}."
    pairs = [(key, found, own) for key, found in shapes.items() if (own := _own_name(key, prefix, wanted)) is not None]
    if not pairs:
        listed = ", ".join(sorted(shapes)[:SHOWN])
        what = f"'{name}' holds no weight of a {empty.config.model_type} model (it holds {listed}, ...)"
        yield Problem(_KEY, what, "its config.json belongs to another model")
    yield from _missing(name, shapes, [(key, own) for key, _, own in pairs], empty)
    other = [(key, found, own) for key, found, own in pairs if found != wanted[own]]
    fix = _way_out([own for _, _, own in other], prefix, empty)
    for key, found, own in other[:SHOWN]:
        what = f"'{key}' of '{name}' is {_side(found)}, but {_side(wanted[own])} is needed"
        yield Problem(_KEY, what, fix)


def _missing(
    name: str, shapes: Mapping[str, tuple[int, ...]], pairs: Sequence[tuple[str, str]], empty: PreTrainedModel
) -> Iterator[Problem]:
    """Weights of the repeated blocks that no file holds.

    Only where every tensor of the files has a place in the model: else some are renamed while they are loaded.
    """
    if len(pairs) < len(shapes):
        return
    given = {own for _, own in pairs}
    shared: dict[int, list[str]] = {}
    for own, parameter in empty.named_parameters(remove_duplicate=False):
        shared.setdefault(id(parameter), []).append(own)
    gone = [names[0] for names in shared.values() if not given & set(names)]
    in_blocks = [own for own in gone if any(part.isdigit() for part in own.split("."))]
    if in_blocks:
        listed = ", ".join(in_blocks[:SHOWN]) + (", ..." if len(in_blocks) > SHOWN else "")
        what = f"'{name}' lacks {len(in_blocks)} weights of its blocks ({listed}), which would start at random"
        yield Problem(_KEY, what, _DOWNLOAD)


def _own_name(key: str, prefix: str, wanted: Mapping[str, tuple[int, ...]]) -> str | None:
    """The model's name for a tensor: with or without the prefix of the body, as checkpoints differ in that."""
    return next((name for name in (key, prefix + key, key.removeprefix(prefix)) if name in wanted), None)


def _way_out(names: Sequence[str], prefix: str, empty: PreTrainedModel) -> str:
    if empty.base_model is not empty and not any(name.startswith(prefix) for name in names):
        return "use a model without a head, or data with as many classes as its head"
    return "its config.json does not belong to these weights"


def _side(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a single number"
