"""Additions against formulas written out: bitfit is a change of biases, bottlenecks sit where the papers put them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from balora.adapters import AdapterConfig, attach_adapter, check_targets, load_bottlenecks
from balora.adapters.additions import Bottleneck, named_additions
from balora.adapters.additions.blocks import BLOCKS, sublayers
from balora.adapters.precision import wrapped_modules
from balora.errors import ModelError
from tests.adapters.families import adapt, disturb, inputs_for, logits
from tests.support import tiny


@pytest.mark.parametrize("family", ["gpt2", "bert", "roberta", "deberta-v2"])
def test_bitfit_is_the_base_with_other_biases(family: str) -> None:
    model = adapt(family, "bitfit")
    disturb(model)
    plain = tiny.FAMILIES[family]()
    with torch.no_grad():
        for name, addition in named_additions(model):
            plain.get_submodule(name).bias += addition.shift
        for name, wrapper in wrapped_modules(model):
            plain.get_submodule(name).load_state_dict(wrapper.modules_to_save["default"].state_dict())
    inputs = inputs_for(family)
    torch.testing.assert_close(logits(model, inputs), logits(plain, inputs), rtol=0, atol=1e-5)


def test_bitfit_moves_every_bias_of_the_body_and_nothing_else() -> None:
    base = tiny.build("bert", "sequence_classification")
    biases = {name.removesuffix(".bias") for name, _ in base.bert.named_parameters() if name.endswith(".bias")}
    model = attach_adapter(base, AdapterConfig(method="bitfit"))
    assert {name.removeprefix("bert.") for name, _ in named_additions(model)} == biases
    trained = {name for name, p in model.named_parameters() if p.requires_grad and "classifier" not in name}
    assert trained == {f"bert.{name}.addition.shift" for name in biases}


def test_gradients_of_shifts_are_those_of_biases() -> None:
    model, plain = adapt("gpt2", "bitfit"), tiny.FAMILIES["gpt2"]()
    inputs = inputs_for("gpt2")
    for one in (model, plain):
        one(**inputs).logits.square().sum().backward()
    for name, addition in named_additions(model):
        torch.testing.assert_close(addition.shift.grad, plain.get_submodule(name).bias.grad, rtol=1e-4, atol=1e-4)


EXPECTED = {
    "llama": ["self_attn.o_proj", "mlp"],
    "gpt2": ["attn.c_proj", "mlp"],
    "bert": ["attention.output.dense", "output.dense"],
    "roberta": ["attention.output.dense", "output.dense"],
    "deberta-v2": ["attention.output.dense", "output.dense"],
}


@pytest.mark.parametrize("family", EXPECTED)
def test_houlsby_has_two_places_per_block_and_pfeiffer_the_second(family: str) -> None:
    model = tiny.FAMILIES[family]()
    both = sublayers(model, attention=True)
    assert len(both) == 2 * tiny.LAYERS
    for index, name in enumerate(both):
        assert name.endswith(EXPECTED[family][index % 2])
    assert sublayers(model, attention=False) == both[1::2]


def test_t5_has_cross_attention_too() -> None:
    places = sublayers(tiny.build("t5", "seq2seq_lm"), attention=True)
    assert len([name for name in places if "EncDecAttention" in name]) == tiny.LAYERS
    assert len(places) == 5 * tiny.LAYERS


@pytest.mark.parametrize("method", ["houlsby", "pfeiffer"])
def test_a_bottleneck_is_what_the_papers_write(method: str) -> None:
    """Against a model whose sub-layers add the same by hand."""
    model = adapt("bert", method)
    disturb(model)
    plain = tiny.FAMILIES["bert"]()
    plain.classifier.load_state_dict(model.classifier.modules_to_save["default"].state_dict())
    act = {"houlsby": torch.nn.functional.gelu, "pfeiffer": torch.nn.functional.relu}[method]

    def by_hand(addition: Bottleneck) -> Any:
        w, u = addition.down, addition.up
        return lambda _m, _i, h: h + act(h @ w.weight.T + w.bias) @ u.weight.T + u.bias

    for name, addition in named_additions(model):
        assert isinstance(addition, Bottleneck)
        plain.get_submodule(name).register_forward_hook(by_hand(addition))
    inputs = inputs_for("bert")
    torch.testing.assert_close(logits(model, inputs), logits(plain, inputs), rtol=0, atol=1e-5)


def test_an_unknown_architecture_is_named_before_anything_changes() -> None:
    model = tiny.build("llama")
    model.config.model_type = "lama"
    with pytest.raises(ModelError, match=r"no block of architecture 'lama'; did you mean 'llama'\?"):
        attach_adapter(model, AdapterConfig(method="houlsby"))
    with pytest.raises(ModelError, match="no block of architecture"):
        check_targets(model, AdapterConfig(method="pfeiffer"))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_table_row_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balora.adapters.additions.blocks.BLOCKS", {**BLOCKS, "llama": BLOCKS["gpt2"]})
    with pytest.raises(ModelError, match=r"should have modules 'attn\.c_proj'"):
        attach_adapter(tiny.build("llama"), AdapterConfig(method="houlsby"))


@pytest.mark.parametrize("method", ["bitfit", "houlsby"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_additions_train_in_float32_on_half_precision_bases(method: str, dtype: torch.dtype) -> None:
    base = tiny.build("gpt2").to(dtype)
    truth = logits(base, inputs_for("gpt2"))
    model = attach_adapter(base, AdapterConfig(method=method, bottleneck=8))
    assert torch.equal(logits(model, inputs_for("gpt2")), truth)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    model(**inputs_for("gpt2")).logits.float().square().sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_saved_bottlenecks_say_what_they_are_and_refuse_another_base(tmp_path: Path) -> None:
    model = adapt("bert", "houlsby", bottleneck_activation="silu")
    disturb(model)
    model.save_pretrained(tmp_path)
    described = json.loads((tmp_path / "bottlenecks.json").read_text())
    assert described["method"] == "houlsby"
    assert (described["bottleneck"], described["activation"]) == (8, "silu")
    assert described["modules_to_save"] == ["classifier"]
    assert not (tmp_path / "model.safetensors").exists(), "the base is not saved once more"
    with pytest.raises(ModelError, match="is for architecture 'bert', the model is 'roberta'"):
        load_bottlenecks(tiny.build("roberta", "sequence_classification"), tmp_path)
    with pytest.raises(ModelError, match=r"holds classifier\.\w+ of shape \(2, ?\d*\), and the model has shape"):
        load_bottlenecks(tiny.build("bert", "sequence_classification", num_labels=5), tmp_path)
    with pytest.raises(ModelError, match="it has an adapter already"):
        load_bottlenecks(model, tmp_path)
    (tmp_path / "bottlenecks.json").write_text("{}")
    with pytest.raises(ModelError, match="is not a description of bottlenecks"):
        load_bottlenecks(tiny.build("bert", "sequence_classification"), tmp_path)
    with pytest.raises(ModelError, match="holds no bottlenecks that can be read"):
        load_bottlenecks(tiny.build("bert", "sequence_classification"), tmp_path / "nowhere")


def test_bottlenecks_cannot_be_merged() -> None:
    model = adapt("bert", "pfeiffer")
    for name in ("merge_and_unload", "merge_adapter"):
        with pytest.raises(ModelError, match="are not linear"):
            getattr(model, name)()


def test_merged_biases_are_a_plain_model(tmp_path: Path) -> None:
    model = adapt("bert", "bitfit")
    disturb(model)
    trained = logits(model, inputs_for("bert"))
    merged = model.merge_and_unload()
    assert not list(named_additions(merged))
    torch.testing.assert_close(logits(merged, inputs_for("bert")), trained, rtol=0, atol=1e-5)
    merged.save_pretrained(tmp_path)
    again = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    torch.testing.assert_close(logits(again, inputs_for("bert")), trained, rtol=0, atol=1e-5)
