"""What the task files call: rows from local files, prompts, and scores of one item.

The harness loads this file by its path. Scores are numbers per item; several samples of an item are averaged, and
pass@k is the unbiased estimate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import datasets

from balora.data.prompts import alpaca_prompt
from balora.errors import ResourceError
from balora.evaluation.answers import (
    answer_after_phrase,
    judge_number,
    mathematical_answer,
    number_in,
    shared_judge,
)
from balora.evaluation.generation_suites import GENERATION_SUITES, items_of, read_rows
from balora.evaluation.pass_at_k import pass_at_k
from balora.evaluation.sandbox import Verdict, check_humaneval, check_mbpp

Doc = Mapping[str, Any]
Results = Sequence[str | Sequence[str]]


def rows(suite: str, data: str, shots: str | None) -> datasets.DatasetDict:
    """The items as the harness wants them, with few-shot examples as the split `train`, empty where there are none."""
    items = list(read_rows(GENERATION_SUITES[suite], data).rows)
    examples = list(read_rows(GENERATION_SUITES[suite], shots).rows) if shots is not None else []
    columns = {name: [row[name] for row in examples] for name in items[0]}
    return datasets.DatasetDict(
        {"test": datasets.Dataset.from_list(items), "train": datasets.Dataset.from_dict(columns)}
    )


def _loader(suite: str) -> Callable[..., datasets.DatasetDict]:
    def load(*, data: str, shots: str | None = None, **unused: Any) -> datasets.DatasetDict:
        del unused  # the harness hands over the whole metadata block
        return rows(suite, data, shots)

    return load


gsm8k_rows = _loader("gsm8k")
math500_rows = _loader("math500")
svamp_rows = _loader("svamp")


def humaneval_rows(*, data: str, unsandboxed: bool = False, **unused: Any) -> datasets.DatasetDict:
    """HumanEval's items; `unsandboxed` travels with them to the scorer."""
    del unused
    kept = [{**row, "unsandboxed": unsandboxed} for row in read_rows(GENERATION_SUITES["humaneval"], data).rows]
    return datasets.DatasetDict({"test": datasets.Dataset.from_list(kept)})


def _mbpp_loader(name: str, text: str) -> Callable[..., datasets.DatasetDict]:
    suite = GENERATION_SUITES[name]

    def load(*, data: str, unsandboxed: bool = False, **unused: Any) -> datasets.DatasetDict:
        del unused
        found = read_rows(suite, data)
        shown = [row for row in found.rows if row["task_id"] in _MBPP_SHOT_IDS]
        splits = {}
        for split, each in (("test", items_of(suite, found)), ("prompt", shown)):
            kept = [{**{key: row[key] for key in _MBPP_COLUMNS if key in row}, "text": row[text]} for row in each]
            splits[split] = datasets.Dataset.from_list([{**row, "unsandboxed": unsandboxed} for row in kept])
        return datasets.DatasetDict(splits)

    return load


_MBPP_COLUMNS = ("task_id", "code", "test_list", "test_setup_code", "test_imports", "place")
_MBPP_SHOT_IDS = (2, 3, 4)
"""The three examples of the paper's prompt (Austin et al. 2021, section 3.1)."""
mbpp_rows = _mbpp_loader("mbpp", "text")
mbpp_sanitized_rows = _mbpp_loader("mbpp_sanitized", "prompt")


def paper_question(doc: Doc) -> str:
    """GSM8K the paper's way."""
    return alpaca_prompt(str(doc["question"]))


def paper_problem(doc: Doc) -> str:
    """MATH the paper's way."""
    return alpaca_prompt(str(doc["problem"]))


def svamp_question(doc: Doc) -> str:
    """Story and question in one text."""
    body = str(doc["Body"]).strip()
    joined = body if body.endswith((".", "?", "!", ",")) else f"{body}."
    return f"{joined} {str(doc['Question']).strip()}"


def svamp_prompt(doc: Doc) -> str:
    """SVAMP in the form of the harness' GSM8K."""
    return f"Question: {svamp_question(doc)}\nAnswer:"


def paper_svamp(doc: Doc) -> str:
    """SVAMP the paper's way."""
    return alpaca_prompt(svamp_question(doc))


