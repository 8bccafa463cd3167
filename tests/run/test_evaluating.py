"""From a finished run to result files: the right numbers, and nothing written where anything is wrong."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from balora.errors import IncompleteError, InputError, OutputError
from balora.evaluation.settings import ScoringSettings
from balora.run import SuiteResult, evaluate, train
from tests.evaluation.judge.endpoint import Endpoint
from tests.run.test_training import loaded_with_stock_peft, recipe_for
from tests.support import tiny

QUICK = ScoringSettings(resamples=200)
SENTENCES = ["row one good", "row two bad", "row three", "row four good", "row five bad", "row six"]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    train(recipe_for("classification", folder, training={"learning_rate": 1e-2}), show_progress=False)
    return folder


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("writer")
    train(recipe_for("generation", folder), show_progress=False)
    return folder


@pytest.fixture
def run(classifier: Path, tmp_path: Path) -> Path:
    """A run folder of one's own; the base lies where the first one was."""
    return Path(shutil.copytree(classifier / "run", tmp_path / "run"))


def cola_file(folder: Path, rows: int = 6) -> Path:
    path = folder / "dev.tsv"
    path.write_text("".join(f"src\t{row % 2}\t\t{SENTENCES[row % 6]} {row // 6}\n" for row in range(rows)))
    return path


def questions(folder: Path, rows: int = 4) -> Path:
    path = folder / "test.jsonl"
    path.write_text("".join(json.dumps({"question": f"{n}?", "answer": f"#### {n}"}) + "\n" for n in range(rows)))
    return path


def only(results: list[SuiteResult]) -> SuiteResult:
    (result,) = results
    return result


def document_of(result: SuiteResult) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.path.read_text(), parse_constant=pytest.fail)
    return found


def test_the_run_s_own_split_scores_as_it_did_in_training(run: Path) -> None:
    result = only(evaluate(run, settings=QUICK, show_progress=False))
    trained = json.loads((run / "all_results.json").read_text())
    for name, score in result.scores.items():
        assert score.value == pytest.approx(trained[f"eval_{name}"])
    assert set(result.scores) == {"accuracy", "f1"}
    document = document_of(result)
    assert document["leakage"]["exact"] == 24  # its validation file is its training file
    assert any("also occur in train" in note for note in document["notes"])


def test_a_result_file_names_everything_that_decided_it(run: Path, tmp_path: Path) -> None:
    document = document_of(only(evaluate(run, "cola", data=cola_file(tmp_path), settings=QUICK, show_progress=False)))
    assert document["suite"] == "cola"
    assert document["items"] == 6
    score = document["scores"]["accuracy"]
    assert {"value", "standard_error", "interval_95", "items", "method"} <= set(score)
    assert document["harness"] == "balora"
    assert document["versions"]["torch"]
    assert len(document["prompt_sha256"]) == len(document["data"]["sha256"]) == 64
    assert document["subject"]["run_id"]
    assert len(document["subject"]["weights_sha256"]) == 64
    assert document["seed"] == 0
    assert document["settings"]["resamples"] == 200
    assert "no names" in document["notes"][0]  # its classes are called 0 and 1


def test_scores_are_those_of_stock_peft_and_scikit_learn(classifier: Path, run: Path, tmp_path: Path) -> None:
    from sklearn.metrics import accuracy_score, matthews_corrcoef

    result = only(evaluate(run, "cola", data=cola_file(tmp_path, 18), settings=QUICK, show_progress=False))
    model = loaded_with_stock_peft("classification", classifier)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run)
    texts = [f"{SENTENCES[row % 6]} {row // 6}" for row in range(18)]
    predicted = [int(model(**tokenizer(text, return_tensors="pt")).logits.argmax()) for text in texts]
    true = [row % 2 for row in range(18)]
    assert result.scores["accuracy"].value == pytest.approx(accuracy_score(true, predicted))
    assert result.scores["matthews"].value == pytest.approx(matthews_corrcoef(true, predicted))


