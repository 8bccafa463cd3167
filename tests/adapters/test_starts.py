"""Starts against the formulas written out, and the refusals where PEFT falls back without a word."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from peft.tuners.lora.corda import CordaEigens

from balora.adapters import (
    AdapterConfig,
    Calibration,
    adapted_layers,
    attach_adapter,
    check_targets,
    count_parameters,
)
from balora.adapters.starts.corda_plus import Candidate, allocate_ranks, log_compactness, selection_score
from balora.adapters.starts.minor import minor_factors
from balora.errors import ModelError
from tests.adapters.families import adapt, calibration_for
from tests.support import rows, tiny


def start_of(model: Any, ending: str) -> tuple[torch.Tensor, torch.Tensor, float]:
    layer = next(layer for name, layer in adapted_layers(model) if name.endswith(ending))
    up, down = layer.lora_B["default"].weight.detach(), layer.lora_A["default"].weight.detach()
    return up, down, layer.scaling["default"]


@pytest.mark.parametrize("scaling", [1.0, 2.5])
def test_milora_starts_at_the_smallest_singular_values(scaling: float) -> None:
    weight = torch.randn(9, 6)
    factors = minor_factors(weight, 2, scaling=scaling)
    left, values, right = torch.linalg.svd(weight.double(), full_matrices=False)
    minor = left[:, 4:] @ torch.diag(values[4:]) @ right[4:]
    torch.testing.assert_close(scaling * (factors.up @ factors.down).double(), minor, rtol=0, atol=1e-5)
    torch.testing.assert_close(factors.up.norm(dim=0), factors.down.norm(dim=1)), "the weight is shared evenly"
    rest = weight - scaling * factors.up @ factors.down
    assert torch.linalg.matrix_rank(rest, rtol=1e-5) == 4, "what stays is the principal part"


def test_milora_trains_where_the_weight_has_no_minor_part() -> None:
    weight = torch.randn(8, 2) @ torch.randn(2, 8)
    factors = minor_factors(weight, 3)
    assert not factors.up.any()
    assert factors.down.abs().sum(dim=1).all()
    with pytest.raises(ValueError, match="exceeds"):
        minor_factors(weight, 9)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_olora_is_the_qr_decomposition(family: str) -> None:
    model = adapt(family, "olora")
    name = {"llama": "model.layers.0.mlp.down_proj", "gpt2": "transformer.h.0.attn.c_attn"}[family]
    weight = tiny.FAMILIES[family]().get_submodule(name).weight
    q, r = torch.linalg.qr(weight.T if family == "gpt2" else weight)
    up, down, _ = start_of(model, name)
    torch.testing.assert_close(up, q[:, :4], rtol=0, atol=1e-5)
    torch.testing.assert_close(down, r[:4], rtol=0, atol=1e-5)


@pytest.mark.parametrize("mode", ["ipm", "kpm"])
def test_corda_looks_at_the_weight_through_the_covariance_of_its_inputs(mode: str) -> None:
    base, sample = tiny.build("llama"), calibration_for("llama", 20)
    layer, moments = base.model.layers[1].self_attn.o_proj, []

    def remember(module: Any, inputs: Any, output: Any) -> None:
        x = inputs[0][0]
        moments.append((x / x.max().abs()).T @ (x / x.max().abs()))

    handle = layer.register_forward_hook(remember)
    with torch.no_grad():
        for batch in sample.batches(base):
            base(**batch)
    handle.remove()
    covariance = torch.stack(moments).mean(dim=0)
    covariance += 0.01 * covariance.diagonal().mean() * torch.eye(len(covariance))
    left, values, right = torch.linalg.svd((layer.weight @ covariance).double(), full_matrices=False)
    chosen = slice(0, 4) if mode == "ipm" else slice(-4, None)
    expected = left[:, chosen] @ torch.diag(values[chosen]) @ right[chosen] @ torch.linalg.inv(covariance.double())
    calibration = {"text": "given"} if mode == "kpm" else {}
    config = AdapterConfig(method="corda", r=4, alpha=6, corda_mode=mode, calibration=calibration)
    up, down, scaling = start_of(attach_adapter(base, config, calibration=sample), "layers.1.self_attn.o_proj")
    torch.testing.assert_close(scaling * (up @ down).double(), expected.detach(), rtol=0, atol=2e-4)


def candidate(values: list[float], compactness: float = 1.0, cost: int = 10) -> Candidate:
    eigens = CordaEigens(S_WC=torch.tensor(values), U_WC=None, V_WC=None)
    return Candidate(0.0, compactness, eigens, parameters_per_rank=cost)


def test_compactness_and_selection_follow_the_formulas() -> None:
    covariance = torch.diag(torch.tensor([4.0, 1.0]))
    damping = 0.01 * 2.5
    expected = math.log(math.sqrt(3 * (4 + damping)) / (1 + damping))
    assert log_compactness(covariance, out_features=3) == pytest.approx(expected, rel=1e-5)
    assert selection_score(2.0, torch.tensor([4.0, 2.0, 2.0])) == pytest.approx(2.0 * 8 / 4)


@pytest.mark.parametrize("keep_knowledge", [True, False])
def test_ranks_are_the_greedy_ones_within_the_budget(keep_knowledge: bool) -> None:
    layers = {
        "flat": candidate([1.0] * 8),
        "steep": candidate([8.0, 4.0, 1.0, 0.1, 0.1, 0.1, 0.1, 0.1]),
        "wide": candidate([2.0] * 8, compactness=3.0, cost=30),
    }
    ranks = allocate_ranks(layers, 3, keep_knowledge=keep_knowledge)
    tails = dict.fromkeys(layers, 1)

    def price(name: str) -> float:
        values, tail = layers[name].eigens.S_WC.tolist(), tails[name]
        return layers[name].log_compactness * values[-tail] / sum(values[: 8 - tail])

    def spent() -> int:
        return sum(layers[n].parameters_per_rank * (tails[n] if keep_knowledge else 8 - tails[n]) for n in layers)

    budget = 3 * 50
    while True:
        open_layers = [name for name in layers if tails[name] < 7]
        cheapest = min(open_layers, key=lambda name: (price(name), name))
        if not keep_knowledge and spent() <= budget:
            break
        tails[cheapest] += 1
        if keep_knowledge and spent() > budget:
            tails[cheapest] -= 1
            break
    assert ranks == {name: tails[name] if keep_knowledge else 8 - tails[name] for name in layers}
    assert min(ranks.values()) >= 1
    assert spent() <= budget


def test_corda_plus_spends_what_a_uniform_rank_would_and_no_more() -> None:
    uniform = count_parameters(adapt("llama", "corda")).adapter
    for changes in ({}, {"corda_mode": "kpm", "calibration": {"text": "given"}}):
        chosen = adapt("llama", "corda++", **changes)
        assert 0.9 * uniform < count_parameters(chosen).adapter <= uniform
        assert len({layer.r["default"] for _, layer in adapted_layers(chosen)}) > 1
        assert {layer.scaling["default"] for _, layer in adapted_layers(chosen)} == {1.5}


def test_corda_plus_keeps_the_most_compact_covariance() -> None:
    """With one candidate and one rank for all it is CorDA."""
    config = {"method": "corda++", "r": 4, "corda_candidates": 1}
    sample = calibration_for("llama")
    plus = attach_adapter(tiny.build("llama"), AdapterConfig(**config), calibration=sample)
    plain = attach_adapter(tiny.build("llama"), AdapterConfig(method="corda", r=4), calibration=sample)
    up, down, _ = start_of(plus, "layers.0.mlp.up_proj")
    other_up, other_down, _ = start_of(plain, "layers.0.mlp.up_proj")
    rank = min(up.shape[1], other_up.shape[1])
    product = up[:, :rank] @ down[:rank]
    torch.testing.assert_close(product, other_up[:, :rank] @ other_down[:rank], rtol=0, atol=1e-4)


def test_lora_ga_starts_at_singular_vectors_of_the_gradient() -> None:
    base, sample = tiny.build("llama"), calibration_for("llama", 8)
    weight = base.model.layers[0].mlp.gate_proj.weight
    batch = next(sample.batches(base, 8))
    base(**batch).loss.backward()
    left, values, right = torch.linalg.svd(weight.grad, full_matrices=False)
    base.zero_grad()
    model = attach_adapter(base, AdapterConfig(method="lora_ga", r=8), calibration=sample)
    up, down, _ = start_of(model, "layers.0.mlp.gate_proj")
    # A holds the first 8 right vectors, B the next 8 left ones with their values, by their own signs.
    torch.testing.assert_close((down @ right[:8].T).abs(), torch.eye(8), rtol=0, atol=1e-3)
    expected = left[:, 8:16] * values[8:16] * len(weight) ** 0.25 / 4
    torch.testing.assert_close((up * expected).sum(dim=0).abs(), expected.square().sum(dim=0), rtol=1e-2, atol=1e-8)


def test_lora_ga_refuses_layers_that_are_too_narrow() -> None:
    """PEFT would cut the factors short."""
    with pytest.raises(ModelError, match=r"takes 2r = 18 directions, and the smaller side of .*k_proj is 16"):
        adapt("llama", "lora_ga", r=9)


@pytest.mark.parametrize(("method", "family", "rank"), [("lora_ga", "llama", 9), ("eva", "llama", 9), ("eva", "t5", 2)])
def test_what_shapes_tell_is_found_without_weights(method: str, family: str, rank: int) -> None:
    with pytest.raises(ModelError, match=r"directions|encoder and a decoder"):
        check_targets(tiny.FAMILIES[family]().to("meta"), AdapterConfig(method=method, r=rank))


def test_lora_ga_refuses_what_has_no_gradient() -> None:
    """PEFT's own start becomes plain LoRA for such a layer, without a word."""
    base = tiny.build("llama")
    with torch.no_grad():
        base.model.layers[1].mlp.down_proj.weight.zero_()
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.gate_proj a gradient that is zero .* does not fall back"):
        attach_adapter(base, AdapterConfig(method="lora_ga", r=2), calibration=calibration_for("llama"))
    silent = rows.language_rows(4).remove_columns("labels").to_list()
    with pytest.raises(ModelError, match="the sample has no labels"):
        attach_adapter(
            tiny.build("llama"),
            AdapterConfig(method="lora_ga", r=2),
            calibration=Calibration(silent, rows.collator("generation")),
        )


