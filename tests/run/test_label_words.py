"""Classes written as words: a recipe trains them, and the score is what greedy decoding would reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from balora.data import make_collator
from balora.recipe import Recipe
from balora.run import train
from balora.run.parts import load_and_adapt, make_trainer, read_inputs, training_arguments_of
from tests.support.folders import save_tiny


def recipe_for(folder: Path, family: str, **training: Any) -> Recipe:
    lines = ["sentence\tlabel", *(f"Row {n}\t{int(n % 3 == 0)}" for n in range(24))]
    (folder / "train.tsv").write_text("\n".join(lines))
    head, changes = ("seq2seq_lm", {"tie_word_embeddings": True}) if family == "t5" else ("causal_lm", {})
    model = save_tiny(folder / "model", family, head, **changes)
    file = str(folder / "train.tsv")
    return Recipe.model_validate(
        {
            "model": {"name_or_path": str(model)},
            "data": {"preset": "sst2", "train": file, "validation": file, "label_words": ["b", "g"]},
            "adapter": {"r": 8},
            "training": {"max_steps": 3, "report_to": "none", "use_cpu": True, "learning_rate": 5e-3, **training},
            "output": {"dir": str(folder / "run")},
        }
    )


def test_a_recipe_with_label_words_is_a_generation_recipe_and_reports_their_share(tmp_path: Path) -> None:
    recipe = recipe_for(tmp_path, "t5")
    assert (recipe.task, recipe.regularizers.form) == ("generation", "nlg")
    result = train(recipe, show_progress=False)
    assert 0 <= result.metrics["eval_exact_match"] <= 1


@pytest.mark.parametrize(("family", "rate"), [("t5", 3e-2), ("llama", 5e-3)], ids=["t5", "llama"])
def test_exact_match_is_that_of_greedy_decoding(family: str, rate: float, tmp_path: Path) -> None:
    recipe = recipe_for(tmp_path, family, max_steps=20, learning_rate=rate)
    inputs = read_inputs(recipe)
    trainer = make_trainer(recipe, inputs, load_and_adapt(recipe, inputs).model, training_arguments_of(recipe))
    trainer.train()
    score = trainer.evaluate()["eval_exact_match"]
    end = inputs.tokenizer.eos_token_id
    collate = make_collator(inputs.tokenizer, "generation", encoder_decoder=inputs.data.encoder_decoder)
    hits = 0
    for row in inputs.data.train:
        batch = collate([row])
        word = [token for token in batch["labels"][0].tolist() if token != -100]
        prompt = batch["input_ids"] if family == "t5" else batch["input_ids"][:, : -len(word)]
        written = trainer.model.generate(
            input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=len(word)
        )[0].tolist()
        new = written[1:] if family == "t5" else written[prompt.shape[1] :]
        assert word[-1] == end
        hits += new[: len(word)] == word
    assert 0 < hits < len(inputs.data.train), "the test needs rows of both kinds"
    assert score == pytest.approx(hits / len(inputs.data.train))
