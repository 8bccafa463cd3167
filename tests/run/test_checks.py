"""What only recipe, data and machine together can tell is found before weights are loaded or a folder is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from balora.errors import InputError
from balora.run import check, plan, train
from balora.run.parts import training_arguments_of
from tests.run.test_training import recipe_for

CANNOT_WORK: dict[str, dict[str, Any]] = {
    "training.metric_for_best_model: no score is called 'acuracy' here; did you mean 'accuracy'?": {
        "training": {"metric_for_best_model": "acuracy"}
    },
    "training.dataloader_drop_last: 24 rows give no full batch of 32": {
        "training": {"dataloader_drop_last": True, "per_device_train_batch_size": 32}
    },
    "model.attn_implementation: 'flash_attention_7' cannot be used": {
        "model": {"attn_implementation": "flash_attention_7"}
    },
}


@pytest.mark.parametrize("said", CANNOT_WORK)
@pytest.mark.parametrize("ask", [check, plan, train])
def test_every_command_finds_it_and_no_folder_is_made(said: str, ask: Any, tmp_path: Path) -> None:
    recipe = recipe_for("classification", tmp_path, **CANNOT_WORK[said])
    with pytest.raises(InputError) as caught:
        ask(recipe)
    assert said in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_cache_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "deeper"):
        recipe = recipe_for("classification", tmp_path, regularizers={"teacher_cache_dir": str(place)})
        with pytest.raises(InputError, match=r"regularizers\.teacher_cache_dir: .* is a file"):
            check(recipe)


def test_all_of_it_comes_at_once(tmp_path: Path) -> None:
    sections = list(CANNOT_WORK.values())
    merged = {"training": {**sections[0]["training"], **sections[1]["training"]}, **sections[2]}
    with pytest.raises(InputError) as caught:
        check(recipe_for("classification", tmp_path, **merged))
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("metric", "higher"), [("mse", False), ("eval_mse", False), ("pearson", True), ("loss", False)]
)
def test_the_best_model_has_the_better_score(metric: str, higher: bool, tmp_path: Path) -> None:
    changes = {"metric_for_best_model": metric, "load_best_model_at_end": True, "save_strategy": "epoch"}
    recipe = recipe_for("regression", tmp_path, training=changes)
    assert training_arguments_of(recipe).greater_is_better is higher