def test_base_and_difference_are_of_the_same_items(run: Path, tmp_path: Path) -> None:
    result = only(evaluate(run, "cola", data=cola_file(tmp_path, 18), base=True, settings=QUICK, show_progress=False))
    for name, score in result.scores.items():
        assert result.difference[name].value == pytest.approx(score.value - result.base[name].value)
        assert result.difference[name].items == 18
    document = document_of(result)
    assert document["base_scores"]
    assert any("random" in note for note in document["notes"])
    again = only(evaluate(run, "cola", data=cola_file(tmp_path, 18), base=True, settings=QUICK, show_progress=False))
    assert again.identical  # the head that the base lacks is drawn the same each time
    assert again.path == result.path


def test_nothing_is_written_over_and_nothing_twice(run: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"data": cola_file(tmp_path), "settings": QUICK, "show_progress": False}
    first = only(evaluate(run, "cola", **options))
    before = first.path.read_bytes()
    second = only(evaluate(run, "cola", **options))
    third = only(evaluate(run, "cola", limit=3, **options))
    assert second.identical
    assert not third.identical
    assert first.path.read_bytes() == before
    assert {path.name for path in (run / "evaluations").iterdir()} == {first.path.name, third.path.name}


def test_a_bare_adapter_scores_as_its_run(classifier: Path, run: Path, tmp_path: Path) -> None:
    bare = tmp_path / "adapter"
    bare.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(run / name, bare)
    options: dict[str, Any] = {"data": cola_file(tmp_path, 18), "settings": QUICK, "show_progress": False}
    of_run, of_adapter = only(evaluate(run, "cola", **options)), only(evaluate(bare, "cola", **options))
    assert {name: each.value for name, each in of_run.scores.items()} == {
        name: each.value for name, each in of_adapter.scores.items()
    }
    assert of_adapter.path.parent == bare / "evaluations"
    moved = only(evaluate(bare, "cola", model=str(classifier / "base"), out=tmp_path / "elsewhere", **options))
    assert moved.path.parent == tmp_path / "elsewhere"


def test_regression_and_its_ood_drop(tmp_path: Path) -> None:
    train(recipe_for("regression", tmp_path, training={"learning_rate": 1e-2}), show_progress=False)
    data = tmp_path / "data"
    (data / "STS-B").mkdir(parents=True)
    rows = "\n".join(f"a{n}\tb{n % 5}\t{n % 5}.5" for n in range(20))
    (data / "STS-B" / "dev.tsv").write_text("sentence1\tsentence2\tscore\n" + rows)
    lines = "\n".join(f"s{n}\tt{n % 4}\t{n % 4 + 1}\t{'TEST' if n % 2 else 'TRAIN'}" for n in range(20))
    (data / "SICK.txt").write_text("sentence_A\tsentence_B\trelatedness_score\tSemEval_set\n" + lines)
    settings = {"resamples": 200, "trained_on": "stsb"}
    results = evaluate(tmp_path / "run", "ood", data=data, settings=settings, show_progress=False)
    assert [result.suite for result in results] == ["stsb", "sick_relatedness"]
    inside, outside = results
    assert outside.scores["pearson"].items == 10
    expected = inside.scores["pearson"].value - outside.scores["pearson"].value
    assert outside.drop["absolute"].value == pytest.approx(expected)
    assert outside.drop["relative"].value == pytest.approx(expected / inside.scores["pearson"].value)
    assert not inside.drop


def test_generation_by_its_loss_and_by_the_harness(writer: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(writer / "run", tmp_path / "run"))
    own = only(evaluate(run, settings=QUICK, show_progress=False))
    trained = json.loads((run / "all_results.json").read_text())
    assert own.scores["loss"].value == pytest.approx(trained["eval_loss"], rel=1e-4)
    assert own.scores["perplexity"].value == pytest.approx(math.exp(own.scores["loss"].value))
    settings = {"shots": 0, "max_new_tokens": 8, "resamples": 200}
    options: dict[str, Any] = {"data": questions(tmp_path), "settings": settings, "show_progress": False}
    both = evaluate(run, ["gsm8k", "gsm8k_paper"], base=True, **options)
    assert [result.suite for result in both] == ["gsm8k", "gsm8k_paper"]
    for result in both:
        document = document_of(result)
        assert document["harness"].startswith("lm-eval ")
        assert document["generation"]["max_gen_toks"] == 8
        assert [(run / "evaluations" / name).is_file() for name in document["transcripts"]] == [True, True]
        for score in result.scores.values():
            if score.value == 0:
                assert score.high == pytest.approx(1 - 0.025 ** (1 / 4))
    assert all(result.identical for result in evaluate(run, ["gsm8k", "gsm8k_paper"], base=True, **options))


