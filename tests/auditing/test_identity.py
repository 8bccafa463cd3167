"""The wrong base is refused, with a message that says why and what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from balora.auditing.assembly import audit
from balora.auditing.identity import check_principal_part
from balora.errors import InputError, ModelError
from balora.run import train
from balora.run.subject import find_subject
from tests.auditing.conftest import QUICK, merged_folder, plain_adapter
from tests.run.test_training import recipe_for
from tests.support.folders import save_tiny, save_tiny_body


def refused(run: Path, base: Path, text: Path) -> str:
    with pytest.raises(InputError) as caught:
        audit(run, base=str(base), general_text=text, settings=QUICK, show_progress=False)
    assert not list(run.glob("audit*"))
    return str(caught.value)


def test_a_base_of_another_shape(tmp_path: Path, stories: Path) -> None:
    adapter = plain_adapter(tmp_path)
    wider = save_tiny(tmp_path / "wider", "llama", hidden_size=64, intermediate_size=96)
    message = refused(adapter, wider, stories)
    assert "was adapted with a side of 32" in message
    assert "--base" in message
    assert "--model" not in message


def test_a_base_with_more_layers(tmp_path: Path, stories: Path) -> None:
    adapter = plain_adapter(tmp_path, target_modules=["q_proj", "v_proj"])
    deeper = save_tiny(tmp_path / "deeper", "llama", num_hidden_layers=3)
    assert "holds nothing for 'model.layers.2.self_attn.q_proj'" in refused(adapter, deeper, stories)


@pytest.mark.parametrize(("layers", "count"), [([0, 1], 1), ([1], 2)])
def test_layers_that_the_configuration_alone_adapts_or_leaves_out(
    layers: list[int], count: int, tmp_path: Path, stories: Path
) -> None:
    """PEFT itself takes such an adapter, with a warning; a layer of it would do nothing."""
    adapter = plain_adapter(tmp_path, target_modules=["q_proj"], layers_to_transform=[0])
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"layers_to_transform": layers}))
    message = refused(adapter, tmp_path / "base", stories)
    assert f"{count} layers are adapted by adapter_model.safetensors or by adapter_config.json alone" in message
    assert "layers.1.self_attn.q_proj" in message


def test_a_base_with_another_tokenizer(tmp_path: Path, stories: Path) -> None:
    adapter = plain_adapter(tmp_path)
    shutil.copytree(tmp_path / "base", tmp_path / "other")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tmp_path / "base" / name, adapter / name)
    path = tmp_path / "other" / "tokenizer.json"
    document = json.loads(path.read_text())
    vocabulary = document["model"]["vocab"]
    ids = list(vocabulary.values())
    document["model"]["vocab"] = dict(zip(vocabulary, [*ids[:4], *ids[5:], ids[4]], strict=True))
    path.write_text(json.dumps(document))
    assert "only 4 are the same" in refused(adapter, tmp_path / "other", stories)


def test_a_whole_model_of_other_weights(tmp_path: Path, stories: Path) -> None:
    whole = merged_folder(plain_adapter(tmp_path))
    stranger = save_tiny(tmp_path / "stranger", "llama", seed=7)
    assert "as far as two unrelated models" in refused(whole, stranger, stories)


def test_a_whole_model_of_another_shape(tmp_path: Path, stories: Path) -> None:
    whole = merged_folder(plain_adapter(tmp_path))
    wider = save_tiny(tmp_path / "wider", "llama", hidden_size=64)
    assert "differ in shape or name" in refused(whole, wider, stories)


def test_a_base_whose_numbers_changed_is_refused_unless_it_is_named(tmp_path: Path, stories: Path) -> None:
    train(recipe_for("generation", tmp_path, adapter={"method": "lora"}), show_progress=False)
    file = tmp_path / "base" / "model.safetensors"
    tensors = load_file(file)
    tensors["model.embed_tokens.weight"][5, 5] += 0.5
    save_file(tensors, file, metadata={"format": "pt"})
    options = {"general_text": stories, "settings": QUICK, "only": ["drift"], "show_progress": False}
    with pytest.raises(ModelError, match=r"another base \(SHA-256 of the weights .* name where it is with --base"):
        audit(tmp_path / "run", **options)
    assert not list((tmp_path / "run").glob("audit*"))
    report = audit(tmp_path / "run", base=str(tmp_path / "base"), **options)
    assert any("named on purpose" in note for note in report.notes)


def test_a_run_of_ours_knows_the_weights_that_it_started_from(classifier: Path, tmp_path: Path, stories: Path) -> None:
    """The same architecture, tokenizer and shapes: only the principal part tells."""
    run = Path(shutil.copytree(classifier / "run", tmp_path / "run"))
    stranger = save_tiny_body(tmp_path / "stranger", "roberta", seed=7)
    assert "principal part of another weight" in refused(run, stranger, stories)


@pytest.mark.parametrize(("share", "fits"), [(1.0, True), (0.5, False)])
def test_the_principal_part_is_found_once_in_its_weight(share: float, fits: bool, classifier: Path) -> None:
    subject = find_subject(classifier / "run", None)
    weight = torch.randn(12, 10, generator=torch.Generator().manual_seed(0))
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    root = values[:3].sqrt()
    up_start, down_start = left[:, :3] * root, root[:, None] * right[:3]
    up_now, down_now = up_start + 0.1, down_start - 0.1
    up, down = torch.cat([up_now - up_start, up_start], dim=1), torch.cat([down_now, down_now - down_start])
    if fits:
        check_principal_part(subject, share * weight, up, down)
    else:
        with pytest.raises(ModelError, match="expected 1"):
            check_principal_part(subject, share * weight, up, down)


def test_a_base_under_another_name_is_noted(tmp_path: Path, stories: Path) -> None:
    adapter = plain_adapter(tmp_path)
    shutil.copytree(tmp_path / "base", tmp_path / "copy")
    settings = {**QUICK, "generations": 0}
    report = audit(
        adapter,
        base=str(tmp_path / "copy"),
        general_text=stories,
        only=["drift"],
        settings=settings,
        show_progress=False,
    )
    assert any("by its own account" in note for note in report.notes)


def test_no_base_at_all(tmp_path: Path, stories: Path) -> None:
    whole = merged_folder(plain_adapter(tmp_path))
    with pytest.raises(ModelError, match="--base MODEL"):
        audit(whole, general_text=stories, show_progress=False)