def mbpp_prompt(doc: Doc) -> str:
    """The prompt of Austin et al. 2021, section 3.1, as the harness has it."""
    tests = "\n".join(doc["test_list"][:3])
    return (
        f"You are an expert Python programmer, and here is your task: {doc['text']} "
        f"Your code should pass these tests:\n\n{tests}\n[BEGIN]\n"
    )


def _texts(results: Results) -> list[str]:
    """Every sample of an item, however many there are."""
    return [text for each in results for text in ([each] if isinstance(each, str) else each)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def score_gsm8k(doc: Doc, results: Results) -> dict[str, float]:
    """The harness' two readings of its task gsm8k, version 3: the number after ####, and the last number."""
    texts, gold = _texts(results), str(doc["answer"])
    strict = [_exact_match(_first_group(r"#### (\-?[0-9\.\,]+)", text, 0), gold) for text in texts]
    flexible = [_exact_match(_first_group(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", text, -1), gold) for text in texts]
    return {"exact_match_strict": _mean(strict), "exact_match_flexible": _mean(flexible)}


def _first_group(pattern: str, text: str, group: int) -> str:
    from lm_eval.filters.extraction import RegexFilter

    found = RegexFilter(regex_pattern=pattern, group_select=group).apply([[text]], [{}])
    return str(next(iter(next(iter(found)))))


def _exact_match(answer: str, gold: str) -> float:
    from lm_eval.api.metrics import exact_match_hf_evaluate

    ignored = [",", r"\$", r"(?s).*#### ", r"\.$"]
    scores = exact_match_hf_evaluate([answer], [gold], regexes_to_ignore=ignored, ignore_case=True)
    return float(scores["exact_match"])


def score_gsm8k_paper(doc: Doc, results: Results) -> dict[str, float]:
    """The number after "The answer is" equals the one after ####."""
    return _number_scores(_texts(results), str(doc["answer"]).rsplit("####", 1)[-1])


def score_svamp_paper(doc: Doc, results: Results) -> dict[str, float]:
    """The number after "The answer is" equals the answer."""
    return _number_scores(_texts(results), str(doc["Answer"]))


def _number_scores(texts: Sequence[str], gold: str) -> dict[str, float]:
    answers = [answer_after_phrase(text) for text in texts]
    right = [float(judge_number(answer, gold).equal) for answer in answers]
    answered = [float(answer is not None and number_in(answer) is not None) for answer in answers]
    return {"accuracy": _mean(right), "answered": _mean(answered)}


def score_svamp(doc: Doc, results: Results) -> dict[str, float]:
    """The last number of the text equals the answer."""
    answers = [found[-1] if (found := re.findall(r"-?\d[\d,]*\.?\d*", text)) else None for text in _texts(results)]
    right = [float(judge_number(answer, str(doc["Answer"])).equal) for answer in answers]
    return {"accuracy": _mean(right), "answered": _mean([float(answer is not None) for answer in answers])}


def score_math(doc: Doc, results: Results) -> dict[str, float]:
    """The boxed answer, or the one after "the answer is", equals the reference as mathematics."""
    judge = shared_judge()
    answers = [mathematical_answer(text) for text in _texts(results)]
    right = [float(judge.judge(answer, str(doc["answer"])).equal) for answer in answers]
    return {"accuracy": _mean(right), "answered": _mean([float(answer is not None) for answer in answers])}


SHOWN_K = (1, 10, 100)
"""pass@k is given for those of these numbers that there are samples for."""


def score_humaneval(doc: Doc, results: Results) -> dict[str, float]:
    """pass@k of the continuations, run in the sandbox."""
    allowed = bool(doc["unsandboxed"])
    return _pass_scores([check_humaneval(doc, text, allow_unsandboxed=allowed) for text in _texts(results)])


def score_mbpp(doc: Doc, results: Results) -> dict[str, float]:
    """pass@k of the programs, run in the sandbox."""
    allowed = bool(doc["unsandboxed"])
    return _pass_scores([check_mbpp(doc, text, allow_unsandboxed=allowed) for text in _texts(results)])


def _pass_scores(verdicts: Sequence[Verdict]) -> dict[str, float]:
    refused = next((verdict for verdict in verdicts if verdict.reason == "refused"), None)
    if refused is not None:
        raise ResourceError(f"generated code was not run, so there is no score: {refused.detail}")
    passed = sum(verdict.passed for verdict in verdicts)
    return {f"pass@{k}": pass_at_k(len(verdicts), passed, k) for k in SHOWN_K if k <= len(verdicts)}
