"""The arithmetic of a step at the real shapes stays within the goals; no GPU, no weights."""

from __future__ import annotations

import pytest

from benchmarks.bodies import BODIES
from benchmarks.flops import GOALS, OWN, count_step, ratios

pytestmark = pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated:FutureWarning")


@pytest.mark.parametrize("shape", ["0.5B", "7B"])
def test_a_step_costs_what_the_teacher_s_forward_costs(shape: str) -> None:
    found = ratios(BODIES[shape])
    for variant, goal in GOALS.items():
        assert 1 < found[variant] <= goal


def test_the_counter_sees_what_it_should() -> None:
    """Per layer of 7B: 202 M weights, 2 FLOP each and token forward; twice forward and once backward to the inputs."""
    body = BODIES["7B"]
    tokens = body.sequences * body.length
    weights = 4 * 4096**2 + 3 * 4096 * 11_008
    spent = count_step(body, 1.0)
    dense = 2 * tokens * weights * body.layers
    assert dense < spent.teacher_body < 1.1 * dense, "adapters off: the base and attention"
    assert 3 * dense < spent.body < 3.7 * dense, "forward, recomputation, backward without weight gradients"
    assert count_step(body, 0.0, anchor="none").body < spent.body
    assert count_step(body, 1.0, anchor="folded").body < spent.body
    head = 2 * 0.6 * tokens * body.width * body.vocabulary
    assert 3 * head < spent.head < 3.4 * head
    assert count_step(body, 0.0).head == pytest.approx(2 * head)
    assert ratios(body)[OWN] == 1
