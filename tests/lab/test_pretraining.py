"""Pre-training: repeatable, considerate of torch's random state, and it learns."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.nn import functional

from balora.lab import PretrainingSettings, World, build_tokenizer, pretrain, write_corpus
from balora.lab.pretraining import _batches, _rate, next_token_loss, sentence_ids


def sentences(world: World) -> list[str]:
    return [sentence.text for sentence in write_corpus(world).train]


def weights(world: World, settings: PretrainingSettings) -> dict[str, torch.Tensor]:
    return pretrain(sentences(world), build_tokenizer(world), settings).state_dict()


def test_the_same_seed_gives_the_same_weights(world: World, tiny: PretrainingSettings) -> None:
    first = weights(world, tiny)
    torch.manual_seed(123)
    again = weights(world, tiny)
    other = weights(world, tiny.model_copy(update={"seed": 1}))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_torch_s_random_state_is_left_alone(world: World, tiny: PretrainingSettings) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    weights(world, tiny)
    assert torch.equal(torch.rand(3), expected)


def test_the_loss_falls_and_every_step_is_reported(world: World) -> None:
    settings = PretrainingSettings(
        layers=1, hidden_size=32, heads=2, intermediate_size=48, steps=60, warmup_steps=5, learning_rate=3e-3
    )
    seen: list[tuple[int, int, float]] = []
    model = pretrain(sentences(world), build_tokenizer(world), settings, on_step=lambda *step: seen.append(step))
    assert [(done, total) for done, total, _ in seen] == [(step, 60) for step in range(1, 61)]
    assert seen[-1][2] < 0.75 * seen[0][2]
    assert not model.training
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_padding_and_the_first_token_do_not_count(world: World, tiny: PretrainingSettings) -> None:
    tokenizer = build_tokenizer(world)
    texts = sorted(sentences(world), key=lambda text: len(text.split()))
    texts = [texts[0], texts[-1]]
    model = pretrain(texts, tokenizer, tiny)
    ids = sentence_ids(texts, tokenizer)
    assert (ids[0] == tokenizer.pad_token_id).any()
    with torch.no_grad():
        together = next_token_loss(model(input_ids=ids).logits, ids, tokenizer.pad_token_id)
        losses = []
        for text in texts:
            row = torch.tensor([tokenizer(f"{text} </s>")["input_ids"]])
            losses.append(functional.cross_entropy(model(input_ids=row).logits[0, :-1], row[0, 1:], reduction="none"))
    assert together.item() == pytest.approx(torch.cat(losses).mean().item(), rel=1e-5)


def test_every_sentence_is_read_once_per_pass() -> None:
    settings = PretrainingSettings(steps=10, batch_size=4)
    batches = list(_batches(20, settings))
    first, second = batches[:5], batches[5:]
    for passed in (first, second):
        assert Counter(torch.cat(passed).tolist()) == dict.fromkeys(range(20), 1)
    assert not torch.equal(torch.cat(first), torch.cat(second))


def test_few_sentences_make_smaller_batches() -> None:
    assert [len(rows) for rows in _batches(3, PretrainingSettings(steps=4, batch_size=64))] == [3, 3, 3, 3]


def test_the_rate_rises_then_falls_to_almost_nothing() -> None:
    settings = PretrainingSettings(steps=100, warmup_steps=10)
    rates = [_rate(step, settings) for step in range(100)]
    assert rates.index(max(rates)) == 9
    assert rates[-1] == pytest.approx(0.01)
    assert _rate(0, PretrainingSettings(warmup_steps=0)) == 1.0
