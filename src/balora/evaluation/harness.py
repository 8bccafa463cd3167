"""Generation suites through lm-evaluation-harness (EleutherAI): its model class, its prompts, our local task files.

The task files in `harness_tasks/` also work with the harness alone:

    lm_eval --model hf --model_args pretrained=BASE,peft=RUN --include_path .../evaluation/harness_tasks \
        --tasks balora_gsm8k --metadata '{"data": "gsm8k/test.jsonl", "shots": "gsm8k/train.jsonl"}'
"""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transformers

from balora.data.chat_rendering import render_chat
from balora.errors import DataError, InputError, ModelError
from balora.evaluation.finite import FiniteLogits
from balora.evaluation.transcripts import Transcripts, sha256_of

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

TASK_FILES = Path(__file__).with_name("harness_tasks")


@dataclass(frozen=True, slots=True)
class HarnessItem:
    """One item of a task after scoring."""

    item: int
    place: str
    """Where it lies in the data."""
    prompt_sha256: str
    texts: tuple[str, ...]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class HarnessOutcome:
    """What the harness reports on one task."""

    items: tuple[HarnessItem, ...]
    prompt_sha256: str
    """Over every prompt, few-shot examples included."""
    generation: Mapping[str, Any]
    """The settings in force."""
    prompts_cut: int
    """Prompts longer than the model's positions allow, cut from the left."""
    task_version: str


def require_harness() -> None:
    """Refuse to go on without lm-eval.

    Raises:
        InputError: it is not installed.
    """
    if find_spec("lm_eval") is None:
        raise InputError.at("lm-eval", "generation suites need the package lm-eval", "pip install 'balora[eval]'")


def harness_name() -> str:
    """What result files call it."""
    return f"lm-eval {version('lm_eval')}"


def writer_for(
    model: Any,
    tokenizer: Any,
    transcripts: Transcripts,
    *,
    batch_size: int,
    tell: Callable[[int, int], None] | None = None,
) -> HFLM:
    """The harness's own model class around a model that is loaded already, which keeps and reuses transcripts."""
    from lm_eval.api.model import CacheHook
    from lm_eval.models.huggingface import HFLM

    class Hook(CacheHook):
        """Called by the harness after every text."""

        def __init__(self, total: int) -> None:
            super().__init__(None)
            self.total, self.done = total, 0

        def add_partial(self, attr: str, req: tuple[Any, ...], res: Any) -> None:
            """Keep one text."""
            del attr
            prompt, settings = req
            transcripts.keep(prompt, settings, res)
            self.done += 1
            if tell is not None:
                tell(self.done, self.total)

    class TranscribedLM(HFLM):
        """The harness's model; only texts that no transcript holds are generated."""

        def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
            """As in the harness, a template that knows no system role included; in a process with limits."""
            return _chat_text(self.tokenizer, chat_history, go_on=not add_generation_prompt)

        def _model_generate(self, context: Any, max_length: int, stop: list[str], **settings: Any) -> Any:
            """As in the harness; a model whose logits are no numbers is told, and not taken to be silent."""
            watched = transformers.LogitsProcessorList([FiniteLogits(self.tokenizer)])
            return super()._model_generate(context, max_length, stop, logits_processor=watched, **settings)

        def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
            """As in the harness, item by item resumable."""
            del disable_tqdm
            seen: Counter[str] = Counter()
            numbered = []
            for request in requests:
                name = sha256_of(list(request.args))
                numbered.append((request, seen[name]))
                seen[name] += 1
            known = [transcripts.known(*_of(request), number) for request, number in numbered]
            todo = [request for request, text in zip(requests, known, strict=True) if text is None]
            if todo:
                self.set_cache_hook(Hook(len(todo)))
                super().generate_until(todo, disable_tqdm=True)
            return [transcripts.text(*_of(request), number) for request, number in numbered]

    with _quiet():
        return TranscribedLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)


def _chat_text(tokenizer: Any, turns: list[dict[str, str]], *, go_on: bool) -> str:
    try:
        return render_chat(tokenizer, turns, go_on=go_on)
    except DataError:
        others = [turn for turn in turns if turn["role"] != "system"]
        if len(others) == len(turns):
            raise
        return render_chat(tokenizer, others, go_on=go_on)


def _of(request: Any) -> tuple[str, Mapping[str, Any]]:
    prompt, settings = request.args
    return prompt, settings


def write_texts(writer: HFLM, prompts: Sequence[str], generation: Mapping[str, Any]) -> list[str]:
    """One text per prompt, through the same class, outside any task."""
    from lm_eval.api.instance import Instance

    requests = [
        Instance(request_type="generate_until", doc={}, arguments=(prompt, dict(generation)), idx=0)
        for prompt in prompts
    ]
    with _quiet():
        texts: list[str] = writer.generate_until(requests)
    return texts


