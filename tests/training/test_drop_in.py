"""In the place of `transformers.Trainer`: datasets and collators as people have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from transformers import DataCollatorForLanguageModeling, DataCollatorWithPadding

from balora.adapters import AdapterConfig
from balora.errors import ModelError
from balora.training import BALoraConfig, BALoraTrainer, prepare_model
from tests.support import rows, tiny

pytestmark = pytest.mark.filterwarnings("ignore::balora.training.BaloraWarning")

EVERY_TERM = {"consistency_weight": 0.3, "diversity_weight": 0.2, "spectral_weight": 0.1}


def classifier(folder: Path, data: Any, *, family: str = "roberta", config: Any = None, **changes: Any) -> Any:
    given = {name: changes.pop(name) for name in ("data_collator", "processing_class") if name in changes}
    model = tiny.build(family, "sequence_classification", num_labels=3)
    return BALoraTrainer(
        model=prepare_model(model, AdapterConfig(r=4)),
        args=rows.arguments(folder, **changes),
        config=BALoraConfig.nlu(**{**EVERY_TERM, **(config or {})}),
        train_dataset=data,
        eval_dataset=data,
        **given,
    )


def losses(run: Any, name: str = "loss") -> list[float]:
    run.train()
    return [log[name] for log in run.state.log_history if "loss" in log]


def with_text(data: datasets.Dataset) -> datasets.Dataset:
    data = data.add_column("sentence", [f"text {index}" for index in range(len(data))])
    return data.add_column("idx", list(range(len(data))))


@pytest.mark.parametrize("config", [{}, {"teacher": "cached"}, {"teacher_head": "linear_probe"}])
def test_columns_that_no_model_takes_are_dropped_everywhere(config: Any, tmp_path: Path) -> None:
    plain = rows.classified_rows().remove_columns("row")
    collate = DataCollatorWithPadding(tiny.character_tokenizer())
    found = [
        losses(classifier(tmp_path, data, config=config, data_collator=collate, remove_unused_columns=True))
        for data in (plain, with_text(plain))
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("named", ["labels", "label"])
def test_ragged_rows_need_no_collator(named: str, tmp_path: Path) -> None:
    data = rows.classified_rows().remove_columns("row")
    expected = losses(classifier(tmp_path, data, data_collator=rows.collator("classification")))
    data = data.rename_column("labels", named) if named != "labels" else data
    for given in ({}, {"processing_class": tiny.character_tokenizer()}):
        assert losses(classifier(tmp_path, data, remove_unused_columns=True, **given)) == expected


def test_rows_that_are_padded_already_keep_their_mask(tmp_path: Path) -> None:
    data = rows.classified_rows().remove_columns("row")

    def padded(row: dict[str, Any]) -> dict[str, Any]:
        ids, room = row["input_ids"], 12 - len(row["input_ids"])
        return {"input_ids": ids + [0] * room, "attention_mask": [1] * len(ids) + [0] * room}

    one, other = losses(classifier(tmp_path, data)), losses(classifier(tmp_path, data.map(padded)))
    assert one == pytest.approx(other, rel=1e-5)


def test_language_models_take_ragged_rows_and_hugging_face_collators(tmp_path: Path) -> None:
    data = rows.language_rows(prompt=0).remove_columns("row")
    tokenizer = tiny.character_tokenizer()
    found = []
    for given in ({}, {"data_collator": DataCollatorForLanguageModeling(tokenizer, mlm=False)}):
        run = BALoraTrainer(
            model=prepare_model(tiny.build("llama"), AdapterConfig(r=4)),
            args=rows.arguments(tmp_path),
            train_dataset=data if not given else data.remove_columns("labels"),
            processing_class=tokenizer,
            **given,
        )
        found.append(losses(run))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_rows_without_labels_are_refused_in_words(tmp_path: Path) -> None:
    data = rows.classified_rows().remove_columns("labels")
    with pytest.raises(ModelError, match="hold no labels"):
        classifier(tmp_path, data).train()


@pytest.mark.parametrize("rearranged", ["shuffled", "with gaps", "with names"])
def test_a_cached_teacher_answers_for_the_rows_as_they_lie(rearranged: str, tmp_path: Path) -> None:
    data = rows.classified_rows()
    if rearranged == "shuffled":
        data = data.shuffle(seed=3)
    elif rearranged == "with gaps":
        data = data.filter(lambda row: row["row"] % 3 > 0)
    else:
        data = data.remove_columns("row").add_column("row", [f"name {index}" for index in range(len(data))])
    config = {"teacher": "cached", "teacher_cache_dir": tmp_path / "cache"}
    run = classifier(tmp_path, data, config=config, learning_rate=0.0)
    assert max(losses(run, "consistency")) < 1e-6


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("teacher", ["live", "cached"])
def test_a_decoder_classifies_the_same_with_padding_on_either_side(family: str, teacher: str, tmp_path: Path) -> None:
    found = []
    for side in ("left", "right"):
        run = classifier(
            tmp_path,
            rows.classified_rows(),
            family=family,
            config={"teacher": teacher, "teacher_cache_dir": tmp_path / side},
            processing_class=tiny.character_tokenizer(padding_side=side),
        )
        found.append(losses(run))
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def scorer(folder: Path, data: Any, **changes: Any) -> Any:
    model = tiny.build("bert", "sequence_classification", num_labels=2, problem_type="regression")
    return BALoraTrainer(
        model=prepare_model(model, AdapterConfig(method="lora", r=4)),
        args=rows.arguments(folder, max_steps=3, **changes),
        config=BALoraConfig.nlu(**EVERY_TERM),
        train_dataset=data,
    )


def test_several_scores_per_row_accumulate_like_one_batch(tmp_path: Path) -> None:
    data = rows.scored_rows()
    data = data.remove_columns("labels").add_column("labels", [[score, -score] for score in data["labels"]])
    whole = scorer(tmp_path, data, per_device_train_batch_size=8)
    split = scorer(tmp_path, data, per_device_train_batch_size=2, gradient_accumulation_steps=4)
    for run in (whole, split):
        run.train()
    for name in ("loss", "consistency", "task_loss"):
        one, other = ([log[name] for log in run.state.log_history if "loss" in log] for run in (whole, split))
        assert one == pytest.approx(other, rel=1e-4, abs=1e-9)


def test_a_score_of_minus_one_hundred_is_a_score(tmp_path: Path) -> None:
    data = rows.scored_rows(8)
    data = data.remove_columns("labels").add_column("labels", [-100.0, *data["labels"][1:]])
    run = BALoraTrainer(
        model=prepare_model(tiny.build("bert", "sequence_classification", num_labels=1), AdapterConfig(r=4)),
        args=rows.arguments(tmp_path, max_steps=1, per_device_train_batch_size=8, learning_rate=0.0),
        config=BALoraConfig.nlu(),
        train_dataset=data,
        eval_dataset=data,
    )
    before = run.evaluate()["eval_loss"]
    assert losses(run, "task_loss")[0] == pytest.approx(before, rel=1e-4)


def test_the_evaluation_loss_of_a_language_model_is_the_mean_over_tokens(tmp_path: Path) -> None:
    found = []
    for size in (1, 5, 24):
        run = BALoraTrainer(
            model=prepare_model(tiny.build("llama"), AdapterConfig(r=4)),
            args=rows.arguments(tmp_path, per_device_eval_batch_size=size),
            train_dataset=rows.language_rows(),
            eval_dataset=rows.language_rows(),
        )
        found.append(run.evaluate()["eval_loss"])
        found.append(run.predict(rows.language_rows(), metric_key_prefix="test").metrics["test_loss"])
    assert found == pytest.approx([found[0]] * 6, rel=1e-6)


def test_nan_free_when_the_model_rules_tokens_out() -> None:
    from balora.losses import consistency_kl, focused_entropy

    logits = torch.randn(3, 8, requires_grad=True)
    ruled_out = logits.masked_fill(torch.arange(8) > 3, -torch.inf)
    value = consistency_kl(ruled_out, ruled_out.detach() * 0.5, temperature=2.0) + focused_entropy(ruled_out, top_k=6)
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.isfinite()
    assert gradient.isfinite().all()
    kept = logits[:, :4]
    expected = consistency_kl(kept, kept * 0.5, temperature=2.0) + focused_entropy(kept, top_k=4)
    torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("config", [{"teacher": "live"}, {"teacher": "cached"}, {"teacher_head": "linear_probe"}])
def test_a_resumed_run_keeps_the_teacher_it_began_with(config: Any, tmp_path: Path) -> None:
    """A new process draws another random head; the run must not notice."""

    def start(head_seed: int) -> Any:
        model = tiny.build("roberta", "sequence_classification", num_labels=3)
        torch.manual_seed(head_seed)
        for parameter in model.classifier.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        return BALoraTrainer(
            model=prepare_model(model, AdapterConfig(r=4)),
            args=rows.arguments(tmp_path / "run", save_strategy="steps", save_steps=3),
            config=BALoraConfig.nlu(**EVERY_TERM, teacher_cache_dir=tmp_path / f"cache-{head_seed}", **config),
            train_dataset=rows.classified_rows(),
        )

    whole = start(1)
    whole.train()
    resumed = start(2)
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-3"))
    logs = []
    for run in (whole, resumed):
        logs.append([(log["loss"], log["consistency"]) for log in run.state.log_history if "loss" in log])
    assert len(logs[0]) == 6
    assert logs[1][-3:] == logs[0][-3:]
