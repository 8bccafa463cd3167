"""What a source string means: a local file or a hub split, and which slice of its rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from typing import TypeVar

from balora.data.examples import SPLITS, SplitName
from balora.data.presets import Preset
from balora.data.settings import DataSettings
from balora.errors import DataError, InputError
from balora.paths import user_path

FILE_ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".json", ".jsonl", ".ndjson", ".parquet")
"""Kinds of local file, each may be followed by .gz."""

Row = TypeVar("Row")

_BOUND = re.compile(r"^\s*(?P<number>-?[0-9]{1,15})\s*(?P<percent>%)?\s*$")


@dataclass(frozen=True)
class Bound:
    """One end of a slice: a row number (negative counts from the end) or a percentage of the rows."""

    number: int
    percent: bool

    def row(self, total: int) -> int:
        """The row this end falls on, within 0..total; percentages round to the nearest row, as datasets does."""
        row = round(self.number * total / 100) if self.percent else self.number
        return min(max(row + total if row < 0 else row, 0), total)


@dataclass(frozen=True)
class RowSlice:
    """Which rows of a source are meant: `[:1000]`, `[10%:20%]`, `[-500:]`."""

    start: Bound | None
    stop: Bound | None

    @classmethod
    def parse(cls, text: str, where: str) -> RowSlice:
        """Reads what stands between the brackets.

        Raises:
            DataError: when it is not two bounds with a colon between them.
        """
        bounds: list[Bound | None] = []
        for part in text.split(":"):
            match = _BOUND.match(part)
            if part.strip() and not match:
                break
            bounds.append(Bound(int(match["number"]), bool(match["percent"])) if match else None)
        if len(bounds) != 2:
            shown = text if len(text) <= 80 else f"{text[:77]}..."
            raise DataError.at(where, f"[{shown}] is not a slice", "write [:1000], [1000:2000] or [10%:20%]")
        return cls(bounds[0], bounds[1])

    @property
    def last_row_needed(self) -> int | None:
        """How many rows from the start have to be read; None: all of them."""
        counted_from_start = all(b is None or (b.number >= 0 and not b.percent) for b in (self.start, self.stop))
        return self.stop.number if self.stop and counted_from_start else None

    def rows(self, total: int) -> range:
        """The row numbers within a source of `total` rows."""
        return range(self.start.row(total) if self.start else 0, self.stop.row(total) if self.stop else total)

    def take(self, rows: Iterable[Row]) -> list[Row]:
        """The rows of the slice; reads no further than it must."""
        needed: Sequence[Row] = list(islice(rows, self.last_row_needed))
        wanted = self.rows(len(needed))
        return list(needed[wanted.start : wanted.stop])


EVERY_ROW = RowSlice(None, None)


@dataclass(frozen=True)
class HubDataset:
    """A dataset on the hub, or a folder that the datasets library reads."""

    id: str
    config: str | None
    revision: str | None
    folder: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.id, self.folder, self.config) if part)


@dataclass(frozen=True)
class Source:
    """One split to read: a file (`hub` is None) or a split of a hub dataset."""

    name: str
    """Path or split name, without the slice."""
    rows: RowSlice
    hub: HubDataset | None

    def __str__(self) -> str:
        return f"{self.hub} {self.name}" if self.hub else self.name


def parse_source(text: str, where: str, hub: HubDataset | None = None) -> Source:
    """Splits `name[slice]`; a name with brackets that exists as a file is taken as it stands.

    >>> parse_source("train.csv[:100]", "data.train").name
    'train.csv'
    """
    match = re.fullmatch(r"(?P<name>.+?)\[(?P<slice>[^\[\]]*)\]", text.strip())
    if match is None or (hub is None and _is_there(text)):
        return Source(text.strip(), EVERY_ROW, hub)
    return Source(match["name"].strip(), RowSlice.parse(match["slice"], where), hub)


def _is_there(name: str) -> bool:
    try:
        return user_path(name).exists()
    except InputError:  # no path at all with the brackets; without them it is told, if it is none then
        return False


def file_ending(name: str) -> str:
    """The ending that tells the kind of file, lower case, without .gz.

    >>> file_ending("Train.JSONL.gz")
    '.jsonl'
    """
    path = PurePath(name)
    return PurePath(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def looks_like_a_file(name: str) -> bool:
    """Whether a source string names a file rather than a split of a hub dataset."""
    return file_ending(name) in FILE_ENDINGS or "/" in name or "\\" in name


def plan_sources(settings: DataSettings, preset: Preset | None) -> dict[SplitName, Source]:
    """Split -> source. `data.validation` as a number is not a source.

    A name with a known file ending or a path separator is a file. Any other name is a split where there is a hub
    dataset: the one in `data.dataset`, else the preset's, unless such a file exists.

    Raises:
        DataError: on a malformed slice, or a preset without a hub dataset and no training file.
    """
    hub = _hub_dataset(settings, preset)
    texts: dict[SplitName, str | None] = {
        "train": settings.train,
        "validation": settings.validation if isinstance(settings.validation, str) else None,
        "test": settings.test,
    }
    if settings.train is None:
        if hub is None:
            raise DataError.at(
                "data.train", f"the preset '{settings.preset}' names no hub dataset", "set data.train to a file"
            )
        texts["train"] = "train"
        if preset is not None and settings.validation is None:
            texts["validation"] = preset.validation_split
    return {split: _source(text, split, settings, hub) for split in SPLITS if (text := texts[split])}


def _source(text: str, split: SplitName, settings: DataSettings, hub: HubDataset | None) -> Source:
    where = f"data.{split}"
    local = parse_source(text, where)
    is_file = looks_like_a_file(local.name)
    if hub is None or is_file or (settings.dataset is None and user_path(local.name).is_file()):
        return local
    return parse_source(text, where, hub)


def _hub_dataset(settings: DataSettings, preset: Preset | None) -> HubDataset | None:
    if settings.dataset is not None:
        return HubDataset(settings.dataset, settings.dataset_config, settings.dataset_revision, settings.dataset_dir)
    if preset is not None and preset.hub_id is not None:
        config = settings.dataset_config or preset.hub_config
        return HubDataset(preset.hub_id, config, settings.dataset_revision)
    return None
