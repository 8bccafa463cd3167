"""The weights of a checkpoint on disk, one tensor at a time: what a quantized or not yet loaded model was made from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file
from transformers.utils.hub import get_checkpoint_shard_files

from balora.errors import ModelError

_KEY = "model.name_or_path"
_WRAPPERS = ("base_layer", "original_module")
"""Parts that PEFT puts into the names of wrapped modules."""


class CheckpointWeights:
    """Full-precision weights by layer name, read from safetensors files when asked for and not kept."""

    def __init__(self, origin: str, files: dict[str, Path], keys: dict[str, str]) -> None:
        """Use `of` instead.

        Args:
            origin: what messages call the checkpoint.
            files: checkpoint key -> the file that holds it.
            keys: parameter name in the model -> checkpoint key.
        """
        self.origin = origin
        self._files = files
        self._keys = keys

    @classmethod
    def of(cls, model: PreTrainedModel) -> CheckpointWeights:
        """The checkpoint that a model was loaded from, or would be for an empty one; adapters may be on it already.

        Names are translated by transformers' own rules for loading, tied weights included.

        Raises:
            ModelError: the model has no checkpoint, or one without safetensors files.
        """
        origin = model.name_or_path
        if not origin:
            raise ModelError.at(_KEY, "the model was not loaded from a checkpoint", "load it with from_pretrained")
        shards = safetensors_files(origin, model.config.to_dict().get("_commit_hash"))
        files: dict[str, Path] = {}
        try:
            for path in shards:
                with safe_open(path, framework="pt") as file:
                    files |= dict.fromkeys(file.keys(), path)
        except (OSError, SafetensorError) as error:
            raise ModelError.at(path, f"cannot be read: {error}", "download the checkpoint again") from error
        return cls(origin, files, names_in_model(model, files))

    def holds(self, layer: str) -> bool:
        """Whether the checkpoint has a weight for this layer of the model."""
        return f"{layer}.weight" in self._keys

    def read(self, layer: str, *, transposed: bool = False) -> Tensor:
        """A layer's weight as (out_features, in_features), in the checkpoint's number format, on the CPU.

        Args:
            layer: the layer's name in the model, without what PEFT adds to it.
            transposed: whether it is stored as (in_features, out_features).

        Raises:
            ModelError: it is not there, is damaged, or is quantized already.
        """
        key = self._keys.get(f"{layer}.weight")
        if key is None:
            raise ModelError.at(_KEY, f"the checkpoint of '{self.origin}' holds no weight for {layer}", _WHOLE)
        path = self._files[key]
        try:
            with safe_open(path, framework="pt") as file:
                weight: Tensor = file.get_tensor(key)
        except (OSError, SafetensorError) as error:
            raise ModelError.at(path, f"cannot be read: {error}", "download the checkpoint again") from error
        if not weight.is_floating_point() or weight.dim() != 2 or weight.dtype.itemsize < torch.float16.itemsize:
            what = f"{key} is {weight.dtype} of shape {tuple(weight.shape)}, no full-precision matrix"
            raise ModelError.at(_KEY, what, _WHOLE)
        return weight.T if transposed else weight


_WHOLE = "use the checkpoint that was not quantized, with safetensors files"


def safetensors_files(origin: str, revision: str | None = None) -> list[Path]:
    """The safetensors files of a checkpoint: one, or the shards that its index names.

    Raises:
        ModelError: there are none.
    """
    options = {"revision": revision, "_raise_exceptions_for_missing_entries": False}
    try:
        single = cached_file(origin, SAFE_WEIGHTS_NAME, **options)
        if single is not None:
            return [Path(single)]
        index = cached_file(origin, SAFE_WEIGHTS_INDEX_NAME, **options)
        if index is not None:
            shards, _ = get_checkpoint_shard_files(origin, index, revision=revision)
            return [Path(shard) for shard in shards]
    except (OSError, ValueError, KeyError) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelError.at(_KEY, f"the files of '{origin}' cannot be found: {said}", "download it first") from error
    what = f"'{origin}' has no safetensors files, which are read one tensor at a time"
    raise ModelError.at(_KEY, what, "save it again with transformers' save_pretrained")


def names_in_model(model: PreTrainedModel, keys: Iterable[str]) -> dict[str, str]:
    """Parameter name -> checkpoint key, for every key that is one parameter of the model.

    Several keys that transformers would merge into one parameter (fused experts) are left out.
    """
    known = {plain_name(name): parameter for name, parameter in model.named_parameters(remove_duplicate=False)}
    transforms = get_model_conversion_mapping(model)
    renamings = [part for part in transforms if isinstance(part, WeightRenaming)]
    converters = [part for part in transforms if isinstance(part, WeightConverter)]
    found: dict[str, str] = {}
    for key in keys:
        name, converter = rename_source_key(key, renamings, converters, model.base_model_prefix, known)
        if name not in known and key in known:
            name, converter = key, None
        if converter is None and name in known:
            found[name] = key
    for target, source in model.all_tied_weights_keys.items():
        if source in found:
            found.setdefault(target, found[source])
        elif target in found:
            found.setdefault(source, found[target])
    return found


def plain_name(name: str) -> str:
    """A parameter's or module's name in the model as it was before PEFT wrapped it.

    >>> plain_name("base_model.model.model.layers.0.mlp.up_proj.base_layer.weight")
    'model.layers.0.mlp.up_proj.weight'
    """
    parts = name.removeprefix("base_model.model.").split(".")
    return ".".join(part for part in parts if part not in _WRAPPERS)
