"""Splits of hub datasets, and of folders the datasets library reads, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from balora.data.sources import HubDataset, Source
from balora.data.structured import with_class_names
from balora.data.table import Table
from balora.errors import DataError, did_you_mean
from balora.paths import user_path

if TYPE_CHECKING:
    import datasets


def read_hub(source: Source, key: str) -> Table:
    """One split of a hub dataset; label ids become the names the dataset gives them.

    Raises:
        DataError: when the dataset, its configuration or the split cannot be loaded.
    """
    if source.hub is None:
        raise ValueError(f"{source.name} is a file")
    dataset = _load(source.hub, source.name, key)
    wanted = source.rows.rows(len(dataset))
    dataset = dataset.select(range(wanted.start, wanted.stop)) if len(wanted) < len(dataset) else dataset
    where = str(source)
    plain = Table(
        where=where,
        names=tuple(dataset.column_names),
        rows=len(dataset),
        column=lambda name: dataset[name][:],
        place=lambda row: f"{where}[{wanted[row]}]",
    )
    return with_class_names(plain, _class_names(dataset))


def _load(hub: HubDataset, split: str, key: str) -> datasets.Dataset:
    import datasets

    try:
        if (user_path(hub.id) / "dataset_dict.json").is_file():
            splits: Any = datasets.load_from_disk(hub.id)
        else:
            splits = datasets.load_dataset(hub.id, hub.config, data_dir=hub.folder, revision=hub.revision)
    except (datasets.exceptions.DatasetsError, OSError, ValueError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise DataError.at(
            "data.dataset",
            f"'{hub}' cannot be loaded ({reason})",
            "check its id, dataset_config and dataset_revision, and the network; or name local files",
        ) from error
    if split not in splits:
        names = ", ".join(splits)
        raise DataError.at(key, f"'{hub}' has no split '{split}', only {names}", did_you_mean(split, splits))
    return splits[split]


def _class_names(dataset: datasets.Dataset) -> dict[str, tuple[str, ...]]:
    import datasets

    return {
        name: tuple(feature.names)
        for name, feature in dataset.features.items()
        if isinstance(feature, datasets.ClassLabel) and feature.names
    }
