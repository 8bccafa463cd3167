"""The cached teacher gives the live teacher's answers, computed once, found again, never confused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from balora.adapters import AdapterConfig, attach_adapter
from balora.errors import ModelError
from balora.teacher import CachedTeacher, LiveTeacher, build_cached_teacher
from balora.teacher.cached import TeacherCacheWarning
from balora.training.rows import RowKeepingCollator
from tests.adapters.families import disturb
from tests.support import rows, tiny


class CountingTeacher(LiveTeacher):
    def __init__(self) -> None:
        self.examples = 0

    def logits(self, model: nn.Module, inputs: Any, rows: Tensor | None = None) -> Tensor:
        self.examples += len(inputs["input_ids"])
        return super().logits(model, inputs, rows)


COLLATE = RowKeepingCollator(rows.collator("classification"))


def model(seed: int = 0, head_seed: int = 0) -> nn.Module:
    base = tiny.build("roberta", "sequence_classification", seed=seed, num_labels=3)
    with torch.no_grad():
        base.classifier.out_proj.weight.copy_(torch.randn(3, 32, generator=torch.Generator().manual_seed(head_seed)))
    return attach_adapter(base, AdapterConfig(r=4))


def build(teacher: LiveTeacher, student: nn.Module, data: Any, folder: Path | None = None) -> CachedTeacher:
    return build_cached_teacher(teacher, student, data, COLLATE, batch_size=5, folder=folder)


def test_it_answers_as_the_live_teacher_for_every_row_in_any_order() -> None:
    data, student = rows.classified_rows(23), model()
    cached = build(CountingTeacher(), student, data)
    disturb(student)
    batch = COLLATE([data[index] for index in (22, 3, 7)])
    numbers, inputs = batch.pop("row"), {key: value for key, value in batch.items() if key != "labels"}
    torch.testing.assert_close(cached.logits(student, inputs, numbers), LiveTeacher().logits(student, inputs))


def test_each_example_is_computed_once_ever() -> None:
    data, teacher = rows.classified_rows(23), CountingTeacher()
    build(teacher, model(), data)
    assert teacher.examples == 23
    trained = model()
    disturb(trained)
    build(teacher, trained, data)
    assert teacher.examples == 23, "the student's own weights must not matter"


def test_labels_do_not_matter_but_what_the_teacher_reads_does() -> None:
    data, teacher = rows.classified_rows(23), CountingTeacher()
    build(teacher, model(), data)
    noisy = data.remove_columns("labels").add_column("labels", [0] * 23)
    build(teacher, model(), noisy)
    assert teacher.examples == 23
    build(teacher, model(), rows.classified_rows(23, seed=1))
    assert teacher.examples == 46
    build(teacher, model(), data.select(range(22)))
    assert teacher.examples == 46 + 22


@pytest.mark.parametrize("change", [{"seed": 1}, {"head_seed": 1}], ids=["other base", "other head"])
def test_another_teacher_computes_its_own(change: dict[str, int]) -> None:
    data, teacher = rows.classified_rows(9), CountingTeacher()
    build(teacher, model(), data)
    build(teacher, model(**change), data)
    assert teacher.examples == 18


def test_a_damaged_table_is_computed_again(tmp_path: Path) -> None:
    data, teacher = rows.classified_rows(9), CountingTeacher()
    first = build(teacher, model(), data, tmp_path)
    table = next(tmp_path.glob("*.safetensors"))
    table.write_bytes(table.read_bytes()[:20])
    assert torch.equal(build(teacher, model(), data, tmp_path).table, first.table)
    assert teacher.examples == 18
    assert list(tmp_path.iterdir()) == [table]


def test_a_batch_without_row_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="'row'"):
        CachedTeacher(torch.zeros(3, 2)).logits(nn.Linear(1, 1), {"input_ids": torch.zeros(1, 1)}, None)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    data, teacher = rows.classified_rows(9), CountingTeacher()
    first = build(teacher, model(), data, tmp_path)
    path = next(tmp_path.glob("*.safetensors"))
    content = bytearray(path.read_bytes())
    content[-3] ^= 0x40
    path.write_bytes(content)
    assert torch.equal(build(teacher, model(), data, tmp_path).table, first.table)
    assert teacher.examples == 18
    build(teacher, model(), data, tmp_path)
    assert teacher.examples == 18, "the table was written again"


def test_a_folder_that_cannot_be_used_costs_the_cache_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, student = rows.classified_rows(9), model()
    expected = build(CountingTeacher(), student, data).table
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(TeacherCacheWarning, match="in memory"):
        assert torch.equal(build(CountingTeacher(), student, data, tmp_path / "file" / "deeper").table, expected)

    def full_disk(tensors: object, name: str, metadata: object = None) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("balora.teacher.cached.save_file", full_disk)
    with pytest.warns(TeacherCacheWarning, match="No space left"):
        assert torch.equal(build(CountingTeacher(), student, data, tmp_path / "full").table, expected)
    assert not list((tmp_path / "full").iterdir())


def test_a_shuffled_dataset_is_looked_up_by_its_row_numbers() -> None:
    data, student, teacher = rows.classified_rows(23), model(), CountingTeacher()
    shuffled = data.shuffle(seed=1)
    cached = build(teacher, student, shuffled)
    batch = COLLATE([shuffled[index] for index in range(5)])
    numbers, inputs = batch.pop("row"), {key: value for key, value in batch.items() if key != "labels"}
    torch.testing.assert_close(cached.logits(student, inputs, numbers), LiveTeacher().logits(student, inputs))
    build(teacher, student, data)
    assert teacher.examples == 23, "the order does not matter to the table"


@pytest.mark.parametrize("numbers", [list(range(0, 18, 2)), [0] * 9, [f"r{i}" for i in range(9)], list(range(1, 10))])
def test_rows_that_are_no_numbering_are_refused(numbers: list[Any]) -> None:
    data = rows.classified_rows(9).remove_columns("row").add_column("row", numbers)
    with pytest.raises(ModelError, match="column 'row' must number the 9 examples from 0 to 8, each once; remove"):
        build(CountingTeacher(), model(), data)


@pytest.mark.parametrize("change", ["padding side", "autocast"])
def test_what_changes_the_answer_computes_its_own(change: str) -> None:
    data, student, teacher = rows.classified_rows(9), model(), CountingTeacher()
    build(teacher, student, data)
    if change == "autocast":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            build(teacher, student, data)
    else:
        build_cached_teacher(teacher, student, data, RowKeepingCollator(rows.collator("classification", side="left")))
    assert teacher.examples == 18


def test_the_table_follows_the_rows_device() -> None:
    cached = CachedTeacher(torch.zeros(3, 2))
    answer = cached.logits(nn.Linear(1, 1), {}, torch.tensor([0, 2], device="meta"))
    assert (answer.device.type, cached.table.device.type, answer.shape) == ("meta", "meta", (2, 2))
