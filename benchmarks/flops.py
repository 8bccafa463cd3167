"""Matrix-product FLOPs of a step, counted on meta tensors: no GPU, no weights, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaForCausalLM

from balora.adapters import AdapterConfig, adapters_off, attach_adapter
from balora.adapters.anchor import anchor_layer
from balora.adapters.factors import Factors
from balora.adapters.fold import fold_anchor
from balora.losses import FusedOptions, HeadGram, fused_generation_objective
from benchmarks.bodies import BODIES, SUPERVISED, Body
from benchmarks.measure import Result

OWN = "own PiSSA (weights 0)"
SHARES = {OWN: 0.0, "balora": 1.0, "balora, teacher on 1/4": 0.25}
"""Variant -> share of the sequences that the teacher looks at."""
GOALS = {"balora": 1.34, "balora, teacher on 1/4": 1.10}
"""Largest allowed FLOPs over those of our own PiSSA."""
COUNTED_LAYERS = 2
"""Layers that are counted; all are alike, so the rest follows by multiplication."""


@dataclass(frozen=True)
class Spent:
    """FLOPs of one optimiser step."""

    body: float
    head: float
    teacher_body: float

    def total(self) -> float:
        """All of them."""
        return self.body + self.head + self.teacher_body


def count_step(body: Body, share: float, *, anchor: Literal["beside", "folded", "none"] = "beside") -> Spent:
    """One step on full sequences with gradient checkpointing, teacher on `share` of them.

    Without an anchor it is PEFT's PiSSA, whose base is changed instead.

    The head sees the supervised tokens only. Eigensolvers are not counted; the products around them are.
    """
    scale = body.layers / COUNTED_LAYERS
    ids = torch.zeros(body.sequences, body.length, dtype=torch.int64, device="meta")
    model = _adapted_on_meta(body, anchor)
    with FlopCounterMode(display=False) as student:
        states = _states(model, ids)
        states.backward(torch.empty_like(states))
    teacher = 0.0
    asked = round(share * body.sequences)
    if asked:
        with torch.no_grad(), adapters_off(model), FlopCounterMode(display=False) as counter:
            _states(model, ids[:asked])
        teacher = counter.get_total_flops() * scale
    return Spent(student.get_total_flops() * scale, _head_flops(body, share), teacher)


def _head_flops(body: Body, share: float) -> float:
    """The fused objective on as many rows as a step has, counted on few: products grow with rows."""
    rows, groups = 16 * 64, body.sequences // 4
    factor = SUPERVISED * body.sequences * body.length / rows
    weights = {"consistency": 0.025, "diversity": 0.005, "spectral": 0.005} if share else {}
    width, dtype = 64, torch.float32
    # Real, small widths and vocabularies; products scale with both.
    head = torch.randn(256, width, dtype=dtype)
    hidden = torch.randn(rows, width, requires_grad=True)
    asked = torch.arange(rows) < share * rows
    options = FusedOptions(teacher_mask=asked, head_gram=HeadGram.of(head), chunk_bytes=1)
    teacher = hidden.detach()[asked]
    with FlopCounterMode(display=False) as counter:
        rowwise = {**weights, "spectral": 0.0}
        fused_generation_objective(
            hidden, teacher, head, torch.zeros(rows, dtype=torch.int64), weights=rowwise, options=options
        ).total.backward()
    products = counter.get_total_flops() * factor * (body.width / width) * (body.vocabulary / 256)
    spectral = 0.0
    if share:
        # H·G, its gradient, and 6 warm iterations on 26 directions, per group of 4 sequences.
        valid = SUPERVISED * body.sequences * body.length
        per_row = 2 * body.width * body.width * 2 + 7 * 2 * 2 * body.width * 26
        spectral = valid * per_row + groups * 7 * 2 * body.width * body.width * 26
    return products + spectral


def _states(model: nn.Module, ids: Tensor) -> Tensor:
    body = next(module for module in model.modules() if isinstance(module, LlamaForCausalLM)).model
    # A finished mask: making one looks at values, and there are none.
    mask = torch.ones(len(ids), 1, ids.shape[1], ids.shape[1], dtype=torch.bool, device=ids.device)
    states: Tensor = body(input_ids=ids, attention_mask=mask).last_hidden_state
    return states


def _adapted_on_meta(body: Body, anchor: str) -> nn.Module:
    config = body.config()
    config.num_hidden_layers = COUNTED_LAYERS
    with torch.device("meta"):
        adapted = attach_adapter(LlamaForCausalLM(config), AdapterConfig(method="lora", r=body.rank))
        for name, module in adapted.named_modules() if anchor != "none" else ():
            if isinstance(module, LoraLayer):
                out, into = module.get_base_layer().weight.shape
                factors = Factors(torch.empty(body.rank, into), torch.empty(out, body.rank))
                if anchor == "folded":
                    fold_anchor(name, module, factors)
                else:
                    anchor_layer(module, factors)
    adapted.gradient_checkpointing_enable({"use_reentrant": False, "preserve_rng_state": False})
    adapted.enable_input_require_grads()
    return adapted.train()


def ratios(body: Body) -> dict[str, float]:
    """FLOPs of every variant over those of our own PiSSA."""
    counted = {variant: count_step(body, share).total() for variant, share in SHARES.items()}
    counted["balora, folded anchor"] = count_step(body, 1.0, anchor="folded").total()
    counted["balora, folded anchor, teacher on 1/4"] = count_step(body, 0.25, anchor="folded").total()
    counted["PEFT PiSSA, head on valid tokens"] = count_step(body, 0.0, anchor="none").total()
    return {variant: flops / counted[OWN] for variant, flops in counted.items()}


def run(device: str, *, rounds: int, shapes: tuple[str, ...] = ()) -> list[Result]:
    """The two real shapes; `device` and `rounds` do not matter."""
    del device, rounds
    results = []
    for name in [name for name in ("0.5B", "7B") if not shapes or name in shapes]:
        result = Result(f"FLOPs of a step, {name}", "meta", OWN)
        result.notes = [
            f"{variant}: {ratio:.3f} of our own PiSSA" + (f" (goal {GOALS[variant]})" if variant in GOALS else "")
            for variant, ratio in ratios(BODIES[name]).items()
        ]
        results.append(result)
    return results