def test_an_encoder_decoder_writes_label_words(tmp_path: Path) -> None:
    train(recipe_for("seq2seq", tmp_path), show_progress=False)
    options: dict[str, Any] = {"data": cola_file(tmp_path), "settings": QUICK, "show_progress": False}
    result = only(evaluate(tmp_path / "run", "cola", **options))
    document = document_of(result)
    assert document["counts"]["template"] == "cola sentence: {text}"
    assert document["counts"]["no_label_word"] == 6
    assert result.scores["accuracy"].value == 0
    assert result.scores["accuracy"].high > 0.3


def test_a_whole_model_and_its_base(tmp_path: Path) -> None:
    training = {"max_steps": 2, "learning_rate": 1e-3}
    train(recipe_for("generation", tmp_path, adapter={"method": "full"}, training=training), show_progress=False)
    result = only(evaluate(tmp_path / "run", base=True, settings=QUICK, show_progress=False))
    assert result.base["loss"].value != result.scores["loss"].value
    plain = only(
        evaluate(
            None,
            "gsm8k",
            model=str(tmp_path / "base"),
            data=questions(tmp_path),
            out=tmp_path / "out",
            settings={"shots": 0, "max_new_tokens": 4},
            show_progress=False,
        )
    )
    assert plain.path.parent == tmp_path / "out"
    assert document_of(plain)["subject"]["run_id"] is None


