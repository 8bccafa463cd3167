"""What a run keeps of the flaws that were put into its rows on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from balora.artefacts.layout import CORRUPTED
from balora.errors import OutputError
from balora.recipe import Recipe
from balora.run import train
from balora.run.parts import read_inputs
from balora.run.planning import check, plan
from tests.support.folders import save_tiny


def recipe_for(folder: Path, **corrupt: Any) -> Recipe:
    folder.mkdir(exist_ok=True)
    lines = ["sentence\tlabel", *(f"row {n}\t{int(n % 3 == 0)}" for n in range(24))]
    (folder / "train.tsv").write_text("\n".join(lines))
    model = folder / "model"
    if not model.exists():
        save_tiny(model, "bert", "sequence_classification")
    return Recipe.model_validate(
        {
            "task": "classification",
            "model": {"name_or_path": str(model)},
            "data": {"preset": "sst2", "train": str(folder / "train.tsv"), "validation": 0.25, "corrupt": corrupt},
            "adapter": {"method": "lora", "r": 4},
            "training": {
                "max_steps": 2,
                "report_to": "none",
                "use_cpu": True,
                "save_strategy": "steps",
                "save_steps": 1,
            },
            "output": {"dir": str(folder / "run")},
        }
    )


def record_of(recipe: Recipe) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((Path(str(recipe.output.dir)) / "run.json").read_text())
    return record


def test_the_run_folder_knows_the_truth(tmp_path: Path) -> None:
    recipe = recipe_for(tmp_path, label_noise=0.5, duplicates=0.5)
    folder = train(recipe, show_progress=False).folder
    truth = json.loads((folder / CORRUPTED).read_text())
    inputs = read_inputs(recipe)
    names = inputs.text.label_names
    assert names is not None
    seen = inputs.data.train["labels"]
    assert len(truth["rows"]) == 9
    for change in truth["rows"]:
        assert change["given"] != change["true"] == names[int(change["row"] % 3 == 0)]
        assert {names[seen[index]] for index in change["indices"]} == {change["given"]}
    assert record_of(recipe)["data"]["corruption"]["changed"] == {"label_noise": 9}
    assert any("label_noise changed 9 of 18" in note for note in record_of(recipe)["notes"])


def test_clean_rows_leave_no_record_and_another_fingerprint(tmp_path: Path) -> None:
    clean = recipe_for(tmp_path / "clean")
    folder = train(clean, show_progress=False).folder
    assert not (folder / CORRUPTED).exists()
    assert "corruption" not in record_of(clean)["data"]
    prints = {read_inputs(clean).data.fingerprint}
    for corrupt in ({"label_noise": 0.5}, {"label_noise": 0.5, "seed": 1}, {"token_noise": 0.5}, {"duplicates": 0.1}):
        prints.add(read_inputs(recipe_for(tmp_path / "clean", **corrupt)).data.fingerprint)
    assert len(prints) == 5


def test_a_run_goes_on_with_the_same_flaws_and_no_others(tmp_path: Path) -> None:
    recipe = recipe_for(tmp_path, label_noise=0.5)
    train(recipe, show_progress=False)
    assert train(recipe, resume=True, show_progress=False).status == "finished"
    with pytest.raises(OutputError, match=r"data\.corrupt\.label_noise: [\d.]+ in the checkpoint, 0\.25 now"):
        train(recipe_for(tmp_path, label_noise=0.25), resume=True, show_progress=False)


def test_validate_and_preview_show_what_is_corrupted(tmp_path: Path) -> None:
    recipe = recipe_for(tmp_path, label_noise=1.0)
    assert any("label_noise changed 18 of 18 training rows" in note for note in check(recipe))
    shown = plan(recipe).text
    assert "corrupted | label_noise in the label; truly " in shown
