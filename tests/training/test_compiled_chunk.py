"""The compiled loss is the plain one, or is not used."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from balora.losses.fused_rows import AfterHead, RowScales, RowTerms, chunk_with_gradient
from balora.training.compiled_chunk import chunk_function_for

CPU = torch.device("cpu")


@pytest.mark.parametrize("soft_cap", [None, 5.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("asked", [True, False])
def test_the_whole_chunk_is_one_graph(dtype: torch.dtype, soft_cap: float | None, asked: bool) -> None:
    """Traced by the compiler without a break; the back end is PyTorch's own, so that no toolchain is needed."""
    torch.compiler.reset()
    compiled = torch.compile(chunk_with_gradient, backend="aot_eager", fullgraph=True)
    for rows, weight in ((6, 0.3), (5, 0.1), (4, 0.1)):
        product = torch.randn(rows, 40).to(dtype)
        shares = torch.rand(rows)
        terms = RowTerms(torch.tensor(weight), torch.tensor(weight), 2.0, 4, 0.1)

        def call(
            function: Any, product: Any = product, terms: Any = terms, shares: Any = shares, rows: int = rows
        ) -> Any:
            after = AfterHead(torch.ones(40), 0.5, soft_cap)
            teacher = ((product + 1).clone(), after) if asked else None
            return function(
                (product.clone(), after), teacher, torch.arange(rows) % 40, RowScales(shares, shares), terms
            )

        (sums, by_product), (true_sums, truth) = call(compiled), call(chunk_with_gradient)
        torch.testing.assert_close(torch.stack([*sums]), torch.stack([*true_sums]))
        torch.testing.assert_close(by_product, truth)


def test_compiling_is_for_cuda_unless_asked_for() -> None:
    assert chunk_function_for("auto", CPU, torch.float32) == (chunk_with_gradient, "")
    assert chunk_function_for(False, torch.device("cuda"), torch.float32) == (chunk_with_gradient, "")
    function, reason = chunk_function_for(True, CPU, torch.float32, backend="aot_eager")
    assert function is not chunk_with_gradient
    assert reason == ""


def test_a_compiler_that_fails_or_errs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_args: Any, **_options: Any) -> Any:
        raise OSError("no toolchain")

    monkeypatch.setattr(torch, "compile", lambda function, **_options: failing)
    function, reason = chunk_function_for(True, CPU, torch.float32)
    assert function is chunk_with_gradient
    assert "OSError" in reason

    def wrong(*args: Any) -> Any:
        sums, by_product = chunk_with_gradient(*args)
        return sums, by_product * 1.01

    monkeypatch.setattr(torch, "compile", lambda function, **_options: wrong)
    function, reason = chunk_function_for(True, CPU, torch.float32)
    assert function is chunk_with_gradient
    assert "differs" in reason


def test_a_second_run_compiles_for_itself() -> None:
    """Dynamo gives up on a function after some variants; a run must not start with another's."""
    first, second = (chunk_function_for(True, CPU, torch.float32, backend="aot_eager")[0] for _ in range(2))
    assert first is not second
    torch._dynamo.utils.counters.clear()
    for weight in (None, torch.tensor(0.5)):
        for rows in (6, 5, 1):
            for function in (first, second):
                after, shares = AfterHead(), torch.rand(rows)
                terms = RowTerms(weight, None, 2.0, 4)
                teacher = None if weight is None else (torch.randn(rows, 40), after)
                function((torch.randn(rows, 40), after), teacher, torch.arange(rows), RowScales(shares, shares), terms)
    assert not torch._dynamo.utils.counters["graph_break"]
    assert not torch._dynamo.utils.counters["unimplemented"]
