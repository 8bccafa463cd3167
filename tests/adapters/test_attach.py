"""Attaching: what trains, what is refused, and that nothing global is touched."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch
import transformers

from balora.adapters import AdapterConfig, adapted_layers, attach_adapter
from balora.adapters.anchor import anchor_layer
from balora.adapters.attach import peft_task_type
from balora.adapters.factors import principal_factors
from balora.errors import ModelError
from tests.adapters.families import disturb, inputs_for, logits
from tests.support import tiny


def trainable(model: torch.nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_a_language_model_trains_its_adapter_alone() -> None:
    names = trainable(attach_adapter(tiny.build("llama"), AdapterConfig(r=2)))
    assert names
    assert all("lora_" in name for name in names)


@pytest.mark.parametrize(
    ("family", "heads"),
    [
        ("bert", {"classifier"}),
        ("roberta", {"classifier"}),
        ("deberta-v2", {"pooler", "classifier"}),
        ("t5", {"classification_head"}),
        ("llama", {"score"}),
        ("gpt2", {"score"}),
    ],
)
def test_a_classifier_trains_every_module_of_its_head(family: str, heads: set[str]) -> None:
    model = attach_adapter(tiny.build(family, "sequence_classification"), AdapterConfig(r=2))
    names = {name.split(".")[2] for name in trainable(model) if "lora_" not in name}
    assert names == heads


def test_full_trains_everything_and_adds_nothing() -> None:
    base = tiny.build("llama")
    names = set(base.state_dict())
    model = attach_adapter(base, AdapterConfig(method="full"))
    assert model is base
    assert trainable(model) == {name for name, _ in base.named_parameters()}
    assert set(model.state_dict()) == names


def test_modules_to_save_are_the_users_choice() -> None:
    config = AdapterConfig(r=2, modules_to_save=["embed_tokens"])
    names = trainable(attach_adapter(tiny.build("llama"), config))
    assert any("embed_tokens.modules_to_save" in name for name in names)


def test_the_start_depends_on_its_own_seed_alone() -> None:
    def first_down(config: AdapterConfig) -> torch.Tensor:
        layer = next(adapted_layers(attach_adapter(tiny.build("llama"), config)))[1]
        return layer.lora_A["default"].weight.detach()

    torch.manual_seed(7)
    state = torch.get_rng_state()
    one = first_down(AdapterConfig(method="lora", r=2, seed=1))
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(8)
    assert torch.equal(one, first_down(AdapterConfig(method="lora", r=2, seed=1)))
    assert not torch.equal(one, first_down(AdapterConfig(method="lora", r=2, seed=2)))


def test_an_adapted_model_is_refused() -> None:
    model = peft.get_peft_model(tiny.build("llama"), peft.LoraConfig(target_modules=["q_proj"]))
    with pytest.raises(ModelError, match="has a LoRA adapter already"):
        attach_adapter(model, AdapterConfig())


def test_a_rank_above_a_layer_s_smaller_side_is_named() -> None:
    with pytest.raises(ModelError, match=r"rank 20 exceeds .*layers\.0\.self_attn\.k_proj.*at most 16"):
        attach_adapter(tiny.build("llama"), AdapterConfig(r=20))


def test_nothing_is_attached_when_something_is_wrong() -> None:
    base = tiny.build("llama")
    names = [name for name, _ in base.named_modules()]
    with pytest.raises(ModelError):
        attach_adapter(base, AdapterConfig(r=20))
    assert [name for name, _ in base.named_modules()] == names


@pytest.mark.parametrize(
    ("family", "head", "task", "expected"),
    [
        ("llama", "causal_lm", None, "CAUSAL_LM"),
        ("t5", "seq2seq_lm", "generation", "SEQ_2_SEQ_LM"),
        ("bert", "sequence_classification", None, "SEQ_CLS"),
        ("t5", "sequence_classification", "regression", "SEQ_CLS"),
    ],
)
def test_task_types(family: str, head: str, task: str | None, expected: str) -> None:
    assert peft_task_type(tiny.build(family, head), task) == expected  # type: ignore[arg-type]


def masked_language_model(folder: Path) -> str:
    """A checkpoint without pooler and classifier."""
    model = transformers.BertForMaskedLM(tiny.config("bert"))
    model.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("known", [True, False], ids=["missing keys known", "unknown"])
def test_what_the_checkpoint_does_not_hold_is_trained_and_saved(known: bool, tmp_path: Path) -> None:
    """Otherwise the adapter would only fit the random numbers of one process."""
    auto, base = transformers.AutoModelForSequenceClassification, masked_language_model(tmp_path / "base")
    model, info = auto.from_pretrained(base, output_loading_info=True)
    adapted = attach_adapter(model, AdapterConfig(r=2), fresh_parameters=tuple(info["missing_keys"]) if known else None)
    assert {n.split(".modules_to_save")[0].split(".")[-1] for n in trainable(adapted) if "lora_" not in n} == {
        "pooler",
        "classifier",
    }
    disturb(adapted)
    adapted.save_pretrained(tmp_path / "adapter")
    torch.manual_seed(99)
    elsewhere = peft.PeftModel.from_pretrained(auto.from_pretrained(base), tmp_path / "adapter")
    inputs = inputs_for("bert")
    torch.testing.assert_close(logits(elsewhere, inputs), logits(adapted, inputs), rtol=0, atol=1e-5)


def test_a_pooler_that_the_checkpoint_holds_stays_frozen(tmp_path: Path) -> None:
    trained = tiny.build("bert", "sequence_classification")
    with torch.no_grad():
        trained.bert.pooler.dense.bias.fill_(0.1)
    trained.save_pretrained(tmp_path)
    for fresh in ((), None):
        model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)
        adapted = attach_adapter(model, AdapterConfig(r=2), fresh_parameters=fresh)
        assert not [name for name in trainable(adapted) if "pooler" in name]


def test_a_fresh_layer_of_a_block_is_trained_instead_of_adapted() -> None:
    model = tiny.build("llama")
    fresh = ["model.layers.0.mlp.up_proj.weight", "not.a.parameter"]
    adapted = attach_adapter(model, AdapterConfig(r=2), fresh_parameters=fresh)
    names = {name for name in trainable(adapted) if "layers.0.mlp.up_proj" in name}
    assert {name.split("up_proj.")[1] for name in names} == {"modules_to_save.default.weight"}
    assert len([1 for name, _ in adapted_layers(adapted)]) == 13


def test_modules_to_save_that_match_nothing_are_named() -> None:
    with pytest.raises(ModelError, match=r"no module is named 'embed_token'; did you mean 'embed_tokens'\?"):
        attach_adapter(tiny.build("llama"), AdapterConfig(r=2, modules_to_save=["embed_token", "lm_head"]))


def test_the_users_configuration_stays_as_it_is() -> None:
    config = AdapterConfig(r=2, modules_to_save=["classifier"], target_modules=["query"])
    before = config.model_dump()
    attach_adapter(tiny.build("bert", "sequence_classification"), config)
    assert config.model_dump() == before


def test_a_rank_too_high_for_many_layers_is_one_line() -> None:
    with pytest.raises(ModelError) as caught:
        attach_adapter(tiny.build("llama"), AdapterConfig(r=40))
    assert len(caught.value.problems) == 1
    assert "rank 40 exceeds the smaller side of 14 of 14 layers" in str(caught.value)
    assert "at most 16" in str(caught.value)


def test_full_refuses_float16_weights() -> None:
    with pytest.raises(ModelError, match="cannot train float16 weights; load it in bfloat16 or float32"):
        attach_adapter(tiny.build("llama").half(), AdapterConfig(method="full"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_dora_starts_at_the_base_in_every_format(family: str, dtype: torch.dtype) -> None:
    """PEFT's magnitudes are norms rounded to 16 bits."""
    base = tiny.build(family).to(dtype)
    truth = logits(base, inputs_for(family))
    model = attach_adapter(base, AdapterConfig(method="dora", r=4))
    gap = (logits(model, inputs_for(family)) - truth).abs().max()
    assert gap == 0 if dtype != torch.float32 else gap < 1e-5
    for _, layer in adapted_layers(model):
        magnitude = layer.lora_magnitude_vector["default"].weight
        weight = layer.get_base_layer().weight.float()
        torch.testing.assert_close(magnitude, weight.norm(dim=0 if family == "gpt2" else 1))
        assert magnitude.requires_grad


