"""Targets: what all-linear means, how names match, and what a typo is told."""

from __future__ import annotations

import pytest

from balora.adapters.targets import head_modules, peft_targets, resolve_targets
from balora.errors import ModelError
from tests.support import tiny

LINEARS_PER_BLOCK = {"llama": 7, "gpt2": 4, "bert": 6, "roberta": 6, "deberta-v2": 6}


@pytest.mark.parametrize("family", LINEARS_PER_BLOCK)
def test_all_linear_is_every_linear_of_the_blocks(family: str) -> None:
    chosen = resolve_targets(tiny.FAMILIES[family](), "all-linear")
    assert len(chosen) == tiny.LAYERS * LINEARS_PER_BLOCK[family]
    assert not [name for name in chosen if "pooler" in name or "head" in name or name.startswith("classifier")]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_short_names_pick_the_same_layers(family: str) -> None:
    model = tiny.FAMILIES[family]()
    chosen = resolve_targets(model, "all-linear")
    short = peft_targets(model, chosen).modules
    assert len(short) < len(chosen)
    assert set(resolve_targets(model, short)) == set(chosen)


def test_full_names_where_no_ending_tells_layers_apart() -> None:
    """Encoder and decoder blocks of T5 are named alike."""
    model = tiny.FAMILIES["t5"]()
    chosen = ["encoder.block.0.layer.0.SelfAttention.q"]
    assert peft_targets(model, chosen) == (chosen, [])


def test_names_expressions_and_lists() -> None:
    model = tiny.build("llama")
    assert len(resolve_targets(model, "q_proj")) == 2
    assert len(resolve_targets(model, ["q_proj", "self_attn.v_proj"])) == 4
    assert len(resolve_targets(model, r".*\.0\..*_proj")) == 7


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["q_proj", "vv_proj"], r"no linear layer is named 'vv_proj' .*did you mean 'v_proj'\?"),
        ("vv_proj", r"'vv_proj' matches no linear layer; layers that exist: .*q_proj \(2\)"),
        ("(", "no regular expression"),
        ([], "the list is empty"),
    ],
    ids=str,
)
def test_what_matches_nothing_is_named(wanted: str | list[str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        resolve_targets(tiny.build("llama"), wanted)


def test_a_language_model_has_a_head_outside_its_body_and_a_body_has_none() -> None:
    assert head_modules(tiny.build("llama")) == ["lm_head"]
    assert head_modules(tiny.build("llama").model) == []


@pytest.mark.parametrize(
    ("family", "first_block", "second_block"),
    [
        ("mixtral", 6, 6),  # four of attention, two stacks of experts
        ("deepseek_v2", 8, 10),  # five of latent attention; three dense, or two stacks and three shared
        ("deepseek_v3", 8, 10),
        ("qwen2_moe", 9, 9),  # four of attention, two stacks, three of the shared expert
    ],
)
def test_all_linear_takes_every_expert_and_no_router(family: str, first_block: int, second_block: int) -> None:
    chosen = resolve_targets(tiny.build(family), "all-linear")
    assert not [name for name in chosen if {"gate", "router", "shared_expert_gate", "lm_head"} & set(name.split("."))]
    assert [name for name in chosen if name.endswith("experts.gate_up_proj")]
    counts = [len([name for name in chosen if f"layers.{block}." in name]) for block in (0, 1)]
    assert counts == [first_block, second_block]


def test_a_router_is_adapted_by_its_name_alone() -> None:
    model = tiny.build("qwen2_moe")
    assert resolve_targets(model, ["shared_expert_gate"]) == [
        "model.layers.0.mlp.shared_expert_gate",
        "model.layers.1.mlp.shared_expert_gate",
    ]


def test_gate_projections_are_no_routers() -> None:
    chosen = resolve_targets(tiny.build("deepseek_v2"), ["gate_proj"])
    assert [name.split("mlp.")[1] for name in chosen] == ["gate_proj", "shared_experts.gate_proj"]


def test_what_peft_takes_for_experts_goes_by_its_weight() -> None:
    """Otherwise PEFT turns gate_proj into the stack gate_up_proj and drops the dense and shared layers."""
    model = tiny.build("deepseek_v2")
    targets = peft_targets(model, resolve_targets(model, "all-linear"))
    assert "gate_proj.weight" in targets.parameters
    assert "experts.gate_up_proj" in targets.parameters
    assert not {"gate_proj", "up_proj", "down_proj"} & set(targets.modules)
