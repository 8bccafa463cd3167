"""`balora evaluate` on real files and real models, and lm-eval by itself on the adapter that a run leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from balora.cli.main import main
from tests.support.real import data_root, minilm_folder, real_path
from tests.support.stories import stories_folder

pytestmark = pytest.mark.real

ALONE = """
import json, pathlib, sys
import lm_eval
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml
base, run, data, out = sys.argv[1:]
task = load_yaml(pathlib.Path(lm_eval.__file__).parent / "tasks" / "gsm8k" / "gsm8k.yaml")
task = {key: value for key, value in task.items() if key not in ("tag", "dataset_name")}
files = {"train": f"{data}/train.jsonl", "test": f"{data}/test.jsonl"}
task |= {"dataset_path": "json", "dataset_kwargs": {"data_files": files}}
task["generation_kwargs"] |= {"max_gen_toks": 48}
found = lm_eval.simple_evaluate(
    model="hf", model_args=f"pretrained={base},peft={run},dtype=float32", tasks=[task], batch_size=5,
    device="cpu", task_manager=TaskManager(include_defaults=False), fewshot_random_seed=0, bootstrap_iters=0,
)
rows = [row for row in found["samples"]["gsm8k"] if row["filter"] == "strict-match"]
json.dump({
    "texts": {row["arguments"][0][0]: row["resps"][0][0] for row in rows},
    "strict": found["results"]["gsm8k"]["exact_match,strict-match"],
    "flexible": found["results"]["gsm8k"]["exact_match,flexible-extract"],
}, open(out, "w"))
assert "balora" not in sys.modules
"""

MBPP_ALONE = """
import json, pathlib, subprocess, sys
import evaluate
class CodeEval:
    # lm-eval takes its metric from the hub; this one runs the same programs, each in a process of its own.
    def compute(self, references, predictions, k):
        pairs = list(zip(references, predictions))
        codes = [subprocess.run([sys.executable, "-c", f"{answers[0]}\\n{test}"], capture_output=True, timeout=60)
                 for test, answers in pairs]
        return {"pass@1": sum(code.returncode == 0 for code in codes) / len(codes)}, None
