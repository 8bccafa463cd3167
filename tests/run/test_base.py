"""A run knows which base it began with, and an adapter which base it belongs to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from balora.artefacts.layout import BASE_MODEL
from balora.errors import InputError, ModelError, OutputError
from balora.models import ModelSettings
from balora.recipe import Recipe
from balora.run import evaluate, train
from balora.run.base import described_base
from balora.run.subject import find_subject, load_base, load_subject
from tests.run.test_quantization import recipe_for as quantized_recipe
from tests.run.test_training import loaded_with_stock_peft, recipe_for

QUICK = {"resamples": 100}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base, and a run on it that kept a checkpoint."""
    folder = tmp_path_factory.mktemp("trained")
    training = {"save_strategy": "steps", "save_steps": 2}
    train(recipe_for("generation", folder, training=training, adapter={"method": "lora"}), show_progress=False)
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path) -> Path:
    """The same in a folder of the test's own, at the paths that its recipe names."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    recipe = tmp_path / "run" / "recipe.resolved.yaml"
    recipe.write_text(recipe.read_text().replace(str(trained), str(tmp_path)))
    return tmp_path


def spoil(base: Path) -> None:
    """Another base of the same shape, differing in one number."""
    tensors = load_file(base / "model.safetensors")
    tensors["model.embed_tokens.weight"][5, 5] += 0.5
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})


def go_on(folder: Path) -> Recipe:
    """The recipe of an interrupted run in the folder."""
    record = json.loads((folder / "run" / "run.json").read_text())
    (folder / "run" / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))
    before = (folder / "base" / "model.safetensors").read_bytes()
    recipe = recipe_for(
        "generation",
        folder,
        training={"save_strategy": "steps", "save_steps": 2},
        adapter={"method": "lora"},
    )
    (folder / "base" / "model.safetensors").write_bytes(before)
    return recipe


def test_the_base_is_named_in_the_record_and_beside_what_was_trained(trained: Path) -> None:
    record = json.loads((trained / "run" / "run.json").read_text())["model"]["base"]
    assert record["name_or_path"] == str(trained / "base")
    for folder in (trained / "run", trained / "run" / "checkpoint-2"):
        assert json.loads((folder / BASE_MODEL).read_text()) == record
    manifest = json.loads((trained / "run" / "checkpoint-2" / "manifest.json").read_text())
    assert BASE_MODEL in manifest["files"]


def test_stock_peft_loads_the_adapter(trained: Path) -> None:
    ids = torch.arange(3, 12)[None]
    ours = load_subject(find_subject(trained / "run", None)).model
    torch.testing.assert_close(loaded_with_stock_peft("generation", trained)(ids).logits, ours(ids).logits)


def test_a_run_goes_on_with_its_base_and_no_other(here: Path) -> None:
    recipe = go_on(here)
    train(recipe, resume=True, show_progress=False)
    recipe = go_on(here)
    spoil(here / "base")
    with pytest.raises(OutputError) as caught:
        train(recipe, resume=True, show_progress=False)
    first, second = caught.value.problems
    assert first.where == "--resume"
    assert second.where == "model.name_or_path"
    assert "is another base: SHA-256 of the weights " in second.what
    assert json.loads((here / "run" / "run.json").read_text())["status"] == "interrupted"


def test_another_base_is_told_beside_every_other_change(here: Path) -> None:
    recipe = go_on(here)
    spoil(here / "base")
    config = here / "base" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "rms_norm_eps": 0.25}))
    changed = recipe.model_copy(update={"training": {**recipe.training, "seed": 9}})
    with pytest.raises(OutputError) as caught:
        train(changed, resume=True, show_progress=False)
    assert [problem.where for problem in caught.value.problems] == ["--resume", "training.seed", "model.name_or_path"]
    assert "rms_norm_eps 1e-06 then, 0.25 now" in str(caught.value)


@pytest.mark.parametrize("place", ["run", "run/checkpoint-2", "adapter alone"])
def test_an_adapter_is_not_scored_on_another_base(here: Path, place: str) -> None:
    folder = here / place
    if place == "adapter alone":
        folder.mkdir()
        for name in ("adapter_config.json", "adapter_model.safetensors", BASE_MODEL):
            shutil.copy(here / "run" / name, folder)
        config = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(
            json.dumps({**config, "base_model_name_or_path": str(here / "base")})
        )
    load_subject(find_subject(folder, None))
    spoil(here / "base")
    with pytest.raises(ModelError) as caught:
        load_subject(find_subject(folder, None))
    said = str(caught.value)
    assert "was trained on" in said
    assert "another base (SHA-256 of the weights " in said
    assert "--model" in said


def test_a_base_that_is_named_on_purpose_is_taken_with_a_warning(here: Path) -> None:
    other = Path(shutil.copytree(here / "base", here / "other"))
    same = load_subject(find_subject(here / "run", str(other)))
    assert same.notes == ()
    spoil(other)
    (result,) = evaluate(here / "run", "validation", model=str(other), settings=QUICK, show_progress=False)
    (note,) = [note for note in result.document["notes"] if "another base" in note]
    assert "named on purpose" in note
    (result,) = evaluate(here / "run", "validation", settings=QUICK, show_progress=False)
    assert not any("another base" in note for note in result.document["notes"])


def test_the_base_of_whole_weights_is_compared_too(tmp_path: Path) -> None:
    train(recipe_for("generation", tmp_path, adapter={"method": "full"}), show_progress=False)
    subject = find_subject(tmp_path / "run", None)
    load_base(subject)
    spoil(tmp_path / "base")
    load_subject(subject)
    with pytest.raises(ModelError, match="another base"):
        load_base(subject)


def test_an_adapter_at_a_residual_belongs_to_the_base_beside_it(tmp_path: Path) -> None:
    """On any other base, the pretrained one included, it is another function, whoever names that base."""
    import peft
    import transformers

    train(quantized_recipe("generation", tmp_path, adapter={"quantized_start": "residual"}), show_progress=False)
    run, ids = tmp_path / "run", torch.arange(3, 12)[None]
    own = transformers.AutoModelForCausalLM.from_pretrained(run / "residual_base")
    stock = peft.PeftModel.from_pretrained(own, run).eval()(ids).logits
    subject = find_subject(run, None)
    torch.testing.assert_close(load_subject(subject).model(ids).logits, stock)
    options: dict[str, Any] = {"settings": QUICK, "show_progress": False}
    (result,) = evaluate(run, "validation", base=True, **options)
    trained_loss = json.loads((run / "all_results.json").read_text())["eval_loss"]
    assert result.scores["loss"].value == pytest.approx(trained_loss, rel=1e-3)
    with pytest.raises(InputError, match="--model: the adapter started at a residual"):
        evaluate(run, "validation", model=str(tmp_path / "base"), **options)
    other = run / "residual_base" / "config.json"
    before = other.read_text()
    other.write_text(json.dumps({**json.loads(before), "rms_norm_eps": 0.25}))
    with pytest.raises(ModelError, match="another base"):
        load_subject(find_subject(run, None))
    other.write_text(before)
    (run / "residual_base").rename(tmp_path / "gone")
    with pytest.raises(ModelError, match="belongs to 'residual_base'"):
        find_subject(run, None)


def test_a_run_without_a_record_of_its_base_is_taken_as_it_is(here: Path) -> None:
    record = json.loads((here / "run" / "run.json").read_text())
    del record["model"]["base"]
    (here / "run" / "run.json").write_text(json.dumps(record))
    (here / "run" / BASE_MODEL).unlink()
    spoil(here / "base")
    load_subject(find_subject(here / "run", None))


def test_what_is_recorded_of_a_model_that_is_not_here() -> None:
    described: dict[str, Any] = described_base(ModelSettings(name_or_path="some/model", revision="v1"), "abc")
    assert described == {"format": 1, "name_or_path": "some/model", "revision": "v1", "commit": "abc"}
