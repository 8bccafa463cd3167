"""The anchor's promises: the base is untouched, off is the pretrained model, the start is the pretrained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from balora.adapters import AdapterConfig, adapted_layers, adapters_off, attach_adapter
from balora.adapters.anchor import ADAPTER_NAME, as_plain_lora, stacked_factors
from tests.adapters.families import METHODS, disturb, inputs_for, logits
from tests.support import tiny


@pytest.mark.parametrize("alpha", [4, 9], ids=lambda alpha: f"alpha={alpha}")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_student_starts_at_the_base_and_off_is_the_base(family: str, method: str, alpha: int) -> None:
    base = tiny.FAMILIES[family]()
    inputs = inputs_for(family)
    truth = logits(base, inputs)
    model = attach_adapter(base, AdapterConfig(method=method, r=4, alpha=alpha))
    assert (logits(model, inputs) - truth).abs().max() < 1e-5
    disturb(model)
    assert (logits(model, inputs) - truth).abs().max() > 1e-2, "the adapter must matter for the next line to"
    with adapters_off(model):
        assert torch.equal(logits(model, inputs), truth)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_base_weights_are_bitwise_untouched(family: str, method: str) -> None:
    untouched = tiny.FAMILIES[family]().state_dict()
    model = attach_adapter(tiny.FAMILIES[family](), AdapterConfig(method=method, r=4))
    disturb(model)
    kept = {
        name.replace("base_model.model.", "", 1).replace(".base_layer", "").replace(".original_module", ""): value
        for name, value in model.state_dict().items()
    }
    for name, value in untouched.items():
        assert torch.equal(kept[name], value), name


@pytest.mark.parametrize("family", ["llama", "gpt2", "t5"])
def test_gradients_are_those_of_pefts_pissa(family: str) -> None:
    inputs = inputs_for(family)
    targets = {"llama": ["q_proj", "down_proj"], "gpt2": ["c_attn", "c_fc"], "t5": ["q", "wo"]}[family]
    ours = attach_adapter(tiny.FAMILIES[family](), AdapterConfig(r=4, alpha=6, target_modules=targets))
    config = peft.LoraConfig(
        r=4, lora_alpha=6, init_lora_weights="pissa", target_modules=targets, fan_in_fan_out=family == "gpt2"
    )
    theirs = peft.get_peft_model(tiny.FAMILIES[family](), config)
    for model in (ours, theirs):
        model.eval()
        model(**inputs).logits.square().sum().backward()
    their_gradients = {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
    our_gradients = {name: p.grad for name, p in ours.named_parameters() if p.grad is not None}
    assert our_gradients.keys() == their_gradients.keys()
    assert len(our_gradients) > 0
    for name, gradient in our_gradients.items():
        # A singular vector's sign is free; it flips a row of A's gradient and the matching column of B's.
        torch.testing.assert_close(
            gradient.abs(), their_gradients[name].abs(), rtol=1e-3, atol=1e-4 * gradient.abs().max().item()
        )


def test_dropout_does_not_move_the_start() -> None:
    """PEFT's PiSSA drops inputs of BA but not of the residual, so it starts away from the base in training mode."""
    base = tiny.build("llama")
    inputs = inputs_for("llama")
    truth = logits(base, inputs)
    model = attach_adapter(base, AdapterConfig(r=4, dropout=0.5)).train()
    assert (model(**inputs).logits - truth).abs().max() < 1e-5


def test_dropout_acts_on_what_was_learned() -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(r=4, dropout=0.5))
    disturb(model)
    inputs = inputs_for("llama")
    evaluated = logits(model, inputs)
    assert (model.train()(**inputs).logits - evaluated).abs().max() > 1e-2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_anchor_in_the_base_s_format_still_cancels_exactly(dtype: torch.dtype) -> None:
    base = tiny.build("llama").to(dtype)
    model = attach_adapter(base, AdapterConfig(r=4))
    for _, layer in adapted_layers(model):
        anchor = layer.anchor[ADAPTER_NAME]
        assert anchor.down.dtype == dtype
        assert layer.lora_A[ADAPTER_NAME].weight.dtype == torch.float32
        down, up = stacked_factors(layer, ADAPTER_NAME)
        assert (up @ down).abs().max() == 0


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_start_is_the_base_to_the_last_bit(family: str, autocast: bool) -> None:
    base, inputs = tiny.FAMILIES[family](), inputs_for(family)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        truth = logits(base, inputs)
        assert torch.equal(logits(attach_adapter(base, AdapterConfig(r=4, alpha=6)), inputs), truth)


