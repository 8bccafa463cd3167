"""R10: what was saved computes the same in a fresh process with another seed: resumed, as plain LoRA, and merged."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from torch import Tensor

from balora.adapters import find_method, load_bottlenecks, load_start, load_trainable_state, save_trainable_state
from tests.adapters.families import IMPOSSIBLE, LATER_METHODS, METHODS, adapt, disturb, inputs_for, logits
from tests.faults.figures import Figures, measure
from tests.faults.selections import environment_of_children
from tests.support import tiny

PROMISE = "saved, then resumed (1e-6), loaded as plain LoRA and merged (1e-5) in a fresh process with another seed"
INITS: dict[str, dict[str, Any]] = {
    "pissa, randomized": {"svd": "randomized", "svd_iterations": 0},
    "pissa": {},
    **{name: {} for name in (*METHODS, *LATER_METHODS)},
    "pissa, randomized with iterations": {"svd": "randomized", "svd_iterations": 4},
    "pissa, folded": {"fold_anchor": True},
}
"""The first ones are those of small counts, and anchored; the very first starts at other factors for another seed."""
FAMILIES = ("llama", "bert")
SEED, OTHER_SEED = 3, 77
LIMITS = {"resumed": 1e-6, "plain": 1e-5, "merged": 1e-5}
"""Way -> largest difference of a logit, over the largest logit or 1."""
CANNOT_MERGE = ("houlsby", "pfeiffer")


def pairs() -> list[tuple[str, str]]:
    """Init and family; gpt2 where the family has not what the method trains."""
    return [(init, "gpt2" if (init, family) in IMPOSSIBLE else family) for init in INITS for family in FAMILIES]


def ways_of(init: str) -> list[str]:
    return [way for way in LIMITS if way != "merged" or init not in CANNOT_MERGE]


def row(folder: Path, count: int) -> Figures:
    """At most `count` cases; an init, a family and a way each."""
    folder.mkdir(parents=True)
    cases = [(init, family, way) for init, family in pairs() for way in ways_of(init)][:count]
    (folder / "pairs.json").write_text(json.dumps(list(dict.fromkeys((i, f) for i, f, _ in cases))))
    began = time.monotonic()
    for work in ("write", "read"):
        command = [sys.executable, "-W", "ignore", "-m", "tests.faults.reloads", work, str(folder)]
        ended = subprocess.run(command, env=environment_of_children(), capture_output=True, text=True, check=False)
    told = folder / "found.json"
    found = json.loads(told.read_text()) if told.is_file() else {}
    worst = dict.fromkeys(LIMITS, 0.0)

    def case(init: str, family: str, way: str) -> str | None:
        gap = found.get(name_of(init, family), {}).get(way, ended.stderr[-300:] or "not read back")
        if not isinstance(gap, float):
            return str(gap)
        worst[way] = max(worst[way], gap)
        return None if gap <= LIMITS[way] else f"a logit differs by {gap:.1e}"

    figures = measure("R10", PROMISE, ((f"{i}, {f}, {w}", partial(case, i, f, w)) for i, f, w in cases))
    figures.seconds = round(time.monotonic() - began, 1)
    figures.facts |= {f"largest_gap_{way}": f"{gap:.1e}" for way, gap in worst.items()}
    return figures


def name_of(init: str, family: str) -> str:
    return f"{init} {family}"


def made(init: str, family: str, seed: int) -> Any:
    transformers.set_seed(seed)
    return adapt(family, init.partition(",")[0], seed=seed, **INITS[init])


def write(folder: Path, init: str, family: str) -> None:
    """A model as training leaves it: the run's adapter, its state, its merged model, and its logits."""
    place, base = folder / name_of(init, family), folder / f"base {family}"
    if not base.exists():
        tiny.FAMILIES[family]().save_pretrained(base)
    model = made(init, family, SEED)
    disturb(model)
    place.mkdir()
    inputs = inputs_for(family)
    torch.save({"inputs": inputs, "logits": logits(model, inputs)}, place / "expected.pt")
    model.save_pretrained(place / "adapter")
    save_trainable_state(model, place)
    if init not in CANNOT_MERGE:
        model.merge_and_unload().save_pretrained(place / "merged")


def read(folder: Path, init: str, family: str, way: str) -> Any:
    """The model again, by one of the ways; the base comes from its folder."""
    place, base = folder / name_of(init, family), folder / f"base {family}"
    if way == "resumed":
        model = made(init, family, OTHER_SEED)
        load_start(model, place)
        load_trainable_state(model, place)
        return model
    kind: Any = transformers.AutoModelForCausalLM
    if family == "bert":
        kind = transformers.AutoModelForSequenceClassification
    if way == "merged":
        return kind.from_pretrained(place / "merged")
    plain = kind.from_pretrained(base)
    low_rank = find_method(init.partition(",")[0].removesuffix("-kpm")).low_rank or init == "bitfit"
    return (
        peft.PeftModel.from_pretrained(plain, place / "adapter")
        if low_rank
        else load_bottlenecks(plain, place / "adapter")
    )


def gap_of(model: Any, expected: dict[str, Any]) -> float:
    wanted: Tensor = expected["logits"]
    gap = (logits(model, expected["inputs"]) - wanted).abs().max() / wanted.abs().max().clamp_min(1)
    return float(gap)


def main() -> int:
    """In one process all models are written, in another one they are read."""
    work, folder, found = sys.argv[1], Path(sys.argv[2]), {}
    torch.set_num_threads(1)
    for init, family in json.loads((folder / "pairs.json").read_text()):
        if work == "write":
            write(folder, init, family)
            continue
        place = folder / name_of(init, family)
        expected = torch.load(place / "expected.pt", weights_only=True)
        gaps: dict[str, float | str] = {}
        for way in ways_of(init):
            transformers.set_seed(OTHER_SEED)
            try:
                gaps[way] = gap_of(read(folder, init, family, way), expected)
            except Exception as error:
                gaps[way] = f"{type(error).__name__}: {error}"
        found[name_of(init, family)] = gaps
    (folder / "found.json").write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