@pytest.mark.parametrize(
    ("suites", "options", "said"),
    [
        (["colla"], {}, "did you mean 'cola'"),
        (["cola", "gsm8k", "stsb"], {}, "stsb' is a regression suite"),
        (["cola", "gsm8k"], {}, "'gsm8k' is for models that write"),
        (["mnli"], {}, "the head tells 0, 1 apart"),
        (["ood"], {}, "set trained_on=TASK"),
        (["test"], {}, "no labelled test split"),
        ([], {}, "no suite is named"),
        (["validation"], {"limit": 0}, "--limit: is 0"),
        (["mt_bench"], {}, "'mt_bench' is for models that write"),
        (["cola"], {"settings": {"resamples": 3}}, "resamples: input should be greater"),
        (["cola"], {"settings": {"samples": 3}}, "set temperature"),
    ],
)
def test_bad_requests_end_before_anything_is_written(
    suites: list[str], options: dict[str, Any], said: str, run: Path, tmp_path: Path
) -> None:
    mnli = tmp_path / "dev.json"
    mnli.write_text(json.dumps({"0": {"text_a": "a", "text_b": "b", "label": "neutral"}}))
    before = sorted(tmp_path.rglob("*"))
    data = {"cola": cola_file(tmp_path), "mnli": mnli}.get((suites or ["cola"])[0], cola_file(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=said):
        evaluate(run, suites, **{"data": data, "show_progress": False, **options})
    assert sorted(tmp_path.rglob("*")) == before


def test_every_problem_is_named_at_once(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        evaluate(run, ["stsb", "gsm8k", "mt_bench"], data=cola_file(tmp_path), show_progress=False)
    assert len(raised.value.problems) == 3


@pytest.mark.parametrize("kind", ["missing", "empty", "no weights", "nothing"])
def test_folders_that_cannot_be_evaluated(kind: str, tmp_path: Path) -> None:
    folder: Path | None = tmp_path / "x"
    if kind == "nothing":
        folder = None
    elif kind != "missing":
        (tmp_path / "x").mkdir()
    if kind == "no weights":
        (tmp_path / "x" / "adapter_config.json").write_text("{}")
    said = {
        "missing": "no such folder",
        "empty": "holds neither",
        "no weights": "holds no adapter_model.safetensors",
        "nothing": "nothing to evaluate",
    }
    with pytest.raises(OutputError, match=said[kind]):
        evaluate(folder, "cola", show_progress=False)


def test_a_plain_model_has_no_base(writer: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its own base"):
        evaluate(None, "gsm8k", model=str(writer / "base"), base=True, data=questions(tmp_path), settings={"shots": 0})


def test_rows_without_a_counterpart_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        json.dumps({"text": SENTENCES[n % 6] + str(n), "label": ["negative", "positive"][n % 2]}) for n in range(24)
    ]
    (tmp_path / "own.jsonl").write_text("\n".join(rows))
    changes = {"data": {"train": str(tmp_path / "own.jsonl"), "validation": str(tmp_path / "own.jsonl")}}
    train(recipe_for("classification", tmp_path, **changes), show_progress=False)
    stars = {str(n): {"ori": SENTENCES[n % 6], "label": str(n % 5)} for n in range(10)}
    (tmp_path / "yelp_review").mkdir()
    (tmp_path / "yelp_review" / "test.json").write_text(json.dumps(stars))
    settings = {"trained_on": "sst2", "resamples": 200}
    result = only(evaluate(tmp_path / "run", "yelp", data=tmp_path, settings=settings, show_progress=False))
    assert result.scores["accuracy"].items == 8
    assert any("left out 2 rows" in note for note in document_of(result)["notes"])
    assert np.isfinite(result.scores["accuracy"].value)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-6d1f0c2e")
    found = Endpoint()
    yield found
    found.close()


def chatting(writer: Path, tmp_path: Path, template: str | None) -> Path:
    run = Path(shutil.copytree(writer / "run", tmp_path / "run"))
    tiny.character_tokenizer(chat_template=template).save_pretrained(run)
    return run


def two_turns(folder: Path) -> Path:
    path = folder / "question.jsonl"
    rows = [{"question_id": n, "category": "writing", "turns": [f"Say {n}.", "Again."]} for n in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


TURNS = "{% for m in messages %}{{ m['role'][0] }}:{{ m['content'] }} {% endfor %}a:"


def test_mt_bench_is_answered_then_judged(writer: Path, tmp_path: Path, endpoint: Endpoint) -> None:
    run = chatting(writer, tmp_path, TURNS)
    judge = {"model": "judge-1", "base_url": endpoint.url, "first_wait_s": 0.001}
    options: dict[str, Any] = {
        "data": two_turns(tmp_path),
        "settings": {"judge": judge, "max_new_tokens": 6, "resamples": 200},
        "show_progress": False,
    }
    result = only(evaluate(run, "mt_bench", **options))
    assert set(result.scores) == {"grade", "grade_turn_1", "grade_turn_2"}
    grade = result.scores["grade"]
    assert 1 <= grade.value <= 10
    assert (grade.items, grade.clusters) == (6, 3)
    asked = len(endpoint.bodies)
    assert only(evaluate(run, "mt_bench", **options)).identical
    (words,) = (run / "evaluations").glob("mt_bench-*.judgements.jsonl")
    assert len(words.read_text().splitlines()) == 6
    assert len(endpoint.bodies) == asked  # grades are cached, answers kept


def test_a_judge_that_costs_money_is_asked_only_on_request(writer: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-6d1f0c2e")
    run = chatting(writer, tmp_path, TURNS)
    settings = {"judge": {"model": "judge-1"}, "max_new_tokens": 6}
    with pytest.raises(IncompleteError, match=r"6 requests .* spend=true goes on"):
        evaluate(run, "mt_bench", data=two_turns(tmp_path), settings=settings, show_progress=False)
    assert [path.name.split(".")[1] for path in (run / "evaluations").iterdir()] == ["answers"]


def test_mt_bench_needs_a_judge_and_a_chat_template(writer: Path, tmp_path: Path) -> None:
    run = chatting(writer, tmp_path, None)
    with pytest.raises(InputError, match="needs a judge model"):
        evaluate(run, "mt_bench", data=two_turns(tmp_path), show_progress=False)
    settings = {"judge": {"model": "m", "base_url": "http://localhost:9/v1"}}
    with pytest.raises(InputError, match="the tokenizer has none"):
        evaluate(run, "mt_bench", data=two_turns(tmp_path), settings=settings, show_progress=False)
    assert not (run / "evaluations").exists()
