"""Where a folder of data holds the files of each benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from balora.errors import DataError
from balora.paths import user_path


@dataclass(frozen=True, slots=True)
class Place:
    """How the folder of a benchmark is called and known."""

    folders: tuple[str, ...]
    """Looked at in turn, below the folder of data; that one itself comes last."""
    marks: tuple[str, ...]
    """Patterns of file names that it holds."""
    telling: tuple[str, ...] | None = None
    """Those by which a folder of any name is known, where other data have files of the same names."""
    is_file: bool = False
    """Whether the marked file is all there is to it."""


_BBQ = (
    "Age",
    "Disability_status",
    "Gender_identity",
    "Nationality",
    "Physical_appearance",
    "Race_ethnicity",
    "Race_x_SES",
    "Race_x_gender",
    "Religion",
    "SES",
    "Sexual_orientation",
)

PLACES: dict[str, Place] = {
    "crows_pairs": Place(
        ("crows_pairs", "crows-pairs/data", "crows-pairs"), ("crows_pairs_anonymized.csv",), is_file=True
    ),
    "stereoset": Place(
        ("stereoset", "stereoset_subset", "StereoSet/data"),
        ("dev.json", "test.json", "*_test.json"),
        ("gender_test.json", "profession_test.json", "race_test.json", "religion_test.json"),
    ),
    "winobias": Place(("winobias", "wino/data", "corefBias/WinoBias/wino/data"), ("pro_stereotyped_type[12].txt.*",)),
    "winogender": Place(("winogender", "winogender-schemas/data"), ("all_sentences.tsv",)),
    "bbq": Place(("bbq", "BBQ/data"), ("*.jsonl",), tuple(f"{name}.jsonl" for name in _BBQ)),
    "bold": Place(("bold", "bold/prompts"), ("*_prompt.json",)),
}
"""Benchmark -> its place: the names that the authors' repositories and common copies use."""


def source_in(data: Path, name: str) -> str:
    """What to read a benchmark from: the file itself, or what of it a folder holds.

    Raises:
        DataError: the folder holds none of its files.
    """
    path = user_path(data)
    if not path.is_dir():
        return str(data)
    place = PLACES[name]
    found = _held(path, place, place.marks)
    if found is None:
        looked = ", ".join([*place.marks, *(f"{folder}/" for folder in place.folders)])
        what = f"'{data}' holds no file of {name} (looked for {looked})"
        raise DataError.at("--data", what, "name the authors' file or folder itself")
    return str(found)


def benchmarks_in(data: Path) -> list[str]:
    """The benchmarks of which a folder holds files.

    Raises:
        DataError: it is no folder, or holds none.
    """
    path = user_path(data)
    if not path.is_dir():
        what = f"'{data}' is no folder, and no single benchmark is named"
        raise DataError.at("--data", what, f"name the folder, or the suite: {', '.join(PLACES)}")
    found = [name for name, place in PLACES.items() if _held(path, place, place.telling or place.marks)]
    if not found:
        what = f"'{data}' holds no file of any bias benchmark"
        raise DataError.at("--data", what, f"name the folder that holds {', '.join(f'{name}/' for name in PLACES)}")
    return found


def _held(folder: Path, place: Place, known_by: tuple[str, ...]) -> Path | None:
    """The file or the folder of a benchmark; `known_by` are the marks that count in the folder of data itself."""
    for within, marks in [*((folder / name, place.marks) for name in place.folders), (folder, known_by)]:
        marked = next((path for mark in marks for path in sorted(within.glob(mark))), None)
        if marked is not None:
            return marked if place.is_file else within
    return None
