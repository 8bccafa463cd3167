"""What the task files call: prompts as their sources have them, scores by value, code in the sandbox."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from balora.errors import ResourceError
from balora.evaluation.harness import TASK_FILES
from balora.evaluation.sandbox import Verdict
from tests.support.real import real_path


@pytest.fixture(scope="module")
def functions() -> ModuleType:
    """Loaded by its path, as the harness does."""
    specification = importlib.util.spec_from_file_location("functions", TASK_FILES / "functions.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_paper_s_prompt_is_the_one_of_training(functions: ModuleType) -> None:
    prompt = functions.paper_question({"question": "How many?"})
    assert prompt.startswith("Below is an instruction that describes a task.")
    assert prompt.endswith("### Instruction:\nHow many?\n\n### Response:")
    svamp = functions.paper_svamp({"Body": "There are 3 pens", "Question": "How many pens?"})
    assert "There are 3 pens. How many pens?" in svamp


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("so 18.\nThe answer is: 18", {"accuracy": 1.0, "answered": 1.0}),
        ("The answer is: $18.00.", {"accuracy": 1.0, "answered": 1.0}),
        ("The answer is: 17, not 18", {"accuracy": 0.0, "answered": 1.0}),
        ("18", {"accuracy": 0.0, "answered": 0.0}),
        ("The answer is: many", {"accuracy": 0.0, "answered": 0.0}),
        ("", {"accuracy": 0.0, "answered": 0.0}),
    ],
)
def test_gsm8k_the_paper_s_way(functions: ModuleType, text: str, scores: dict[str, float]) -> None:
    assert functions.score_gsm8k_paper({"answer": "9 + 9\n#### 18"}, [text]) == scores


def test_gsm8k_the_harness_way(functions: ModuleType) -> None:
    doc = {"answer": "thus\n#### 1,018"}
    both = functions.score_gsm8k(doc, ["it is 1018\n#### 1,018"])
    assert both == {"exact_match_strict": 1.0, "exact_match_flexible": 1.0}
    assert functions.score_gsm8k(doc, ["it is $1018."]) == {"exact_match_strict": 0.0, "exact_match_flexible": 1.0}
    assert functions.score_gsm8k(doc, [["#### 1018", "no"]])["exact_match_strict"] == 0.5


def test_svamp_and_math(functions: ModuleType) -> None:
    assert functions.score_svamp({"Answer": 145.0}, ["290 / 2 = 145"])["accuracy"] == 1.0
    assert functions.score_svamp({"Answer": 145.0}, ["nothing"]) == {"accuracy": 0.0, "answered": 0.0}
    doc = {"answer": r"\frac{1}{2}"}
    assert functions.score_math(doc, [r"so \boxed{0.5}"])["accuracy"] == 1.0
    assert functions.score_math(doc, ["The answer is: 1/2."])["accuracy"] == 1.0
    assert functions.score_math(doc, ["1/2"]) == {"accuracy": 0.0, "answered": 0.0}


def test_pass_at_k_where_there_are_samples_and_no_score_where_nothing_ran(functions: ModuleType) -> None:
    verdicts = [Verdict("passed"), *[Verdict("failed")] * 9]
    assert functions._pass_scores(verdicts) == {"pass@1": pytest.approx(0.1), "pass@10": 1.0}
    with pytest.raises(ResourceError, match="was not run"):
        functions._pass_scores([Verdict("passed"), Verdict("refused", "no sandbox")])


@pytest.mark.real
@pytest.mark.parametrize("name", ["mbpp", "mbpp_sanitized"])
def test_real_mbpp_items_and_their_reference_solutions(functions: ModuleType, name: str) -> None:
    file = {"mbpp": "data/mbpp/mbpp.jsonl", "mbpp_sanitized": "data/mbpp/sanitized-mbpp.json"}[name]
    splits = getattr(functions, f"{name}_rows")(data=str(real_path(file)))
    assert len(splits["test"]) == {"mbpp": 500, "mbpp_sanitized": 257}[name]
    assert [row["task_id"] for row in splits["prompt"]] == [2, 3, 4]
    doc = splits["test"][0]
    assert doc["task_id"] == 11
    assert functions.mbpp_prompt(doc).endswith("[BEGIN]\n")
    assert functions.score_mbpp(doc, [doc["code"], "def f(): pass"]) == {"pass@1": 0.5}


@pytest.mark.real
def test_a_real_humaneval_item_and_its_reference_solution(functions: ModuleType) -> None:
    path: Path = real_path("data/humaneval/HumanEval.jsonl.gz")
    doc = functions.humaneval_rows(data=str(path))["test"][0]
    assert functions.score_humaneval(doc, [doc["canonical_solution"], "    return None\n"]) == {"pass@1": 0.5}
