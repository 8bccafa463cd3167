"""One suite on one model: predictions or texts, turned into scores of any of its items."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from balora.data import SplitName, encode, make_collator
from balora.data.chat import chat_template
from balora.evaluation.finite import check_outputs
from balora.evaluation.generation_suites import GENERATION_SUITES
from balora.evaluation.harness import harness_name, room_for, run_task, write_texts, writer_for
from balora.evaluation.heads import head_outputs
from balora.evaluation.label_words import classes_of, prompt_of, scores_of
from balora.evaluation.metrics import METRICS
from balora.evaluation.resampling import mean_of_rows, ratio_of_rows, score_of_rows
from balora.evaluation.settings import ScoringSettings
from balora.evaluation.transcripts import Transcripts, sha256_of
from balora.models import max_positions
from balora.run.evaluation_jobs import GenerationJob, Job, JudgedJob, LabelledJob, LossJob
from balora.run.evaluation_judged import score_judged
from balora.run.evaluation_scored import Scored, Tell
from balora.run.subject import LoadedSubject, Subject
from balora.task import IGNORED_LABEL

LABEL_WORD_TOKENS = 16
LOSS_BATCH = 4
"""Examples per forward where the logits of a language model are made."""


def score_job(
    job: Job,
    loaded: LoadedSubject,
    subject: Subject,
    settings: ScoringSettings,
    *,
    transcripts: Transcripts,
    tell: Tell,
    say: Callable[[str], None],
) -> Scored:
    """Score a suite with the model as it is now, adapter on or off.

    Raises:
        IncompleteError: a judge may not be asked yet.
    """
    with torch.inference_mode() if isinstance(job, LossJob) else contextlib.nullcontext():
        if isinstance(job, LossJob):
            return _score_loss(job, loaded, subject, tell)
        if isinstance(job, JudgedJob):
            assert transcripts.path is not None
            name = f"{subject.name}@{transcripts.settings_sha256[:8]}"
            return score_judged(
                job, loaded, settings, answers_file=transcripts.path, model_name=name, tell=tell, say=say
            )
        if isinstance(job, GenerationJob):
            return _score_generation(job, loaded, settings, transcripts, tell)
        if job.words is not None:
            return _score_words(job, loaded, settings, transcripts, tell)
        return _score_head(job, loaded, subject, settings, tell)


def _score_head(
    job: LabelledJob, loaded: LoadedSubject, subject: Subject, settings: ScoringSettings, tell: Tell
) -> Scored:
    changes = {} if settings.max_length is None else {"max_length": settings.max_length}
    outputs, cut = head_outputs(
        loaded.model,
        loaded.tokenizer,
        job.examples,
        job.task,
        settings=subject.data.model_copy(update=changes),
        batch_size=settings.batch_size,
        tell=lambda done: tell(done, len(job.examples)),
    )
    if job.head is None:
        predictions: NDArray[np.generic] = outputs[:, 0].astype(np.float64)
    else:
        predictions = outputs[:, list(job.head)].argmax(axis=1)
        for one, other in job.fold.items():
            predictions = np.where(predictions == one, other, predictions)
    facts: dict[str, Any] = {"examples_cut": cut}
    if job.class_names is not None:
        facts["predicted"] = {name: int((predictions == i).sum()) for i, name in enumerate(job.class_names)}
    texts = [[row.text, row.text_pair] for row in job.examples]
    return _labelled(job, predictions, sha256_of(texts), "balora", facts)


def _score_words(
    job: LabelledJob, loaded: LoadedSubject, settings: ScoringSettings, transcripts: Transcripts, tell: Tell
) -> Scored:
    assert job.words is not None
    writer = writer_for(loaded.model, loaded.tokenizer, transcripts, batch_size=settings.batch_size, tell=tell)
    tokens, note = room_for(int(writer.max_length), LABEL_WORD_TOKENS, settings.max_new_tokens)
    generation = {"until": [], "do_sample": False, "temperature": 0.0, "max_gen_toks": tokens}
    prompts = [prompt_of(row, job.words) for row in job.examples]
    texts = write_texts(writer, prompts, generation)
    predictions: NDArray[np.generic]
    if job.class_names is None:
        predictions, unread = scores_of(texts)
    else:
        predictions = classes_of(texts, job.class_names, job.words)
        unread = int((predictions == len(job.class_names)).sum())
    facts = {"no_label_word": unread, "template": job.words.template, "label_words": job.words.words}
    notes = (note,) if note else ()
    return _labelled(job, predictions, sha256_of(prompts), harness_name(), facts, generation, notes)


def _labelled(
    job: LabelledJob,
    predictions: NDArray[np.generic],
    prompt_sha256: str,
    harness: str,
    facts: Mapping[str, Any],
    generation: Mapping[str, Any] | None = None,
    notes: tuple[str, ...] = (),
) -> Scored:
    names = [name for name in job.metrics if METRICS[name].task == job.task]
    return Scored(
        scores={name: score_of_rows(name, predictions, job.references) for name in names},
        outcomes={"accuracy": (predictions == job.references).astype(np.int64)} if "accuracy" in names else {},
        clusters=tuple(sha256_of([row.text, row.text_pair]) for row in job.examples),
        prompt_sha256=prompt_sha256,
        harness=harness,
        generation=generation,
        facts=facts,
        notes=notes,
    )


def _score_generation(
    job: GenerationJob, loaded: LoadedSubject, settings: ScoringSettings, transcripts: Transcripts, tell: Tell
) -> Scored:
    if settings.chat:
        chat_template(loaded.tokenizer)
    writer = writer_for(loaded.model, loaded.tokenizer, transcripts, batch_size=settings.batch_size, tell=tell)
    tokens, note = room_for(int(writer.max_length), job.definition.max_new_tokens, settings.max_new_tokens)
    generation: dict[str, Any] = {"max_gen_toks": tokens}
    if settings.temperature > 0:
        generation |= {"do_sample": True, "temperature": settings.temperature, "top_p": settings.top_p}
    outcome = run_task(
        writer,
        job.definition.task,
        metadata={"data": job.data, "shots": job.shots_from, "unsandboxed": settings.unsandboxed},
        limit=job.limit,
        shots=job.shots,
        samples=settings.samples,
        generation=generation,
        chat=settings.chat,
        seed=settings.seed,
    )
    names = dict.fromkeys([*job.definition.metrics, *outcome.items[0].metrics])
    values = {name: np.array([item.metrics[name] for item in outcome.items]) for name in names}
    shown = {**outcome.generation, "shots": job.shots, "samples": settings.samples, "chat": settings.chat}
    facts = {"prompts_cut": outcome.prompts_cut, "task_version": outcome.task_version}
    notes = [note] if note else []
    if outcome.prompts_cut:
        notes.append(f"{outcome.prompts_cut} prompts are longer than the model has room for, and were cut on the left")
    return Scored(
        scores={name: mean_of_rows(each) for name, each in values.items()},
        outcomes=values,
        clusters=tuple(item.prompt_sha256 for item in outcome.items),
        prompt_sha256=outcome.prompt_sha256,
        harness=harness_name(),
        generation=shown,
        facts=facts,
        notes=tuple(notes),
    )


def _score_loss(job: LossJob, loaded: LoadedSubject, subject: Subject, tell: Tell) -> Scored:
    """Nats per learned token: the sum over tokens over their number, resampled by example."""
    config = loaded.model.config
    encoder_decoder = bool(config.is_encoder_decoder)
    encoded = encode(
        job.text,
        loaded.tokenizer,
        subject.data,
        encoder_decoder=encoder_decoder,
        max_positions=max_positions(config),
    )
    split: SplitName = "validation" if job.suite == "validation" else "test"
    rows = encoded.split(split)
    sources = encoded.source_rows[split]
    assert rows is not None
    wanted = [row for row, source in enumerate(sources) if source < len(job.examples)]
    collate = make_collator(loaded.tokenizer, "generation", encoder_decoder=encoder_decoder)
    sums, tokens = np.zeros(len(wanted)), np.zeros(len(wanted))
    for start in range(0, len(wanted), LOSS_BATCH):
        batch = collate([rows[row] for row in wanted[start : start + LOSS_BATCH]])
        batch.pop("row", None)
        labels = batch.pop("labels").to(loaded.device)
        inputs = {name: value.to(loaded.device) for name, value in batch.items()}
        if encoder_decoder:
            inputs["labels"] = labels
        logits, targets = loaded.model(**inputs).logits, labels
        if not encoder_decoder:
            logits, targets = logits[:, :-1], labels[:, 1:]
        losses = torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED_LABEL, reduction="none"
        ).view_as(targets)
        here = slice(start, start + len(targets))
        places = [job.examples[sources[row]].place for row in wanted[here]]
        check_outputs(losses, places.__getitem__)
        sums[here] = losses.sum(dim=1).cpu().numpy()
        tokens[here] = (targets != IGNORED_LABEL).sum(dim=1).cpu().numpy()
        tell(min(start + LOSS_BATCH, len(wanted)), len(wanted))
    loss = ratio_of_rows(sums, tokens)
    hashes = tuple(sha256_of(rows[row]["input_ids"]) for row in wanted)
    return Scored(
        scores={"loss": loss, "perplexity": lambda chosen: float(np.exp(loss(chosen)))},
        outcomes={},
        clusters=hashes,
        prompt_sha256=sha256_of(list(hashes)),
        harness="balora",
        facts={"tokens": int(tokens.sum())},
    )


def transcript_settings(subject: Subject, job: Job, settings: ScoringSettings, *, base: bool) -> dict[str, Any]:
    """What must agree for an earlier text to be this model's text."""
    judged = isinstance(job, JudgedJob)
    version = GENERATION_SUITES[job.suite].task if isinstance(job, GenerationJob) else job.suite
    return {
        "base": subject.base.model_dump(mode="json"),
        "weights": None if base else subject.weights_sha256,
        "task": version,
        "seed": settings.seed if settings.temperature > 0 else None,
        # The answers of MT-Bench stand in a file of its own format, which holds one way of generating.
        "generation": [settings.max_new_tokens, settings.temperature, settings.top_p] if judged else None,
        "harness": harness_name(),
    }


def writes_texts(job: Job) -> bool:
    """Whether a suite makes the model write."""
    return isinstance(job, GenerationJob | JudgedJob) or (isinstance(job, LabelledJob) and job.words is not None)


def transcript_path(folder: Path, job: Job, wanted: Mapping[str, Any], *, base: bool) -> Path | None:
    """Where the texts of a suite are kept; None where it has none."""
    if not writes_texts(job):
        return None
    kind = "answers" if isinstance(job, JudgedJob) else "transcripts"
    return folder / f"{job.suite}-{sha256_of(dict(wanted))[:8]}{'.base' if base else ''}.{kind}.jsonl"
