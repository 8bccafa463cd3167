"""Token ids on disk, found again by what they were made of, so that a sweep tokenizes its data once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balora.cache import computed_by_one, count_use, staged_folder
from balora.data.encode import encode
from balora.data.encoded import EncodedData
from balora.data.examples import SPLITS, TextData
from balora.data.settings import DataSettings
from balora.data.truncation import SplitLengths
from balora.strict_json import parse_json, read_json

if TYPE_CHECKING:
    import datasets

TOKENS_FORMAT = "1"
"""Version of the files and of the encoding; a change makes older ones unknown."""

_SHAPES_TOKENS = ("learn_on", "max_length", "too_long", "template", "format")
_RECORD = "encoded.json"


def encode_once(
    text: TextData,
    tokenizer: Any,
    settings: DataSettings,
    folder: Path,
    *,
    encoder_decoder: bool = False,
    max_positions: int | None = None,
) -> EncodedData:
    """What `encode` gives, from the folder where the same texts met the same tokenizer before.

    The key is a hash of every example, of the tokenizer and of the settings that shape tokens. Entries appear whole or
    not at all and carry checksums: a damaged one is made again. A folder that cannot be written costs nothing but the
    reuse. Tokenizers without a description of themselves (slow ones) are not cached.

    Raises:
        DataError: as `encode`.
    """
    described = _described(tokenizer)
    if described is None:
        return encode(text, tokenizer, settings, encoder_decoder=encoder_decoder, max_positions=max_positions)
    shape = {"encoder_decoder": encoder_decoder, "max_positions": max_positions, "tokenizer": described}
    home = folder / _key(text, settings, shape)
    with computed_by_one(home):
        found = _read(home)
        count_use("tokens", found=found is not None)
        if found is not None:
            return found
        data = encode(text, tokenizer, settings, encoder_decoder=encoder_decoder, max_positions=max_positions)
        _store(home, data)
    return data


def _described(tokenizer: Any) -> str | None:
    """Everything about a tokenizer that shapes ids; None where it does not tell."""
    if not getattr(tokenizer, "is_fast", False):
        return None
    backend = parse_json(tokenizer.backend_tokenizer.to_str())
    # These two are left behind by the last call.
    rest = {name: part for name, part in backend.items() if name not in ("truncation", "padding")}
    parts = [
        json.dumps(rest, sort_keys=True),
        str(tokenizer.special_tokens_map),
        str(tokenizer.chat_template),
        str(tokenizer.model_max_length),
        str(tokenizer.model_input_names),
        str([getattr(tokenizer, name, None) for name in ("add_bos_token", "add_eos_token")]),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _key(text: TextData, settings: DataSettings, shape: Mapping[str, Any]) -> str:
    chosen = {name: getattr(settings, name) for name in _SHAPES_TOKENS}
    head = {"version": TOKENS_FORMAT, "task": text.task, "read_as": text.format, **chosen, **shape}
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for name in SPLITS:
        split = text.split(name)
        if split is not None:
            digest.update(f"\0{name}:{split.labelled}:{len(split)}".encode())
            for example in split.examples:
                # Where a row stands in its file is for messages.
                content = {key: value for key, value in asdict(example).items() if key != "place"}
                digest.update(json.dumps(content, sort_keys=True).encode())
    return digest.hexdigest()


def _read(home: Path) -> EncodedData | None:
    """The entry, where it is whole."""
    import datasets
    import pyarrow as pa

    try:
        record = read_json(home / _RECORD)
        splits: dict[str, datasets.Dataset] = {}
        for name, facts in record["splits"].items():
            content = (home / f"{name}.arrow").read_bytes()
            if hashlib.sha256(content).hexdigest() != facts["sha256"]:
                return None
            table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
            splits[name] = datasets.Dataset(table, fingerprint=facts["fingerprint"])
        return EncodedData(
            train=splits["train"],
            validation=splits.get("validation"),
            test=splits.get("test"),
            lengths={name: SplitLengths(**lengths) for name, lengths in record["lengths"].items()},
            source_rows={name: tuple(rows) for name, rows in record["source_rows"].items()},
            fingerprint=record["fingerprint"],
            max_length=record["max_length"],
            encoder_decoder=record["encoder_decoder"],
            notes=tuple(record["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None


def _store(home: Path, data: EncodedData) -> None:
    """Keep the entry; whoever is second leaves the first one's."""
    splits = {name: data.split(name) for name in SPLITS}
    # Where there is no room, the next run encodes again.
    with suppress(OSError), staged_folder(home, lambda folder: _read(folder) is not None) as staged:
        facts = {name: _write_split(staged / f"{name}.arrow", split) for name, split in splits.items() if split}
        record = {
            "splits": facts,
            "lengths": {name: asdict(lengths) for name, lengths in data.lengths.items()},
            "source_rows": {name: list(rows) for name, rows in data.source_rows.items()},
            "fingerprint": data.fingerprint,
            "max_length": data.max_length,
            "encoder_decoder": data.encoder_decoder,
            "notes": list(data.notes),
        }
        (staged / _RECORD).write_text(json.dumps(record), encoding="utf-8")


def _write_split(path: Path, split: datasets.Dataset) -> dict[str, str]:
    import pyarrow as pa

    table = split.data.table
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "fingerprint": split._fingerprint}
