"""Bias benchmarks as suites: items planned before any weights are loaded, models in the form that they ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers

from balora.data import SourceRecord
from balora.errors import DataError, ModelError
from balora.evaluation.bias import (
    BENCHMARKS,
    UNDER_THE_WORD_HEAD,
    BiasItems,
    BiasReport,
    BiasSettings,
    LanguageModel,
    ModelKind,
    benchmarks_in,
    masked_twin,
    measure_bias,
    read_benchmarks,
    source_in,
)
from balora.evaluation.intervals import Estimate
from balora.evaluation.settings import ScoringSettings
from balora.evaluation.transcripts import sha256_of
from balora.models import load_config
from balora.run.evaluation_scored import Scored, Tell
from balora.run.subject import LoadedSubject, Subject, best_device, check_recorded_base

BIAS = "bias"
"""Every benchmark that the folder of data holds."""
_HUB = "hub"


@dataclass(frozen=True)
class BiasJob:
    """A bias benchmark, asked of a model with a head for words."""

    suite: str
    items: BiasItems
    settings: BiasSettings
    kind: ModelKind
    """By which rules the model is scored."""
    source: SourceRecord
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BiasFound:
    """One benchmark, measured."""

    report: BiasReport
    scored: Scored
    """Its counts, items and notes; the numbers stand below."""
    tuned: Mapping[str, Estimate]
    """The main number first."""
    base: Mapping[str, Estimate]
    difference: Mapping[str, Estimate]


@dataclass(frozen=True)
class AskedModels:
    """The models of a subject in the form that benchmarks ask them, the base first where it is compared."""

    models: Mapping[str, LanguageModel]
    notes: tuple[str, ...] = ()


def bias_job(subject: Subject, name: str, data: Path | None, limit: int | None, settings: ScoringSettings) -> BiasJob:
    """A benchmark with its items, read and checked.

    Raises:
        ModelError: the model has no words to compare.
        DataError: files are missing or do not fit.
    """
    kind = kind_asked(subject)
    benchmark = BENCHMARKS[name]
    if kind not in benchmark.kinds:
        what = f"{benchmark.title} is for {' and '.join(benchmark.kinds)} models, this one is {kind}"
        raise ModelError.at("--suite", what, "leave it out")
    chosen = rules_of(settings, limit)
    source = _HUB if data is None else source_in(data, name)
    (items,) = read_benchmarks({name: source}, chosen)
    digests = list(items.files.values())
    digest = digests[0] if len(digests) == 1 else sha256_of(digests)
    return BiasJob(name, items, chosen, kind, SourceRecord(source, None, digest, items.of))


def rules_of(settings: ScoringSettings, limit: int | None) -> BiasSettings:
    """How benchmarks are scored: the settings of all suites, and over them those under `bias`.

    >>> rules_of(ScoringSettings(seed=3, bias=BiasSettings(decimals=1)), 50).max_items
    50
    """
    given = settings.bias.model_dump(exclude_unset=True) if settings.bias is not None else {}
    shared = {"batch_size": settings.batch_size, "seed": settings.seed, "resamples": settings.resamples}
    return BiasSettings.model_validate({**shared, "max_items": limit, **given})


def held_benchmarks(subject: Subject, data: Path | None) -> list[str]:
    """The benchmarks that `bias` stands for: those in the folder that make sense for this kind of model.

    Raises:
        ModelError: the model has no words to compare.
        DataError: no folder is named, or it holds none.
    """
    kind = kind_asked(subject)
    if data is None:
        what = "the authors' files are on no hub, but for copies of crows_pairs and bbq"
        raise DataError.at("--data", what, "name the folder that holds crows_pairs/, stereoset/, winobias/, ...")
    return [name for name in benchmarks_in(data) if kind in BENCHMARKS[name].kinds]


def kind_asked(subject: Subject) -> ModelKind:
    """By which rules a subject is asked for words.

    A model that writes is asked as it is. So is a masked one, and the encoder under a classification adapter is put
    under the base's own word head (`masked_twin`): what is measured is what the fine-tune did to the body.

    Raises:
        ModelError: an encoder-decoder, a whole model with a head for classes, or a classifier that is no encoder.
    """
    settings = subject.whole or subject.base
    config = load_config(settings)
    name = settings.name_or_path
    if config.is_encoder_decoder:
        what = f"'{name}' reads and writes with two stacks; bias benchmarks compare probabilities of one running text"
        raise ModelError.at("--suite", what, "leave them out")
    if subject.task == "generation":
        return "masked" if is_masked(config) else "causal"
    if subject.adapter is None:
        what = f"'{name}' has a head for classes and no other; bias benchmarks compare probabilities of words"
        raise ModelError.at("--suite", what, "train an adapter, which can be put under the base's own word head")
    if type(config) not in transformers.MODEL_FOR_MASKED_LM_MAPPING:
        what = f"'{name}' ({config.model_type}) is no masked language model, and the adapter has a head for classes"
        raise ModelError.at("--suite", what, "bias is measured on models that write, masked models and their adapters")
    return "masked"


def is_masked(config: Any) -> bool:
    """Whether a configuration is that of a masked language model and of nothing that writes."""
    names = config.architectures or []
    return bool(names) and all(name.endswith(("ForMaskedLM", "ForPreTraining")) for name in names)


def asked_under_word_head(subject: Subject, *, base: bool, batch_size: int) -> AskedModels:
    """A masked model, or the encoder of a classification adapter under its base's word head.

    Raises:
        ModelError: the base is another one, or holds no word head, or the adapter cannot be put under it.
    """
    said = check_recorded_base(subject)
    twin = masked_twin(subject.base, subject.adapter)
    twin.model.to(best_device())
    models = twin.asked(batch_size=batch_size)
    notes = said if subject.adapter is None else [*said, UNDER_THE_WORD_HEAD]
    return AskedModels(_compared(models["base"], models["tuned"], base=base), tuple(notes))


def asked_as_it_is(
    tuned: LoadedSubject,
    base: tuple[LoadedSubject, Callable[[], AbstractContextManager[Any]]] | None,
    *,
    batch_size: int,
) -> AskedModels:
    """A model that writes.

    Args:
        tuned: with its adapter on.
        base: the base, which may be the same model, and the context that makes it the base; None: not compared.
        batch_size: rows per forward.
    """
    ours = LanguageModel(tuned.model, tuned.tokenizer, batch_size=batch_size, around=nullcontext)
    if base is None:
        return AskedModels({"tuned": ours})
    other, around = base
    theirs = LanguageModel(other.model, other.tokenizer, batch_size=batch_size, around=around)
    return AskedModels(_compared(theirs, ours, base=True))


def _compared(theirs: LanguageModel, ours: LanguageModel, *, base: bool) -> dict[str, LanguageModel]:
    return {"base": theirs, "tuned": ours} if base else {"tuned": ours}


def measured_job(job: BiasJob, asked: AskedModels, tell: Tell) -> BiasFound:
    """One benchmark on the models; the numbers, intervals and tests are those of `measure_bias`."""
    begun: list[str] = []

    def next_model(benchmark: str, model: str) -> None:
        del benchmark
        tell(len(begun), len(asked.models))
        begun.append(model)

    report = measure_bias(asked.models, [job.items], settings=job.settings, tell=next_model)
    tell(len(asked.models), len(asked.models))
    found = report.benchmarks[job.suite]
    changes = found.changes.get("tuned", {})
    names = [found.headline, *(name for name in found.scores["tuned"] if name != found.headline)]
    texts = [sha256_of(repr(item)) for item in job.items.items]
    scored = Scored(
        scores={},
        outcomes={},
        clusters=tuple(texts),
        prompt_sha256=sha256_of(texts),
        harness="balora",
        facts={model: dict(counts) for model, counts in found.counts.items()},
        notes=(*asked.notes, *found.notes),
    )
    return BiasFound(
        report=report,
        scored=scored,
        tuned={name: found.scores["tuned"][name] for name in names},
        base={name: found.scores["base"][name] for name in names} if "base" in found.scores else {},
        difference={name: changes[name].difference for name in names if name in changes},
    )
