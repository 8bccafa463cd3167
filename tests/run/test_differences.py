"""What changed is told by key, with both values, none of them secret."""

from __future__ import annotations

import random
from typing import Any

import pytest

from balora.run.differences import LONGEST, changed_data, changed_processes, changed_settings, then_and_now

_ABSENT = object()


def drawn(draw: random.Random) -> dict[str, Any]:
    values = [None, 1, 2, "1", [1], [1, 2]]
    return {
        section: {key: draw.choice(values) for key in "xyz" if draw.random() < 0.7}
        for section in "abcd"
        if draw.random() < 0.9
    }


def test_a_setting_is_told_exactly_where_its_values_differ() -> None:
    draw = random.Random(3)
    for _ in range(300):
        one, other = drawn(draw), drawn(draw)
        names = {f"{section}.{key}" for values in (one, other) for section in values for key in values[section]}
        split = {
            name: tuple(values.get(name[0], {}).get(name[2], _ABSENT) for values in (one, other)) for name in names
        }
        expected = {name for name, (before, now) in split.items() if before != now}
        found = [problem.where for problem in changed_settings(one, other) if "." in problem.where]
        assert sorted(found) == sorted(expected)


def test_a_setting_that_is_there_on_one_side_only_is_a_difference() -> None:
    assert [str(p) for p in changed_settings({"training": {"seed": None}}, {"training": {}})] == [
        "training: not set in the checkpoint, {} now",
        "training.seed: null in the checkpoint, not set now",
    ]


def test_the_folder_is_no_difference() -> None:
    assert changed_settings({"output": {"dir": "a"}}, {"output": {"dir": "b"}}) == []


def test_long_values_are_shown_where_they_differ() -> None:
    one, other = "x" * 500 + "A" + "y" * 500, "x" * 500 + "B" + "y" * 500
    said = then_and_now(one, other)
    assert "A" in said
    assert "B" in said
    assert len(said) < 2 * LONGEST + 60


def test_control_characters_are_written_out() -> None:
    assert "\x1b" not in then_and_now("\x1b[31m", "b")


def test_secrets_stay_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "opensesame-opensesame")
    key = "hf_" + "a" * 34
    settings = {"data": {"template": f"{key} and opensesame-opensesame {{x}}", "hub_token": "innocent"}}
    said = " ".join(map(str, changed_settings(settings, {"data": {"template": "t", "hub_token": "other"}})))
    for secret in (key, "opensesame", "innocent"):
        assert secret not in said
    assert "data.template" in said
    assert "data.hub_token" in said


SOURCE = {"where": "a.csv", "revision": None, "sha256": "0" * 64, "rows": 3}
DATA = {"train": SOURCE, "validation": None, "label_names": None, "fingerprint": "1" * 64}


def test_the_same_data_are_no_difference() -> None:
    assert changed_data(DATA, dict(DATA)) == []


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"fingerprint": "2" * 64}, "data.train: the training examples changed: their source is as it was"),
        (
            {"fingerprint": "2" * 64, "train": {**SOURCE, "sha256": "3" * 64, "rows": 4}},
            "changed: 'a.csv', rows 3 in the checkpoint, 4 now, SHA-256 of the file 000000000000 in the checkpoint",
        ),
        ({"validation": SOURCE}, "data.validation: the validation examples changed: not set in the checkpoint"),
        ({"validation": {**SOURCE, "revision": "v2"}}, "data.validation: the validation examples changed"),
        ({"label_names": ["no", "yes"]}, "data.labels: the class names changed: null in the checkpoint, ['no', 'yes']"),
        ({"calibration": {"seed": 2}}, "adapter.calibration: the calibration sample changed: seed null"),
    ],
)
def test_changed_data_are_told(now: dict[str, Any], said: str) -> None:
    (problem,) = changed_data(DATA, {**DATA, **now})
    assert said in str(problem)


def test_other_processes_are_told() -> None:
    assert changed_processes(2, 2) == []
    (problem,) = changed_processes(2, 1)
    assert str(problem) == "processes: 2 in the checkpoint, 1 now; start 2 of them"
