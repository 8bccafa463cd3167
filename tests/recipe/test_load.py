"""Recipe files: where they are found, what is wrong with them, all at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balora.errors import RecipeError
from balora.recipe.catalogue import RECIPES
from balora.recipe.load import load_recipe, parse_recipe, read_recipe_text

GOOD = "model: {name_or_path: m}\ndata: {preset: cola, train: t.tsv}\n"


def problems(text: str, **options) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, **options)
    return [str(problem) for problem in caught.value.problems]


def test_a_file_gives_its_name_to_the_run_folder(tmp_path: Path) -> None:
    file = tmp_path / "my run.yaml"
    file.write_text(GOOD)
    assert load_recipe(file).output.dir == Path("runs/my run")
    assert load_recipe(str(file), ["output.dir=elsewhere"]).output.dir == Path("elsewhere")
    assert parse_recipe(GOOD).output.dir is None


def test_a_byte_order_mark_and_windows_lines_are_accepted(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_recipe(file).task == "classification"
    assert read_recipe_text(file)[0].startswith("model:")


def test_a_shipped_recipe_goes_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = RECIPES.names()[0]
    text, shown = read_recipe_text(name)
    assert shown == f"{name}.yaml"
    assert load_recipe(name) == parse_recipe(text, run_name=name)


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("# ok\n# Größe\n".encode("latin-1"))
    (tmp_path / "big.yaml").write_text("#" * 200_000)
    for name, said in {
        "latin.yaml": "latin.yaml:2: not UTF-8",
        "big.yaml": "larger than 128 KiB",
        ".": "is not a file",
        "bgi.yaml": "did you mean 'big.yaml'?",
        "classify-your-cvs": "did you mean 'classify-your-csv'?",
        "qqqqqqqqqq": "balora recipes list",
        "x" * 5000: "cannot be read",
    }.items():
        with pytest.raises(RecipeError) as caught:
            load_recipe(name)
        assert said in str(caught.value)


def test_everything_wrong_is_said_at_once_in_the_order_of_the_file() -> None:
    text = """model:
  name_or_path: m
  dtyp: float32
data:
  train: t.csv
  max_length: one
adapter:
  learning_rate: 1e-4
  rank: 8
  r: 4
training:
  seed: 1.5
  lerning_rate: 5e-5
outputs: {}
"""
    found = problems(text, overrides=["adapter.method=pisa"])
    where = [problem.split(": ")[0] for problem in found]
    assert where == [
        "recipe.yaml task",
        "recipe.yaml:3 model.dtyp",
        "recipe.yaml:6 data.max_length",
        "recipe.yaml:8 adapter.learning_rate",
        "recipe.yaml:10 adapter.r",
        "recipe.yaml:12 training.seed",
        "recipe.yaml:13 training.lerning_rate",
        "recipe.yaml:14 outputs",
        "override 'adapter.method=pisa'",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 1\n- 2\n", "recipe.yaml:1: is [1, 2]; write sections"),
        ("just text", "recipe.yaml:1: is 'just text'"),
        (
            GOOD + "adapter: pissa\n",
            "recipe.yaml:3 adapter: is 'pissa'; expected settings below it; for example adapter.method",
        ),
        (GOOD + "regularizers: papr\n", "did you mean 'paper'?"),
        (GOOD + "regularizers: [1]\n", "recipe.yaml:3 regularizers: is [1]; expected settings below it"),
        (GOOD + "training: 5\n", "for example training.learning_rate"),
        (GOOD + "output: out\n", "for example output.dir"),
        (
            GOOD + "evaluation: {batch_size: 2}\ntraining: {per_device_eval_batch_size: 4}",
            "recipe.yaml:3 evaluation.batch_size: is 2",
        ),
    ],
)
def test_sections_of_the_wrong_kind(text: str, said: str) -> None:
    (problem,) = problems(text)
    assert said in problem


def test_an_empty_section_is_as_good_as_none() -> None:
    assert parse_recipe(f"{GOOD}adapter:\ntraining:\noutput:\n  dir:\n", run_name="x") == parse_recipe(
        GOOD, run_name="x"
    )


def test_a_secret_anywhere_even_in_a_comment_stops_the_recipe() -> None:
    (problem,) = problems(f"{GOOD}# hf_{'a' * 30}\n")
    assert problem.startswith("recipe.yaml:3: looks like a key or a token")
    assert "aaaa" not in problem
    (problem,) = problems(f"{GOOD}training: {{hub_token: s3cret}}\n")
    assert problem.startswith("recipe.yaml:3 training.hub_token")
    assert "s3cret" not in problem


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["task", "model", "data", "adapter", "regularizers", "training", "evaluation", "output", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(-3, 99) | st.floats(allow_nan=False) | st.text("ab-", max_size=4),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(
                    st.sampled_from(
                        ["name_or_path", "train", "preset", "r", "seed", "labels", "columns", "form", "dir", "q"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=8,
        ),
        max_size=5,
    )
)
def test_any_mapping_is_a_recipe_or_a_list_of_problems(values: dict) -> None:
    found: tuple = ()
    try:
        parse_recipe(json.dumps(values))
    except RecipeError as error:
        found = (*error.problems, None)
    assert len(found) != 1
    assert all(str(problem).startswith("recipe.yaml") for problem in found[:-1])
