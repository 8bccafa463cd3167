"""`balora doctor` tells what a bug report needs, and no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from balora.cli import environment

SECRET = "hf_" + "Zq7" * 11


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "jane"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "jane" / "hub"))


def test_as_text(balora) -> None:
    outcome = balora("doctor")
    assert outcome.code == 0
    lines = dict(line.split(maxsplit=1) for line in outcome.out.splitlines())
    for name in ("balora", "python", "torch", "transformers", "peft", "cpu", "gpu", "[eval]", "[quant]", "here"):
        assert lines[name]
    assert lines["offline"] == "HF_HUB_OFFLINE"
    assert lines["HF_TOKEN"] == "set"
    assert lines["OPENAI_API_KEY"] == "not set"
    assert SECRET not in outcome.out + outcome.err
    assert "jane" not in outcome.out


def test_as_json(balora) -> None:
    document = balora("doctor", "--json").document
    assert document["secrets_set"] == {"HF_TOKEN": True, "WANDB_API_KEY": False, "OPENAI_API_KEY": False}
    assert document["offline"]["HF_HUB_OFFLINE"] is True
    assert document["packages"]["torch"]
    assert document["cpu"]["cores"] >= 1
    assert document["folders"]["hub cache"]["path"] == "~/hub"
    assert document["folders"]["hub cache"]["free_gib"] > 0
    assert document["problems"] == []
    assert SECRET not in str(document)


def test_a_missing_or_old_package_is_a_problem(balora, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"torch": "2.1.0", "peft": None}
    real = environment._version
    monkeypatch.setattr(environment, "_version", lambda name: versions.get(name, real(name)))
    problems = "\n".join(line for line in balora("doctor").out.splitlines() if line.startswith("problem"))
    assert "torch is 2.1.0, balora needs >=2.10" in problems
    assert "peft is missing" in problems


def test_a_broken_torch_is_a_finding(balora, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> int:
        raise RuntimeError("driver too old\nmore lines")

    monkeypatch.setattr("torch.cuda.device_count", broken)
    document = balora("doctor", "--json").document
    assert document["problems"] == ["torch does not work here (driver too old)"]
