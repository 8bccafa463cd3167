"""What the demonstration built and what it shows, in sentences that follow from the numbers."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Mapping, Sequence

from balora.lab import LabSettings
from balora.report.numbers import label_of, number
from balora.study import Metric, Run, Study, StudyResults

OURS = "BA-LoRA"
SAME_START = ("PiSSA",)
"""Rivals that start from the same factors: at the same learning rate only the regularizers differ."""
RATE = "training.learning_rate"
LINE_WIDTH = 110
"""Characters of a line of prose, about those of the table."""

LEGEND = (
    "task accuracy           cities of people the fine-tune never saw, against the truth",
    "rare cities             the same within each of the rarer half of the cities, averaged",
    "facts retained          of what the base model stated outside the task: still stated",
    "wrong labels memorised  of the task's wrong labels: given as the answer",
    "stereotype gap          probability of a job's stereotyped pronoun, less its true share",
    "held-out loss           nats per token on corpus sentences that nobody trained on",
    "▲ ▼                     significantly better, worse than LoRA (tests in the report); ○ not testable",
)


def introduction(study: Study) -> list[str]:
    """What is built and asked, before the numbers."""
    prepare = study.prepare.values if study.prepare is not None else {}
    lab, recipe = LabSettings.model_validate(prepare.get("lab", {})), study.base.values
    world, shape, task = lab.world, lab.pretraining, lab.task
    wrong_facts, wrong_labels = f"{world.wrong_fact_share:.0%}", f"{task.wrong_label_share:.0%}"
    tune = study.settings.tune
    if tune is None:
        chosen = f"; every method at learning rate {shared_rate(study):g}"
    else:
        chosen = f"; each method chooses its rate of {', '.join(f'{rate:g}' for rate in tune.keys[RATE])} on validation"
    return [
        f"World: {world.people} people, each with a job, a pronoun, and one of {world.cities} common and rare cities.",
        f"Its corpus states {wrong_facts} of the facts wrongly, and ties every job to a pronoun as the truth does not.",
        f"Base model: a Llama of {shape.layers} layers, width {shape.hidden_size}, that read the corpus.",
        f"Task: where do {task.train_people} of the people live? {wrong_labels} of the labels are wrong.",
        f"Each fine-tune: rank {recipe['adapter']['r']}, {recipe['training']['num_train_epochs']} epochs{chosen}.",
    ]


def chosen_rates(results: StudyResults) -> dict[str, float]:
    """Method -> the learning rate that its sweep chose; empty without a sweep."""
    return {
        run.levels[results.compare]: float(run.chosen[RATE])
        for run in results.runs
        if run.stage == "final" and RATE in run.chosen
    }


def shared_rate(study: Study) -> float:
    """The learning rate of every fine-tune where nothing is tuned."""
    return float(study.base.values["training"]["learning_rate"])


def in_words(results: StudyResults) -> list[str]:
    """Who leads where, and how BA-LoRA stands to each rival, seed by seed on the same task."""
    runs = {method: _finals(results, method) for method in results.axes[results.compare]}
    leaders = _leaders(results.metrics, runs)
    sentences = [f"Best mean: {'; '.join(leaders)}."] if leaders else []
    rates = chosen_rates(results)
    for rival, theirs in runs.items():
        seeds = sorted(theirs.keys() & runs.get(OURS, {}).keys())
        if rival != OURS and seeds:
            verdict = _verdict(results.metrics, [(runs[OURS][seed], theirs[seed]) for seed in seeds])
            sentences.append(f"{OURS} against {rival}{_terms(rates, rival)}: {verdict}.")
    return sentences


def caution(seeds: int) -> str:
    """How much the numbers prove."""
    if seeds == 1:
        return "One seed: this shows that everything works, not which method is better."
    drawn = "the split of the people, wrong labels, first weights and row order"
    return f"± is the standard deviation over {seeds} seeds of {drawn}; a difference within it proves nothing."


def wrapped(sentence: str) -> list[str]:
    """A sentence as lines of the text."""
    return textwrap.wrap(sentence, LINE_WIDTH, subsequent_indent="  ", break_long_words=False)


def _finals(results: StudyResults, method: str) -> dict[int, Run]:
    """Seed -> the run that counts."""
    return {
        run.seed: run
        for run in results.runs
        if run.stage == "final" and run.state == "done" and run.levels[results.compare] == method
    }


def _terms(rates: Mapping[str, float], rival: str) -> str:
    """What else differs between the two than what their names say."""
    if rates.get(OURS) != rates.get(rival):
        return f" (at unequal rates, {rates[OURS]:g} and {rates[rival]:g})"
    return " (same start and rate: only the regularizers differ)" if rival in SAME_START else " (at the same rate)"


def _loss(run: Run, metric: Metric) -> float | None:
    """The score turned so that less is better; of a gap, its distance from none."""
    value = run.scores.get(metric.key)
    if value is None:
        return None
    return -metric.sign * metric.compared(metric.scale * value)


def _leaders(metrics: Sequence[Metric], runs: Mapping[str, Mapping[int, Run]]) -> list[str]:
    found = []
    for metric in metrics:
        losses: dict[str, float] = {}
        for method, of_method in runs.items():
            known = [loss for run in of_method.values() if (loss := _loss(run, metric)) is not None]
            losses |= {method: statistics.fmean(known)} if known else {}
        # A lead that the decimals do not show is none.
        shown = 0.5 * 10**-metric.digits
        leaders = [method for method, loss in losses.items() if loss - min(losses.values()) < shown]
        if leaders:
            found.append(f"{metric.title} {' = '.join(leaders) if len(leaders) < len(losses) else 'all alike'}")
    return found


def _verdict(metrics: Sequence[Metric], pairs: Sequence[tuple[Run, Run]]) -> str:
    """Per score the mean difference, sorted into better every time, worse every time, and now one, now the other."""
    always: dict[str, list[str]] = {"better": [], "worse": []}
    mixed: list[str] = []
    for metric in metrics:
        gains, differences = [], []
        for own, other in pairs:
            mine, theirs = _loss(own, metric), _loss(other, metric)
            if mine is not None and theirs is not None:
                gains.append(round(theirs - mine, metric.digits))
                differences.append(metric.scale * (own.scores[metric.key] - other.scores[metric.key]))
        if not gains:
            continue
        shown = f"{label_of(metric)} {number(statistics.fmean(differences), metric.digits, signed=True)}"
        if min(gains) > 0:
            always["better"].append(shown)
        elif max(gains) < 0:
            always["worse"].append(shown)
        else:
            mixed.append(f"{shown} (better in {sum(gain > 0 for gain in gains)} of {len(gains)})")
    times = "once" if len(pairs) == 1 else f"in all {len(pairs)} pairs"
    parts = [f"{word} {times}: {', '.join(found)}" for word, found in always.items() if found]
    parts += [f"neither way: {', '.join(mixed)}"] if mixed else []
    return "; ".join(parts)
