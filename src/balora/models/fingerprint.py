"""Which pretrained model this is, by what its files hold: the numbers of its weights, the fields of its configuration.

Every byte of every tensor counts, because no sample notices a base whose embeddings alone were tuned. SHA-256 takes
about 0.9 s per GB of one core where the processor has instructions for it (13 s for 14 GB), shared by threads; the
answer for a large file is kept in `BALORA_CACHE` under its path, size, times and inode. How tensors are spread over
files, and what else their headers say, does not count.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers
from transformers import PretrainedConfig

from balora.cache import cache_folder, computed_by_one
from balora.models.contents import weight_files
from balora.models.load import load_config
from balora.models.settings import ModelSettings
from balora.paths import user_path
from balora.strict_json import parse_json, read_json

LARGE_BYTES = 256 << 20
"""Files above are hashed once; below, reading an answer from a disk gains nothing."""
_HASH_DIGITS = 12
_NAMES_ONLY = frozenset(
    (
        *("_name_or_path", "_commit_hash", "transformers_version", "architectures", "auto_map", "use_cache"),
        *("id2label", "label2id", "num_labels", "problem_type", "dtype", "torch_dtype"),
    )
)
"""Entries of a configuration that do not change what the body computes."""
_MOST_THREADS = 8


@dataclass(frozen=True, slots=True)
class BaseFingerprint:
    """What tells one pretrained model from another of the same shape."""

    weights_sha256: str
    """Over name, number format, shape and bytes of every tensor; hex."""
    tensors: int
    """How many there are."""
    config: Mapping[str, Any]
    """The fields of its config.json, names and labels left out."""

    def as_document(self) -> dict[str, Any]:
        """For JSON."""
        return {"weights_sha256": self.weights_sha256, "tensors": self.tensors, "config": dict(self.config)}


def fingerprint_of(settings: ModelSettings) -> BaseFingerprint | None:
    """The fingerprint of a model whose files are on this machine; None for one that is still to be downloaded.

    Raises:
        ModelError: as `load_config`.
    """
    files = weight_files(settings)
    if not isinstance(files, list) or not files:
        files = _pickled(settings)
    if not files:
        return None
    try:
        tensors: dict[str, str] = {}
        for file in files:
            tensors |= _of_file(file)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # what is wrong with the files is for others to say
    return BaseFingerprint(_combined(tensors), len(tensors), _described(settings))


def contents_sha256(file: Path) -> str:
    """SHA-256 over name, number format, shape and bytes of every tensor in a safetensors file; hex.

    For a file above `LARGE_BYTES` the answer is kept until the file is touched.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no safetensors file.
    """
    try:
        return _combined(_of_file(file))
    except (KeyError, TypeError) as error:
        raise ValueError(f"'{file}' is no safetensors file ({error})") from error


def differences(before: Mapping[str, Any], now: BaseFingerprint) -> list[str]:
    """How a recorded fingerprint and one at hand differ; nothing where they are the same.

    Args:
        before: from `BaseFingerprint.as_document`; fields of a later format are not looked at.
        now: of the model at hand.
    """
    found = []
    one = str(before.get("weights_sha256"))
    if one != now.weights_sha256:
        found.append(f"SHA-256 of the weights {one[:_HASH_DIGITS]} then, {now.weights_sha256[:_HASH_DIGITS]} now")
    config = before.get("config")
    if isinstance(config, Mapping):
        then, today = _filled(config), _filled(now.config)
        keys = [key for key in today if key in then and key not in _NAMES_ONLY and then[key] != today[key]]
        found += [f"{key} {_brief(then[key])} then, {_brief(today[key])} now" for key in keys]
    return found


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _described(settings: ModelSettings) -> dict[str, Any]:
    load_config(settings)  # which refuses files that lead to code
    values, _ = PretrainedConfig.get_config_dict(settings.name_or_path, revision=settings.revision)
    return {key: value for key, value in values.items() if key not in _NAMES_ONLY}


def _filled(config: Mapping[str, Any]) -> dict[str, Any]:
    """With the defaults of the installed transformers, so that another release's defaults are no difference."""
    kind = config.get("model_type")
    values = {key: value for key, value in config.items() if key != "model_type"}
    with suppress(Exception):  # a kind that this release does not know: compare what was written
        made = transformers.AutoConfig.for_model(str(kind), **values)
        filled: dict[str, Any] = parse_json(made.to_json_string(use_diff=False))
        return filled
    return dict(config)


def _pickled(settings: ModelSettings) -> list[Path]:
    folder = user_path(settings.name_or_path)
    return sorted(folder.glob("pytorch_model*.bin")) if folder.is_dir() else []


def _combined(tensors: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name}:{value}\n".encode())
    return digest.hexdigest()


def _of_file(file: Path) -> dict[str, str]:
    """Tensor -> what it is; from the cache where the file is large and has not been touched since."""
    if file.stat().st_size < LARGE_BYTES:
        return dict(_hashed(file))
    state = file.stat()
    key = f"{file.resolve()}:{state.st_size}:{state.st_mtime_ns}:{state.st_ctime_ns}:{state.st_ino}:1"
    entry = cache_folder() / "fingerprints" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
    with computed_by_one(entry):
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept = read_json(entry)
            tensors: dict[str, str] = kept["tensors"]
            if kept["sha256"] == _combined(tensors):
                return tensors
        tensors = dict(_hashed(file))
        with suppress(OSError):
            beside = entry.with_suffix(f".{os.getpid()}")
            beside.write_text(json.dumps({"tensors": tensors, "sha256": _combined(tensors)}), encoding="utf-8")
            beside.replace(entry)
    return tensors


def _hashed(file: Path) -> Iterator[tuple[str, str]]:
    if file.suffix != ".safetensors":
        with file.open("rb") as stream:
            yield file.name, hashlib.file_digest(stream, "sha256").hexdigest()
        return
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = 8 + int.from_bytes(content[:8], "little")
        header: dict[str, Any] = parse_json(content[8:start])
        header.pop("__metadata__", None)
        with memoryview(content) as view, ThreadPoolExecutor(_threads()) as pool:

            def one(entry: Mapping[str, Any]) -> str:
                first, last = entry["data_offsets"]
                with view[start + first : start + last] as piece:
                    return hashlib.sha256(piece).hexdigest()

            for (name, entry), value in zip(header.items(), pool.map(one, header.values()), strict=True):
                yield name, f"{entry['dtype']}:{entry['shape']}:{value}"


def _threads() -> int:
    return max(1, min(_MOST_THREADS, os.cpu_count() or 1))
