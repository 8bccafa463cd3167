"""The recipe files of a run that goes on with other settings."""

from __future__ import annotations

from pathlib import Path

from balora.artefacts import RunRecord, write_json_atomically, write_text_atomically
from balora.artefacts.layout import CORRUPTED, RECIPE_AS_GIVEN, RECIPE_RESOLVED
from balora.recipe import Recipe, dump_recipe
from balora.run.parts import Inputs


def write_changed_recipe(folder: Path, recipe: Recipe, text: str | None, record: RunRecord, inputs: Inputs) -> None:
    """Write the recipe that holds from now on; the earlier one is kept with the number of its leg.

    Comes after run.json, which then names the differences: a run that is killed in between is refused once more.
    """
    resolved = folder / RECIPE_RESOLVED
    before = resolved.read_text(encoding="utf-8")
    if record.legs[-1]["from_step"] and before != dump_recipe(recipe):
        stem, _, suffix = RECIPE_RESOLVED.rpartition(".")
        earlier = folder / f"{stem}.leg-{len(record.legs) - 1}.{suffix}"
        write_text_atomically(earlier, before)
    write_text_atomically(folder / RECIPE_AS_GIVEN, text or dump_recipe(recipe))
    write_text_atomically(resolved, dump_recipe(recipe))
    if inputs.text.corruption is not None:
        write_json_atomically(folder / CORRUPTED, inputs.text.corruption.as_document())
