"""Malformed recipes and overrides through the real entry point: exit 2, the place, the fix, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import GOOD_RECIPE

FILES: dict[str, tuple[str, str, str]] = {
    "unknown key": ("adapter:\n  rr: 8\n", "recipe.yaml:8 adapter.rr", "did you mean 'r'?"),
    "unknown section": ("adaptor: {r: 8}\n", "recipe.yaml:7 adaptor", "did you mean 'adapter'?"),
    "key of another section": (
        "adapter: {learning_rate: 1e-4}\n",
        "recipe.yaml:7 adapter.learning_rate",
        "write training.learning_rate",
    ),
    "key outside of any section": (
        "learning_rate: 1e-4\n",
        "recipe.yaml:7 learning_rate",
        "write training.learning_rate",
    ),
    "misspelt training argument": (
        "training:\n  seed: 1\n  lerning_rate: 1e-4\n",
        "recipe.yaml:9 training.lerning_rate",
        "'learning_rate'",
    ),
    "number wanted": ("adapter: {r: eight}\n", "recipe.yaml:7 adapter.r", "expected a whole number"),
    "out of range": ("adapter: {dropout: 1.5}\n", "recipe.yaml:7 adapter.dropout", "expected a value less than 1"),
    "not a choice": ("adapter: {svd: randomised}\n", "recipe.yaml:7 adapter.svd", "did you mean 'randomized'?"),
    "unknown method": ("adapter: {method: pisa}\n", "recipe.yaml:7 adapter.method", "did you mean 'pissa'?"),
    "alias and name": ("adapter: {rank: 8, r: 4}\n", "recipe.yaml:7 adapter.r", "keep one of the two"),
    "duplicate key": ("adapter:\n  r: 8\n  r: 4\n", "recipe.yaml:9", "keep one of them"),
    "tab": ("adapter:\n\tr: 8\n", "recipe.yaml:8", "check indentation"),
    "open bracket": ("adapter: {target_modules: [q_proj\n", "recipe.yaml:", "check indentation, colons and quotes"),
    "tag that runs code": ("adapter: !!python/object/apply:os.mkdir [owned]\n", "recipe.yaml:7", "write a plain list"),
    "setting of PEFT": (
        "adapter: {init_lora_weights: pissa_niter_16}\n",
        "recipe.yaml:7 adapter.init_lora_weights",
        "adapter.svd: randomized",
    ),
    "setting of bitsandbytes": (
        "training: {load_in_4bit: true}\n",
        "recipe.yaml:7 training.load_in_4bit",
        "model.quantization: nf4",
    ),
    "contradiction": ("training: {fp16: true, bf16: true}\n", "recipe.yaml:7 training.fp16", "keep one of them"),
    "form against the task": ("regularizers: {form: nlg}\n", "recipe.yaml:7 regularizers.form", "remove it"),
    "unknown word": ("regularizers: papr\n", "recipe.yaml:7 regularizers", "did you mean 'paper'?"),
    "output folder of transformers": ("training: {output_dir: x}\n", "recipe.yaml:7 training.output_dir", "output.dir"),
    "metric of another task": (
        "evaluation: {metrics: [pearson]}\n",
        "recipe.yaml:7 evaluation.metrics",
        "choose one of accuracy",
    ),
    "token": ("training: {hub_token: s3cr3t}\n", "recipe.yaml:7 training.hub_token", "set it in the environment"),
    "token in a comment": (f"# hf_{'s3cr3t' * 6}\n", "recipe.yaml:7", "set it in the environment"),
    "section without settings": ("adapter: 8\n", "recipe.yaml:7 adapter", "for example adapter.method"),
}
"""Mistake -> the text appended to the good recipe, the place that is named, and the fix."""

WHOLE_FILES: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "recipe.yaml task", "add task"),
    "a list": (b"- 1\n", "recipe.yaml:1", "write sections"),
    "not text": (b"# \xff\xfe\n", "recipe.yaml:1", "save the file as UTF-8"),
    "huge": (b"#" * 300_000, "recipe.yaml", "name the recipe, not the data"),
    "no data": (b"task: generation\nmodel: {name_or_path: m}\n", "recipe.yaml data", "add data.train"),
    "no task": (b"model: {name_or_path: m}\ndata: {train: t.csv}\n", "recipe.yaml task", "add task: classification"),
    "unknown preset": (b"model: {name_or_path: m}\ndata: {preset: colaa}\n", "recipe.yaml:2 data.preset", "'cola'"),
}

OVERRIDES: dict[str, tuple[str, str]] = {
    "adapter.rr=8": ("override 'adapter.rr=8'", "did you mean 'r'?"),
    "r=8": ("override 'r=8'", "write adapter.r"),
    "adapter.r": ("override 'adapter.r'", "for example adapter.r=16"),
    "adapter.r=[1": ("override 'adapter.r=[1'", "put quotes around"),
    "training.lr=1": ("override 'training.lr=1'", "write training.learning_rate"),
    "training.hub_token=s3cr3t": ("override 'training.hub_token=...'", "set it in the environment"),
    "task=sorting": ("override 'task=sorting'", "classification"),
}


def refused(balora, folder: Path, *words: str) -> str:
    """Run both commands that read recipes; return the one line that both say."""
    before = {file: file.read_bytes() for file in folder.rglob("*")}
    said = set()
    for command in ("validate", "train"):
        outcome = balora(command, *words)
        assert outcome.code == 2, outcome.err
        assert outcome.out == ""
        assert "Traceback" not in outcome.err
        assert "s3cr3t" not in outcome.err
        said.add(outcome.err)
    assert {file: file.read_bytes() for file in folder.rglob("*")} == before
    (message,) = said
    return message


@pytest.mark.parametrize("case", FILES)
def test_a_recipe_with_one_mistake(balora, folder: Path, case: str) -> None:
    appended, place, fix = FILES[case]
    (folder / "recipe.yaml").write_text(GOOD_RECIPE + appended)
    message = refused(balora, folder, "recipe.yaml")
    assert message.startswith(f"error: {place}")
    assert fix in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("case", WHOLE_FILES)
def test_a_file_that_is_no_recipe(balora, folder: Path, case: str) -> None:
    content, place, fix = WHOLE_FILES[case]
    (folder / "recipe.yaml").write_bytes(content)
    message = refused(balora, folder, "recipe.yaml")
    assert message.startswith(f"error: {place}")
    assert fix in message


@pytest.mark.parametrize("override", OVERRIDES)
def test_a_wrong_override(balora, folder: Path, override: str) -> None:
    place, fix = OVERRIDES[override]
    message = refused(balora, folder, "recipe.yaml", override)
    assert message.startswith(f"error: {place}: ")
    assert fix in message
    assert message.count("\n") == 1


def test_a_recipe_that_is_not_there(balora, folder: Path) -> None:
    assert "did you mean 'recipe.yaml'?" in refused(balora, folder, "recipy.yaml")


def test_all_mistakes_come_at_once(balora, folder: Path) -> None:
    (folder / "recipe.yaml").write_text(GOOD_RECIPE + "adapter: {rr: 8}\ntraining: {sed: 1, bf16: maybe}\n")
    message = refused(balora, folder, "recipe.yaml", "adapter.q=1")
    assert [line.split(": ")[1] for line in message.splitlines()] == [
        "recipe.yaml:7 adapter.rr",
        "recipe.yaml:8 training.sed",
        "recipe.yaml:8 training.bf16",
        "override 'adapter.q=1'",
    ]