class PackedLinear(torch.nn.Linear):
    """Stands in for a 4-bit layer: two weights in a byte, one column, unpacked on the way through."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__(layer.in_features, layer.out_features, bias=False)
        self.W_q = (layer.weight.detach() * 20).round().clamp(-8, 7).to(torch.int8)
        packed = torch.zeros(self.W_q.numel() // 2, 1, dtype=torch.uint8)
        self.weight = torch.nn.Parameter(packed, requires_grad=False)

    def dequantize(self) -> torch.Tensor:
        return self.W_q.float() / 20

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, self.dequantize())


@pytest.mark.parametrize("method", ["lora", "pissa", "dora", "milora", "olora", "adalora"])
def test_packed_weights_are_measured_unpacked(method: str) -> None:
    base = tiny.build("llama")
    for name, module in list(base.named_modules()):
        if name.endswith(("q_proj", "down_proj")):
            base.set_submodule(name, PackedLinear(module))
    truth = logits(base, inputs_for("llama"))
    model = attach_adapter(base, AdapterConfig(method=method, r=4))
    torch.testing.assert_close(logits(model, inputs_for("llama")), truth, rtol=0, atol=1e-5)
    disturb(model)
    assert (logits(model, inputs_for("llama")) - truth).abs().max() > 1e-2


def test_anchors_of_8_bit_floats_are_stored_in_float32() -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(r=4))
    _, layer = next(adapted_layers(model))
    layer.get_base_layer().weight.data = layer.get_base_layer().weight.data.to(torch.float8_e4m3fn)
    anchor_layer(layer, principal_factors(torch.randn(32, 32), 4))
    assert {buffer.dtype for buffer in layer.anchor.buffers()} == {torch.float32}


def test_distributed_training_leaves_anchors_alone() -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(r=4))
    ignored = model._ddp_params_and_buffers_to_ignore
    assert set(ignored) == {name for name, _ in model.named_buffers() if "anchor" in name}
    assert len(ignored) == 28


def test_mixing_an_anchored_adapter_is_refused() -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(r=4))
    for owner in (model, model.base_model):
        with pytest.raises(ModelError, match="anchor"):
            owner.add_weighted_adapter(["default"], [1.0], "mixed", combination_type="linear")
    plain = attach_adapter(tiny.build("llama"), AdapterConfig(method="lora", r=4))
    plain.add_weighted_adapter(["default"], [1.0], "mixed", combination_type="linear")


def test_a_weight_of_zeros_trains() -> None:
    base = tiny.build("llama")
    with torch.no_grad():
        base.model.layers[0].self_attn.q_proj.weight.zero_()
    model = attach_adapter(base, AdapterConfig(r=4))
    model(**inputs_for("llama")).logits.square().sum().backward()
    gradients = [p.grad for n, p in model.named_parameters() if "layers.0.self_attn.q_proj.lora" in n]
    assert sum(float(g.abs().sum()) for g in gradients if g is not None) > 0