def room_for(model_length: int, wanted_tokens: int, given: int | None) -> tuple[int, str | None]:
    """How many tokens may be generated, and a note where the suite's own number does not fit the model.

    Raises:
        ModelError: the number that the user gave does not fit.

    >>> room_for(512, 1024, None)[0]
    256
    """
    if given is not None:
        if given >= model_length:
            what = f"{given} tokens do not fit a model of {model_length} positions"
            raise ModelError.at("max_new_tokens", what, f"use less than {model_length}")
        return given, None
    if wanted_tokens <= model_length // 2:
        return wanted_tokens, None
    room = model_length // 2
    return room, f"the suite generates up to {wanted_tokens} tokens, this model has {model_length} positions: {room}"


def run_task(
    writer: HFLM,
    task: str,
    *,
    metadata: Mapping[str, Any],
    limit: int | None = None,
    shots: int | None = None,
    samples: int = 1,
    generation: Mapping[str, Any] | None = None,
    chat: bool = False,
    seed: int = 0,
) -> HarnessOutcome:
    """Run one of our task files; every number that is reported is made of the items that come back.

    Args:
        writer: from `writer_for`.
        task: name of the task file, with `balora_`.
        metadata: what the task file's data function gets: data, shots.
        limit: only the first items.
        shots: few-shot examples in place of the task's own number.
        samples: texts per item.
        generation: settings in place of the task's own.
        chat: put prompts into the tokenizer's chat template.
        seed: of few-shot choice and sampling.
    """
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager

    with _quiet():
        manager = TaskManager(include_path=str(TASK_FILES), include_defaults=False, metadata=dict(metadata))
        loaded = manager.load([task])
        (found,) = loaded["tasks"].values()
        if shots is not None:
            found.set_config(key="num_fewshot", value=shots)
        elif found.get_config("num_fewshot") is None:
            found.set_config(key="num_fewshot", value=0)
        found.set_fewshot_seed(seed=seed)
        if generation:
            found.set_config(key="generation_kwargs", value=dict(generation), update=True)
        found.set_config(key="repeats", value=samples)
        _keep_all_samples(found, samples)
        transformers.set_seed(seed)
        results = evaluate(writer, loaded, limit=limit, bootstrap_iters=0, log_samples=True, apply_chat_template=chat)
        settings = dict(found.get_config("generation_kwargs") or {})
        return _outcome(results["samples"][task], writer, settings, str(results["versions"][task]))


def _keep_all_samples(task: Any, samples: int) -> None:
    """Scorers see every text of an item; the harness would hand on only the first."""
    from lm_eval.filters import build_filter_ensemble

    if samples > 1:
        task._filters = [build_filter_ensemble("all", [("take_first_k", {"k": samples})])]


def _outcome(
    rows: Sequence[Mapping[str, Any]], writer: HFLM, settings: dict[str, Any], task_version: str
) -> HarnessOutcome:
    by_item: dict[int, HarnessItem] = {}
    hashes: dict[int, str] = {}
    cut = 0
    room = int(writer.max_length) - (int(settings.get("max_gen_toks", 256)) if writer.backend == "causal" else 0)
    for row in rows:
        prompt, _ = row["arguments"][0]
        scores = {_metric(name, row["filter"]): float(row[name]) for name in row["metrics"]}
        earlier = by_item.get(row["doc_id"])
        if earlier is None:
            hashes[row["doc_id"]] = sha256_of(prompt)
            cut += len(writer.tok_encode(prompt)) > room
        texts = tuple(text for request in row["resps"] for text in request)
        place = str(row["doc"].get("place", row["doc_id"]))
        merged = {**(earlier.metrics if earlier else {}), **scores}
        by_item[row["doc_id"]] = HarnessItem(row["doc_id"], place, hashes[row["doc_id"]], texts, merged)
    items = tuple(by_item[number] for number in sorted(by_item))
    return HarnessOutcome(items, sha256_of([item.prompt_sha256 for item in items]), settings, cut, task_version)


def _metric(name: str, filter_name: str) -> str:
    """`exact_match` under the filter `strict-match` is `exact_match_strict`."""
    return name if filter_name in {"none", "all"} else f"{name}_{filter_name.split('-')[0]}"


@contextmanager
def _quiet() -> Iterator[None]:
    """The harness's warnings and bars are for its own command line."""
    loggers = [logging.getLogger(name) for name in ("lm_eval", "lm_eval.models", "lm_eval.evaluator")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
