"""What to say when a run has used up the machine's memory: how much it needs, for what, and what to change."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from transformers import TrainingArguments

from balora.errors import BaloraError, ResourceError, causes, is_out_of_memory
from balora.main_memory import came_to_its_limit, memory_in_words
from balora.recipe import Recipe
from balora.run.parts import Inputs
from balora.run.resources.estimate import Estimate, estimate, sized
from balora.run.resources.foresight import rough_memory


@dataclass(frozen=True, slots=True)
class Needs:
    """A run whose needs are to be told where memory runs out."""

    recipe: Recipe
    inputs: Inputs
    arguments: TrainingArguments
    foreseen: Estimate | None = None
    """Reckoned before the start, where that was done."""

    def explained(self, error: BaseException) -> ResourceError | None:
        """The error to end with where memory ran out, with numbers; None for other failures.

        What the failed step held is given back first, so that reckoning finds room.
        """
        if not isinstance(error, Exception) or isinstance(error, BaloraError):
            return None
        exhausted = next((cause for cause in causes(error) if is_out_of_memory(cause)), None)
        if exhausted is None and not (
            isinstance(error, RuntimeError | SystemError | ImportError) and came_to_its_limit(error)
        ):
            return None
        held = memory_in_words()
        for cause in causes(error):
            traceback.clear_frames(cause.__traceback__)
        gc.collect()
        said = (str(exhausted or error).strip().splitlines() or [type(error).__name__])[0][:200]
        return ResourceError(f"out of memory ({said}); {held}; {self._in_words()}; {smaller(self.arguments)}")

    def _in_words(self) -> str:
        found = self.foreseen
        if found is None:
            with suppress(Exception):  # the machine is short of memory: reckoning may fail as well
                found = estimate(self.recipe, self.inputs, self.arguments)
        if found is None:
            rough = rough_memory(self.recipe, self.inputs, self.arguments)
            return f"beside the program itself this run needs at most about {sized(rough)}, by a rough bound"
        parts = {part: size for part, size in found.memory_bytes.items() if part != "program" and size >= 1 << 20}
        shown = ", ".join(f"{part} {sized(size)}" for part, size in parts.items())
        total = found.memory_total_bytes - found.memory_bytes["program"]
        alone = (
            "; most is the program, so first raise the limit on it"
            if total < found.memory_bytes["program"] // 4
            else ""
        )
        amount = f"about {sized(total)}" if total >= 1 << 20 else "less than 1 MiB"
        return f"beside the program itself this run needs {amount}{f' ({shown})' if shown else ''}{alone}"


@contextmanager
def memory_explained(needs: Needs) -> Iterator[None]:
    """Turn running out of memory inside the block into an error with the run's needs and a smaller setting.

    Raises:
        ResourceError: the block ran out of memory.
    """
    try:
        yield
    except Exception as error:
        explained = needs.explained(error)
        if explained is None:
            raise
        raise explained from error


def smaller(arguments: TrainingArguments) -> str:
    """The same training in less memory, as settings to type."""
    rows, parts = arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps
    changes = []
    if rows > 1:
        changes.append(
            f"training.per_device_train_batch_size={rows // 2} training.gradient_accumulation_steps={parts * 2}"
        )
    if not arguments.gradient_checkpointing:
        changes.append("training.gradient_checkpointing=true")
    changes.append("a smaller data.max_length")
    return f"try {', or '.join(changes)}"
