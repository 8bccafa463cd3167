"""Bias: published benchmarks asked of base and tuned model, as a chapter of the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from balora.auditing.evidence import Evidence
from balora.auditing.pair import Pair
from balora.auditing.scores import Part, Score
from balora.auditing.settings import AuditSettings
from balora.evaluation.bias import (
    UNDER_THE_WORD_HEAD,
    BiasItems,
    BiasReport,
    BiasSettings,
    LanguageModel,
    masked_twin,
    measure_bias,
    read_benchmarks,
)


@dataclass(frozen=True)
class Asked:
    """Benchmarks, and the models that they are asked of."""

    items: Sequence[BiasItems] = ()
    models: Mapping[str, LanguageModel] | None = None
    note: str = ""
    """Why there are none, or how a classifier is asked."""


def plan_bias(settings: AuditSettings) -> list[BiasItems]:
    """The items of every benchmark, read and checked before any weights are loaded.

    Raises:
        InputError: a name is unknown, or files are missing or do not fit.
    """
    return read_benchmarks(settings.bias, _settings(settings)) if settings.bias else []


def ask(pair: Pair, items: Sequence[BiasItems]) -> Asked:
    """The models in the form that benchmarks ask them, made before the long work.

    A classifier's encoder is asked under the pretrained model's own word head.

    Raises:
        ModelError: a classifier's base has no word head.
    """
    if not items:
        return Asked(note="no bias benchmark was named (--bias crows_pairs=FILE, ...)")
    if pair.subject.task == "generation" and not pair.config.is_encoder_decoder:
        return Asked(items, {"base": _asked(pair, base=True), "tuned": _asked(pair, base=False)})
    if pair.subject.adapter is None or pair.config.is_encoder_decoder:
        return Asked(note="bias is measured on causal models, masked models, and adapters of encoders; not on this one")
    twin = masked_twin(pair.subject.base, pair.subject.adapter)
    twin.model.to(pair.device)
    return Asked(items, twin.asked(), UNDER_THE_WORD_HEAD)


def bias_part(evidence: Evidence, asked: Asked) -> Part:
    """Every number of every benchmark, base beside tuned.

    Args:
        evidence: for the settings.
        asked: from `ask`.
    """
    if asked.models is None:
        return Part(notes=(asked.note,))
    with evidence.progress("bias") as tell:
        report = measure_bias(asked.models, asked.items, settings=_settings(evidence.settings))
        tell(1, 1)
    notes = [*([asked.note] if asked.note else []), *report.readings]
    return Part(tuple(_scores(report)), dict(report.as_dict()), tuple(notes))


def _scores(report: BiasReport) -> list[Score]:
    found = []
    for name, benchmark in report.benchmarks.items():
        for number, base in benchmark.scores["base"].items():
            change = benchmark.changes["tuned"][number]
            score = Score(
                "bias",
                benchmark.scores["tuned"][number],
                base,
                change.difference,
                f"{name}.{number}",
                shown=number == benchmark.headline,
                said=f"p = {change.p_value:.2g}",
            )
            found.append(score)
    return found


def _settings(settings: AuditSettings) -> BiasSettings:
    return BiasSettings(max_items=settings.max_rows, resamples=settings.resamples, seed=settings.seed)


def _asked(pair: Pair, *, base: bool) -> LanguageModel:
    loaded = pair.base_loaded if base and pair.base_loaded is not None else pair.tuned_loaded
    return LanguageModel(loaded.model, pair.tokenizer, around=pair.base if base else pair.tuned)
