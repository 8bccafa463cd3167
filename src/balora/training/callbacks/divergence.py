"""Stop before a non-finite update reaches the weights, and say when the loss jumps."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from balora.artefacts import newest_complete
from balora.errors import DivergedError
from balora.training.evidence import SHOWN_ROWS, Finding, StepEvidence, findings
from balora.training.together import from_every_process, largest_of_all


class DivergenceGuard(TrainerCallback):
    """Looks at every term, the gradient and the weights once per optimiser step, in one transfer.

    With several processes what one of them finds stops all of them.
    """

    def __init__(self, evidence: StepEvidence, tell: Callable[[str], None] | None = None) -> None:
        """`tell` is given a line for the user when the loss jumps; left out, it is logged."""
        self.evidence = evidence
        self.spikes = SpikeWatch()
        self.tell = tell or logging.getLogger("balora").warning
        self.place_of: Callable[[int], str] | None = None
        """What the user's files call a training row; None where only its number is known."""

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Raise before the update when something is not finite.

        Raises:
            DivergedError: names the step, what is not finite, and the training rows.
        """
        del control
        step = state.global_step + 1
        found, loss = findings(self.evidence.take(), total_norms(kwargs["model"], gradients=not args.fp16))
        if largest_of_all(bool(found), args.device):
            raise DivergedError(describe(step, from_every_process(found), Path(args.output_dir), self.place_of))
        jump = self.spikes.see(loss)
        if jump and state.is_world_process_zero:
            self.tell(f"step {step}: {jump}")


class SpikeWatch:
    """Compares each step's loss with those before it."""

    WINDOW_STEPS = 128
    FEWEST_STEPS = 32
    SIGMAS = 6.0

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=self.WINDOW_STEPS)
        self._within = False

    def state(self) -> dict[str, Any]:
        """The losses so far, for a checkpoint."""
        return {"losses": list(self._losses), "within": self._within}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with the losses of a checkpoint."""
        self._losses = deque(state["losses"], maxlen=self.WINDOW_STEPS)
        self._within = state["within"]

    def see(self, loss: float) -> str | None:
        """What to say about this step's loss; a spike of several steps is spoken of once."""
        before, said = self._losses, None
        above = False
        if len(before) >= self.FEWEST_STEPS and math.isfinite(loss):
            mean, deviation = fmean(before), pstdev(before)
            # A loss that hardly moves would make a spike of every breath.
            above = loss - mean > max(self.SIGMAS * deviation, 1e-3 * abs(mean))
            if above and not self._within:
                sigmas = (loss - mean) / deviation if deviation else math.inf
                said = f"the loss jumped to {loss:.4g}: {sigmas:.1f} standard deviations above the last {len(before)}"
        self._within = above
        self._losses.append(loss)
        return said


def total_norms(model: nn.Module, *, gradients: bool) -> dict[str, Tensor]:
    """The norms of the gradient and of the trained weights; not finite where one number is not, or reaches 1e19.

    Args:
        model: what is trained.
        gradients: left out under float16, where the loss scaler expects overflows and skips such steps itself.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad and parameter.numel()]
    graded = [parameter.grad for parameter in trained if parameter.grad is not None and gradients]
    found = {"gradient": graded, "weights": [parameter.detach() for parameter in trained]}
    return {name: _norm(tensors) for name, tensors in found.items() if tensors}


def _norm(tensors: list[Tensor]) -> Tensor:
    with torch.no_grad():
        # On a CPU seven times as fast as the largest number (448 tensors of 32768: 6.5 and 46 ms on one core).
        norm = torch.nn.utils.get_total_norm(tensors)
    # Weights that FSDP spreads over processes give a number that is spread as well.
    whole = getattr(norm, "full_tensor", None)
    return norm if whole is None else whole()


def describe(
    step: int, by_process: list[list[Finding]], folder: Path, place_of: Callable[[int], str] | None = None
) -> str:
    """The message of the error: what and where, what that means for the run, and what to do."""
    several = len(by_process) > 1
    told = [
        f"{', '.join(_once(found))}" + (f" on process {process}" if several else "")
        for process, found in enumerate(by_process)
        if found
    ]
    last, _ = newest_complete(folder)
    good = f"the last good checkpoint is {last.name}" if last is not None else "there is no checkpoint yet"
    advice = "lower the learning rate or look at the rows"
    if place_of is not None:
        told += _places(sorted({row for found in by_process for row in (found[0].rows if found else ())}), place_of)
    return f"step {step}: {'; '.join(told)}; stopped before the update, {good}; {advice}"


def _once(found: list[Finding]) -> list[str]:
    """The first finding in full; of the others the names, which mostly follow from it."""
    rest = list(dict.fromkeys(one.name for one in found[1:] if one.name != found[0].name))
    return [str(found[0]), *([f"then {' and '.join(rest)}"] if rest else [])]


def _places(rows: list[int], place_of: Callable[[int], str]) -> list[str]:
    """Where the rows stand; their numbers count from 0, and what was left out is not counted."""
    named = ", ".join(place_of(row) for row in rows[:SHOWN_ROWS])
    more = f" and {len(rows) - SHOWN_ROWS} more" if len(rows) > SHOWN_ROWS else ""
    return [f"these rows (counted from 0) are {named}{more}"] if rows else []
