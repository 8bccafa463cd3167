"""Adapters that stock PEFT wrote: what kind they are, and that every weight of theirs takes part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from balora.errors import ModelError
from balora.run.subject import find_subject, load_subject
from tests.auditing.conftest import plain_adapter


def changed(adapter: Path, **values: Any) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(("layers", "count"), [([0, 1], 1), ([1], 2)])
def test_an_adapter_of_which_a_layer_would_do_nothing_is_refused(layers: list[int], count: int, tmp_path: Path) -> None:
    adapter = plain_adapter(tmp_path, target_modules=["q_proj"], layers_to_transform=[0])
    changed(adapter, layers_to_transform=layers)
    with pytest.raises(ModelError, match=f"{count} layers are adapted by adapter_model.safetensors or by .* alone"):
        load_subject(find_subject(adapter, None))


@pytest.mark.parametrize(
    ("family", "settings", "task"),
    [("llama", {}, "generation"), ("bert", {"modules_to_save": ["classifier"]}, "classification")],
)
def test_an_adapter_that_names_no_task_is_what_its_weights_are(
    family: str, settings: dict[str, Any], task: str, tmp_path: Path
) -> None:
    adapter = plain_adapter(tmp_path, family, **settings)
    named = find_subject(adapter, None)
    changed(adapter, task_type=None)
    found = find_subject(adapter, None)
    assert found == named
    assert found.task == task
    assert load_subject(found).model.peft_config["default"].task_type is None