def test_eva_starts_at_principal_directions_of_the_inputs_and_hands_out_r_on_the_mean() -> None:
    model = adapt("llama", "eva", eva_tau=0.9)
    layers = dict(adapted_layers(model))
    ranks = [layer.r["default"] for layer in layers.values()]
    assert sum(ranks) == 4 * 14, "layers without a rank lose their adapter, the others have theirs"
    assert max(ranks) <= 8
    for layer in layers.values():
        down = layer.lora_A["default"].weight
        torch.testing.assert_close(down @ down.T, torch.eye(len(down)), rtol=0, atol=1e-3)
        assert not layer.lora_B["default"].weight.any()
        assert layer.scaling["default"] == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("count", "changes", "said"),
    [
        (1, {}, "needs batches of at least 16 tokens"),
        (12, {"r": 9, "eva_rho": 2.0}, r"takes 2·r·eva_rho = 36 directions, and .* has 32 inputs"),
        (12, {"eva_tau": 1.0}, "do not settle"),
    ],
)
def test_eva_says_why_it_cannot_start(count: int, changes: dict[str, Any], said: str) -> None:
    config = AdapterConfig(method="eva", **{"r": 4, **changes})
    with pytest.raises(ModelError, match=said):
        attach_adapter(tiny.build("llama"), config, calibration=calibration_for("llama", count))


def test_kpm_needs_a_named_text() -> None:
    with pytest.raises(ValueError, match=r"calibration\.text names none"):
        AdapterConfig(method="corda", corda_mode="kpm")
    with pytest.raises(ValueError, match=r"starts from the task's own rows"):
        AdapterConfig(method="eva", calibration={"text": "a.txt"})


def test_a_layer_that_no_token_reaches_is_named() -> None:
    base = tiny.build("llama")
    base.model.layers[1].mlp.forward = lambda states: states
    with pytest.raises(ModelError, match=r"no token of the sample reaches 3 of 14 layers, first model\.layers\.1\.mlp"):
        attach_adapter(base, AdapterConfig(method="corda", r=2), calibration=calibration_for("llama"))
