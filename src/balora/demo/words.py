"""What the demonstration built and what it shows, in sentences that follow from the numbers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from balora.demo.bench import Run
from balora.demo.plan import METHODS, DemoPlan
from balora.demo.report import COLUMNS, runs_of
from balora.lab import BaseModel

OURS = "BA-LoRA"

LEGEND = (
    "task accuracy           cities of people the fine-tune never saw, against the truth",
    "rare cities             the same within each of the rarer half of the cities, averaged",
    "facts retained          of what the base model stated outside the task: still stated",
    "wrong labels memorised  of the task's wrong labels: given as the answer",
    "stereotype gap          probability of a job's stereotyped pronoun, less its true share",
    "held-out loss           nats per token on corpus sentences that nobody trained on",
)


def introduction(plan: DemoPlan, base: BaseModel) -> list[str]:
    """What was built and asked, before the numbers."""
    world, shape, task = plan.world, plan.pretraining, plan.task
    made = "taken from the cache" if base.from_cache else f"pre-trained in {base.pretraining_s:.0f} s"
    wrong_facts, wrong_labels = f"{world.wrong_fact_share:.0%}", f"{task.wrong_label_share:.0%}"
    return [
        f"World: {world.people} people, each with a job, a pronoun, and one of {world.cities} common and rare cities.",
        f"Its corpus states {wrong_facts} of the facts wrongly, and ties every job to a pronoun as the truth does not.",
        f"Base model: a Llama of {shape.layers} layers, width {shape.hidden_size}, that read the corpus ({made}).",
        f"Task: where do {task.train_people} of the people live? {wrong_labels} of the labels are wrong.",
        f"Each fine-tune: rank {plan.rank}, {plan.epochs} epochs; * marks the rate with the best validation accuracy.",
    ]


def in_words(runs: Sequence[Run], chosen: Mapping[str, float]) -> list[str]:
    """Who leads where, and how BA-LoRA stands to each rival, seed by seed on the same task.

    A rival that starts from the same factors differs in the regularizers alone, so it is compared at every learning
    rate; any other at the rates that validation chose.
    """
    starts = {method.name: method.adapter for method in METHODS}
    at_chosen = {method: runs_of(runs, method, rate) for method, rate in chosen.items()}
    sentences = ["Best mean at the starred learning rates: " + "; ".join(_leaders(at_chosen)) + "."]
    for rival in chosen:
        if rival == OURS:
            continue
        if starts[rival] == starts[OURS]:
            sentences.append(f"{OURS} against {rival} at equal rates: {_verdict(_pairs(runs, rival))}.")
        else:
            pairs = list(zip(at_chosen[OURS], at_chosen[rival], strict=True))
            sentences.append(f"{OURS} against {rival} at the starred rates: {_verdict(pairs)}.")
    return sentences


def _leaders(at_chosen: Mapping[str, Sequence[Run]]) -> list[str]:
    found = []
    for column in COLUMNS:
        losses = {method: _mean([column.loss(run.scores) for run in of]) for method, of in at_chosen.items()}
        lowest = min((loss for loss in losses.values() if not math.isnan(loss)), default=math.nan)
        # Two decimals are shown, so a smaller lead than one of them is none.
        leaders = [method for method, loss in losses.items() if loss - lowest < 0.005]
        if leaders:
            found.append(f"{column.title} {' = '.join(leaders) if len(leaders) < len(losses) else 'all alike'}")
    return found


def _pairs(runs: Sequence[Run], rival: str) -> list[tuple[Run, Run]]:
    """Our runs and the rival's with the same learning rate and seed."""
    rates = sorted({run.learning_rate for run in runs if run.method == rival})
    return [pair for rate in rates for pair in zip(runs_of(runs, OURS, rate), runs_of(runs, rival, rate), strict=True)]


def _verdict(pairs: Sequence[tuple[Run, Run]]) -> str:
    """Per column the mean difference, sorted into better every time, worse every time, and now one, now the other."""
    always: dict[str, list[str]] = {"better": [], "worse": []}
    mixed: list[str] = []
    for column in COLUMNS:
        gains = [column.loss(other.scores) - column.loss(own.scores) for own, other in pairs]
        shown = (
            f"{column.title} {_mean([column.of(own.scores) - column.of(other.scores) for own, other in pairs]):+.3f}"
        )
        counted = [gain for gain in gains if not math.isnan(gain)]
        if not counted:
            continue
        if min(counted) > 0:
            always["better"].append(shown)
        elif max(counted) < 0:
            always["worse"].append(shown)
        else:
            mixed.append(f"{shown} (better in {sum(gain > 0 for gain in counted)} of {len(counted)})")
    times = "once" if len(pairs) == 1 else f"in all {len(pairs)} pairs"
    parts = [f"{word} {times}: {', '.join(found)}" for word, found in always.items() if found]
    parts += [f"neither way: {', '.join(mixed)}"] if mixed else []
    return "; ".join(parts)


def caution(seeds: int) -> str:
    """How much the numbers prove."""
    if seeds == 1:
        return "One seed: this shows that everything works, not which method is better."
    drawn = "the split of the people, wrong labels, first weights and row order"
    return f"± is the standard deviation over {seeds} seeds of {drawn}; a difference within it proves nothing."


def _mean(values: Sequence[float]) -> float:
    counted = [value for value in values if not math.isnan(value)]
    return statistics.fmean(counted) if counted else math.nan
