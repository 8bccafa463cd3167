"""Exact log-probabilities from a transformers model, in batches: padding changes nothing, no pad token is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import peft
import torch
from transformers import GenerationConfig, LogitsProcessorList
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from balora.errors import ModelError
from balora.evaluation.bias.likelihood import Blank, ModelKind, Passage, TokenScores, Writing
from balora.evaluation.finite import FiniteLogits, check_outputs, text_named


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of a forward: at each of `positions` the model's prediction of the token in `targets`."""

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    targets: tuple[int, ...]
    passage: int


class LanguageModel:
    """A causal or masked language model with its tokenizer.

    Args:
        model: from `AutoModelForCausalLM` or `AutoModelForMaskedLM`, possibly with PEFT adapters around it.
        tokenizer: its tokenizer; its padding side does not matter.
        batch_size: rows per forward.
        around: makes a context in which the model is asked, for example one with the adapters off.

    Raises:
        ModelError: the model gives no probabilities of tokens, or the tokenizer has no mask token where one is needed.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        batch_size: int = 32,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self._model, self._tokenizer, self._around = model, tokenizer, around
        self._batch_size = batch_size
        self._kind = kind_of(model)
        self._contexts_cut = 0
        if self._kind == "masked" and tokenizer.mask_token_id is None:
            raise ModelError.at("bias", "the tokenizer of this masked model has no mask token", "give the right one")
        self._first, self._last = _added_ids(tokenizer) if self._kind == "masked" else (_start(tokenizer), ())

    @property
    def kind(self) -> ModelKind:
        """Whether it predicts the next token or masked ones."""
        return self._kind

    @property
    def contexts_cut(self) -> int:
        """How many contexts and prompts were cut from the left so far, because the model has too few positions."""
        return self._contexts_cut

    def passages(self, passages: Sequence[Passage]) -> list[TokenScores]:
        """The log-probability of every scored token of each passage.

        Causal: log p(token | start token, context, tokens before it); the start token is the beginning-of-sequence
        token, else the end-of-sequence token, as in lm-eval; without either the first token is not scored. Masked:
        log p(token | all other tokens), with `partner` only over the tokens that both texts share.
        """
        make = self._causal_rows if self._kind == "causal" else self._masked_rows
        rows = [row for number, passage in enumerate(passages) for row in make(passage, number)]
        return self._scores(rows, len(passages))

    def blanks(self, blanks: Sequence[Blank]) -> list[TokenScores]:
        """The log-probability of the tokens of each blank's word, from left to right: one mask after those known.

        Raises:
            ModelError: the model is causal.
        """
        if self._kind == "causal":
            raise ModelError.at("bias", "a causal model cannot look at what stands after a blank", "score the text")
        rows = [row for number, blank in enumerate(blanks) for row in self._blank_rows(blank, number)]
        return self._scores(rows, len(blanks))

    def texts(self, prompts: Sequence[str], writing: Writing) -> list[str]:
        """What the model writes after each prompt; space at the end of a prompt is left to the model.

        Raises:
            ModelError: the model is masked, or has no room for that many tokens.
        """
        if self._kind == "masked":
            raise ModelError.at("bias", "a masked model writes no texts", "use a causal model")
        encoded = [(*self._first, *self._prompt_ids(prompt, writing.new_tokens)) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda index: len(encoded[index]))
        written: dict[int, str] = {}
        watched = LogitsProcessorList([FiniteLogits(self._tokenizer)])
        with self._asked(), torch.random.fork_rng():
            torch.manual_seed(writing.seed)
            for start in range(0, len(order), self._batch_size):
                chosen = order[start : start + self._batch_size]
                ids, mask = self._padded([encoded[index] for index in chosen], left=True)
                output = self._model.generate(
                    input_ids=ids,
                    attention_mask=mask,
                    generation_config=self._generation(writing),
                    logits_processor=watched,
                )
                found = self._tokenizer.batch_decode(output[:, ids.shape[1] :], skip_special_tokens=True)
                written |= dict(zip(chosen, found, strict=True))
        return [written[index] for index in range(len(prompts))]

    def _generation(self, writing: Writing) -> GenerationConfig:
        sampled = writing.temperature > 0
        return GenerationConfig(
            max_new_tokens=writing.new_tokens,
            do_sample=sampled,
            **({"temperature": writing.temperature} if sampled else {}),
            pad_token_id=self._pad_id,
            eos_token_id=self._tokenizer.eos_token_id,
        )

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _prompt_ids(self, prompt: str, new_tokens: int) -> tuple[int, ...]:
        ids, limit = self._ids(prompt.rstrip()), _positions_of(self._model)
        room = len(ids) if limit is None else limit - len(self._first) - new_tokens
        if room < 1:
            what = f"{new_tokens} new tokens leave no room for a prompt, the model reads {limit}"
            raise ModelError.at("bias", what, "write fewer: bold_new_tokens")
        self._contexts_cut += len(ids) > room
        return ids[-room:]

    def _split_ids(self, passage: Passage) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids of the context and of the text; encoded together, as the text is read after its context."""
        context = self._ids(passage.context) if passage.context else ()
        whole = self._ids(passage.context + passage.text)
        text = whole[len(context) :]
        limit = _positions_of(self._model)
        room = None if limit is None else limit - len(self._first) - len(self._last) - len(text)
        if room is not None and room < 0:
            what = f"'{passage.text[:40]}...' has {len(text)} tokens, the model reads {limit}"
            raise ModelError.at("bias", what, "leave out the benchmark, or use a model with more positions")
        if room is not None and len(context) > room:
            self._contexts_cut += 1
            context = context[len(context) - room :]
        return context, text

    def _causal_rows(self, passage: Passage, number: int) -> list[_Row]:
        context, text = self._split_ids(passage)
        ids = (*self._first, *context, *text)
        first = max(len(ids) - len(text), 1)
        return [_Row(ids[:-1], tuple(range(first - 1, len(ids) - 1)), ids[first:], number)] if len(ids) > 1 else []

    def _masked_rows(self, passage: Passage, number: int) -> list[_Row]:
        context, text = self._split_ids(passage)
        ids = (*self._first, *context, *text, *self._last)
        begin = len(self._first) + len(context)
        scored = range(begin, begin + len(text))
        if passage.partner is not None:
            other = (*self._first, *self._ids(passage.context + passage.partner), *self._last)
            shared = _shared(ids, other)
            return [self._masked(ids, position, number) for position in scored if position in shared]
        return [self._masked(ids, position, number) for position in scored]

    def _masked(self, ids: tuple[int, ...], position: int, number: int) -> _Row:
        hidden = (*ids[:position], int(self._tokenizer.mask_token_id), *ids[position + 1 :])
        return _Row(hidden, (position,), (ids[position],), number)

    def _blank_rows(self, blank: Blank, number: int) -> list[_Row]:
        before, after = self._ids(blank.before.rstrip()) if blank.before.strip() else (), self._ids(blank.after)
        word = self._ids((" " if blank.before.endswith(" ") else "") + blank.word)
        start = (*self._first, *before)
        mask = int(self._tokenizer.mask_token_id)
        return [
            _Row((*start, *word[:known], mask, *after, *self._last), (len(start) + known,), (word[known],), number)
            for known in range(len(word))
        ]

    def _scores(self, rows: Sequence[_Row], passages: int) -> list[TokenScores]:
        order = sorted(range(len(rows)), key=lambda index: len(rows[index].ids))
        found: dict[int, list[float]] = {}
        with self._asked(), torch.inference_mode():
            for start in range(0, len(order), self._batch_size):
                chosen = order[start : start + self._batch_size]
                for index, values in zip(chosen, self._forward([rows[index] for index in chosen]), strict=True):
                    found[index] = values
        scores: list[list[float]] = [[] for _ in range(passages)]
        for index, row in enumerate(rows):
            scores[row.passage] += found[index]
        return [TokenScores(tuple(values)) for values in scores]

    def _forward(self, rows: Sequence[_Row]) -> list[list[float]]:
        ids, mask = self._padded([row.ids for row in rows], left=False)
        with self._head_at([row.positions for row in rows]):
            logits = self._model(input_ids=ids, attention_mask=mask).logits
        check_outputs(logits, lambda row: text_named(self._tokenizer.decode(rows[row].ids)), tokens=True)
        values: list[list[float]] = []
        for number, row in enumerate(rows):
            # One state per row went into the head, unless the model keeps its head to itself.
            positions = [0] if logits.shape[1] < ids.shape[1] else list(row.positions)
            chosen = logits[number, positions].float().log_softmax(dim=-1)
            targets = torch.tensor(row.targets, device=chosen.device)
            values.append(chosen.gather(1, targets[:, None])[:, 0].tolist())
        return values

    @contextmanager
    def _head_at(self, positions: Sequence[tuple[int, ...]]) -> Iterator[None]:
        """Masked models: only the state at the mask goes into the head, as the vocabulary is most of the work there."""
        head = self._model.get_output_embeddings() if self._kind == "masked" else None
        if head is None:
            yield
            return
        rows, columns = torch.arange(len(positions)), torch.tensor([position for (position,) in positions])

        def at_masks(module: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            del module
            states, *others = inputs
            return (states[rows, columns][:, None] if states.dim() == 3 else states, *others)

        hook = head.register_forward_pre_hook(at_masks)
        try:
            yield
        finally:
            hook.remove()

    @property
    def _pad_id(self) -> int:
        given = self._tokenizer.pad_token_id
        return int(given if given is not None else getattr(self._model.config, "pad_token_id", None) or 0)

    def _padded(self, rows: Sequence[tuple[int, ...]], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
        longest = max(len(row) for row in rows)
        ids = torch.full((len(rows), longest), self._pad_id)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(rows):
            where = slice(longest - len(row), None) if left else slice(0, len(row))
            ids[number, where], mask[number, where] = torch.tensor(row), 1
        device = next(self._model.parameters()).device
        return ids.to(device), mask.to(device)

    def _asked(self) -> AbstractContextManager[Any]:
        return _Asked(self._model, self._around)


class _Asked:
    """The model in evaluation mode inside the user's own context; both end as they were."""

    def __init__(self, model: Any, around: Callable[[], AbstractContextManager[Any]]) -> None:
        self._model, self._around = model, around()

    def __enter__(self) -> None:
        self._training = self._model.training
        self._around.__enter__()
        self._model.eval()

    def __exit__(self, *failure: Any) -> None:
        self._model.train(self._training)
        self._around.__exit__(*failure)


def kind_of(model: Any) -> ModelKind:
    """Whether a model predicts the next token or masked ones.

    Raises:
        ModelError: it does neither: a head for classes, or an encoder-decoder.
    """
    whole = model.get_base_model() if isinstance(model, peft.PeftModel) else model
    name = type(whole).__name__
    if getattr(whole.config, "is_encoder_decoder", False):
        what = f"{name} reads and writes with two stacks; these benchmarks compare probabilities of one running text"
        raise ModelError.at("bias", what, "use a causal or a masked language model")
    if name in _class_names(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) or name.endswith(("ForCausalLM", "LMHeadModel")):
        return "causal"
    if name in _class_names(MODEL_FOR_MASKED_LM_MAPPING_NAMES) or name.endswith("ForMaskedLM"):
        return "masked"
    fix = "load the model with its language-model head (AutoModelForCausalLM or AutoModelForMaskedLM)"
    raise ModelError.at("bias", f"{name} gives no probabilities of tokens", fix)


def _class_names(mapping: Any) -> set[str]:
    return {name for value in mapping.values() for name in ((value,) if isinstance(value, str) else value)}


def _start(tokenizer: Any) -> tuple[int, ...]:
    token = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return () if token is None else (int(token),)


def _added_ids(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the tokenizer puts before and after a text."""
    bare = tuple(tokenizer("a", add_special_tokens=False)["input_ids"])
    whole = tuple(tokenizer("a")["input_ids"])
    begin = next(start for start in range(len(whole)) if whole[start : start + len(bare)] == bare)
    return whole[:begin], whole[begin + len(bare) :]


def _shared(ids: tuple[int, ...], other: tuple[int, ...]) -> set[int]:
    """Positions of `ids` in stretches that a sequence matcher finds equal in both, as in the code of CrowS-Pairs."""
    blocks = SequenceMatcher(None, ids, other, autojunk=False).get_matching_blocks()
    return {position for block in blocks for position in range(block.a, block.a + block.size)}


def _positions_of(model: Any) -> int | None:
    """How many tokens a row may have, where the configuration tells."""
    config = model.config.get_text_config()
    limit = getattr(config, "max_position_embeddings", None)
    if limit is not None and config.model_type in ("roberta", "xlm-roberta", "camembert"):
        return int(limit) - int(config.pad_token_id) - 1
    return None if limit is None else int(limit)