evaluate.load = lambda name: CodeEval()
import lm_eval
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml
base, run, data, out = sys.argv[1:]
task = load_yaml(pathlib.Path(lm_eval.__file__).parent / "tasks" / "mbpp" / "mbpp.yaml")
task = {key: value for key, value in task.items() if key not in ("dataset_name", "unsafe_code")}
task |= {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": f"{data}/test.jsonl"}}}
task["generation_kwargs"] |= {"max_gen_toks": 32}
found = lm_eval.simple_evaluate(
    model="hf", model_args=f"pretrained={base},peft={run},dtype=float32", tasks=[task], batch_size=4,
    device="cpu", task_manager=TaskManager(include_defaults=False), fewshot_random_seed=0, bootstrap_iters=0,
)
json.dump({
    "texts": {row["arguments"][0][0]: row["resps"][0][0] for row in found["samples"]["mbpp"]},
    "pass@1": found["results"]["mbpp"]["pass_at_1,none"],
}, open(out, "w"))
assert "balora" not in sys.modules
"""


def trained(folder: Path, base: Path, train: str, *words: str) -> Path:
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        f"model: {{name_or_path: {json.dumps(str(base))}}}\n"
        f"data: {{train: {json.dumps(str(real_path(train)) + '[:32]')}}}\n"
        "training: {max_steps: 3, per_device_train_batch_size: 4, save_strategy: 'no'}\n"
    )
    assert main(["train", str(recipe), f"output.dir={folder / 'run'}", "--quiet", *words]) == 0
    return folder / "run"


def results(run: Path) -> dict[str, dict[str, Any]]:
    found = [json.loads(path.read_text(), parse_constant=pytest.fail) for path in (run / "evaluations").glob("*.json")]
    return {document["suite"]: document for document in found}


@pytest.mark.parametrize(
    ("preset", "file", "expected"),
    [
        ("cola", "data/cola/in_domain_train.tsv", {"cola_in_domain": "matthews", "cola_ood": "matthews"}),
        ("stsb", "data/glue/STS-B/train.tsv", {"stsb": "pearson", "sick_relatedness": "pearson"}),
        (
            "mnli",
            "data/nli_qqp_10k/MNLI/train.json",
            {"mnli": "accuracy", "breaking_nli": "accuracy", "sick": "accuracy"},
        ),
    ],
)
def test_real_classifiers_end_in_result_files(
    preset: str, file: str, expected: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(tmp_path, minilm_folder(), file, f"data.preset={preset}")
    words = ["evaluate", str(run), "--suite", "ood", "--data", str(data_root() / "data"), "--limit", "12", "--quiet"]
    assert main([*words, "resamples=100"]) == 0
    found = results(run)
    assert set(expected) <= set(found)
    for suite, metric in expected.items():
        assert next(iter(found[suite]["scores"])) == metric
        assert found[suite]["scores"][metric]["items"] == 12
        assert found[suite]["data"]["sha256"]
    assert "written to" in capsys.readouterr().out


def test_gsm8k_equals_lm_eval_by_itself_on_the_exported_adapter(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = stories_folder(tmp_path_factory)
    run = trained(tmp_path, base, "data/gsm8k/train.jsonl", "task=generation", "data.too_long=truncate_prompt")
    data = tmp_path / "gsm8k"
    data.mkdir()
    for name, rows in (("train", 20), ("test", 5)):
        lines = real_path(f"data/gsm8k/{name}.jsonl").read_text().splitlines(keepends=True)
        (data / f"{name}.jsonl").write_text("".join(lines[:rows]))
    words = ["evaluate", str(run), "--suite", "gsm8k", "--data", str(tmp_path), "--quiet"]
    assert main([*words, "max_new_tokens=48", "batch_size=5"]) == 0
    document = results(run)["gsm8k"]
    kept = [json.loads(line) for line in (run / "evaluations" / document["transcripts"][0]).read_text().splitlines()]

    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    command = [sys.executable, "-c", ALONE, str(base), str(run), str(data), str(tmp_path / "alone.json")]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    alone = json.loads((tmp_path / "alone.json").read_text())
    assert {row["prompt"]: row["text"] for row in kept} == alone["texts"]
    assert len(alone["texts"]) == 5
    for name in ("strict", "flexible"):
        assert document["scores"][f"exact_match_{name}"]["value"] == alone[name]
    strict = document["scores"]["exact_match_strict"]
    assert strict["value"] == 0  # so small a model cannot; the file says so, and how sure that is
    assert strict["interval_95"] == [0.0, pytest.approx(1 - 0.025 ** (1 / 5))]


def test_mbpp_equals_lm_eval_by_itself_on_the_exported_adapter(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = stories_folder(tmp_path_factory)
    run = trained(tmp_path, base, "data/gsm8k/train.jsonl", "task=generation", "data.too_long=truncate_prompt")
    rows = [json.loads(line) for line in real_path("data/mbpp/mbpp.jsonl").read_text().splitlines()]
    asked = [row for row in rows if 11 <= row["task_id"] < 15]
    for folder, chosen in ((tmp_path / "mbpp", [*rows[:10], *asked]), (tmp_path / "alone", asked)):
        folder.mkdir()
        name = "mbpp.jsonl" if folder.name == "mbpp" else "test.jsonl"
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in chosen))
    words = ["evaluate", str(run), "--suite", "mbpp", "--data", str(tmp_path), "--quiet"]
    assert main([*words, "max_new_tokens=32", "batch_size=4"]) == 0
    document = results(run)["mbpp"]
    kept = [json.loads(line) for line in (run / "evaluations" / document["transcripts"][0]).read_text().splitlines()]

    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    command = [sys.executable, "-c", MBPP_ALONE, str(base), str(run), str(tmp_path / "alone"), str(tmp_path / "out")]
    subprocess.run(command, check=True, cwd=tmp_path)
    alone = json.loads((tmp_path / "out").read_text())
    assert len(alone["texts"]) == 4
    assert {row["prompt"]: row["text"] for row in kept} == alone["texts"]
    assert document["scores"]["pass@1"]["value"] == alone["pass@1"]