def test_16_bits_cost_a_share_of_the_update_not_of_the_principal_part() -> None:
    """Under autocast, and for whoever loads the saved adapter in bfloat16."""
    model = attach_adapter(tiny.build("llama"), AdapterConfig(r=4))
    state = model.state_dict()
    starts = {name: as_float64(state, name) for name, _ in adapted_layers(model)}
    disturb(model, size=1e-3)
    plain = as_plain_lora(model.state_dict())
    for name, layer in adapted_layers(model):
        update = as_float64(model.state_dict(), name) - starts[name]
        for down, up in (stacked_factors(layer, ADAPTER_NAME), as_float64(plain, name, factors=True)):
            found = up.bfloat16().double() @ down.bfloat16().double()
            assert (found - update).norm() < 0.01 * update.norm()


def as_float64(state: Any, layer: str, *, factors: bool = False) -> Any:
    """B·A of a layer in a state, or A and B themselves."""
    down = state[f"{layer}.lora_A.{ADAPTER_NAME}.weight"].double()
    up = state[f"{layer}.lora_B.{ADAPTER_NAME}.weight"].double()
    return (down, up) if factors else up @ down


def test_the_anchor_is_no_parameter() -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(r=4))
    assert not [name for name, _ in model.named_parameters() if "anchor" in name]
    model.requires_grad_(True)
    assert len([name for name, _ in model.named_buffers() if "anchor" in name]) == 2 * 2 * 7


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_merging_and_unmerging(family: str) -> None:
    inputs = inputs_for(family)
    model = attach_adapter(tiny.FAMILIES[family](), AdapterConfig(r=4, alpha=6))
    disturb(model)
    trained = logits(model, inputs)
    model.merge_adapter()
    torch.testing.assert_close(logits(model, inputs), trained, rtol=0, atol=1e-5)
    model.unmerge_adapter()
    torch.testing.assert_close(logits(model, inputs), trained, rtol=0, atol=1e-5)
    merged = model.merge_and_unload(safe_merge=True)
    torch.testing.assert_close(logits(merged, inputs), trained, rtol=0, atol=1e-5)


def test_plain_lora_of_a_state_has_twice_the_rank_and_no_anchor() -> None:
    model = attach_adapter(tiny.build("llama"), AdapterConfig(r=4))
    plain = as_plain_lora(model.state_dict())
    assert not [name for name in plain if "anchor" in name]
    downs = [value for name, value in plain.items() if "lora_A" in name]
    assert {value.shape[0] for value in downs} == {8}
    assert {value.shape[1] for name, value in plain.items() if "lora_B" in name} == {8}


def kept_for_backward(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> tuple[int, dict[str, torch.Tensor]]:
    """Bytes that a forward under autocast keeps, each storage once, and the gradients of its backward."""
    storages: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autocast("cpu", torch.bfloat16), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        value = model(**inputs).logits.float().square().sum()
    size = sum(storage.nbytes() for storage in storages.values())
    value.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return size, gradients


def test_autocast_keeps_no_copy_of_the_input_per_layer_and_the_gradients_are_bitwise_the_same() -> None:
    inputs = {"input_ids": tiny.random_ids(4, 48)}
    sizes, gradients = [], []
    for widened in (True, False):
        model = attach_adapter(tiny.build("llama").bfloat16(), AdapterConfig(r=2))
        for _, layer in adapted_layers(model):
            if widened:
                layer._forward_pre_hooks.clear()
        disturb(model)
        size, gradient = kept_for_backward(model, inputs)
        sizes.append(size)
        gradients.append(gradient)
    assert sizes[1] < 0.95 * sizes[0]
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])


def test_a_plain_adapter_beside_the_anchored_one_runs_in_16_bits(tmp_path: Path) -> None:
    model = attach_adapter(tiny.build("llama").bfloat16(), AdapterConfig(r=2))
    disturb(model)
    inputs = {"input_ids": tiny.random_ids(2, 8)}
    with torch.no_grad():
        trained = model(**inputs).logits
    model.save_pretrained(tmp_path)
    model.load_adapter(tmp_path, "again")
    model.set_adapter("again")
    with torch.no_grad():
        assert (model(**inputs).logits - trained).abs().max() < 0.05 * trained.abs().max()
