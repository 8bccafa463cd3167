"""What is measured of a trained run: evaluation suites, the lab's truth, and the audit."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from balora.auditing import audit
from balora.lab import Exam, LabSettings, build_task, build_world, exam_on, logits_of
from balora.run import evaluate
from balora.run.subject import find_subject, load_subject
from balora.strict_json import read_json
from balora.study.metrics import LAB_VALIDATION
from balora.study.preparing import PreparedLab
from balora.study.settings import AUDIT_ARGUMENTS

AUDIT_RECORD = "audit.json"
"""What an audit leaves in the run folder."""


def measured_scores(folder: Path, measures: Mapping[str, Any], lab: Mapping[str, Any] | None) -> dict[str, float]:
    """The scores of a finished run, by metric key.

    Args:
        folder: the run folder.
        measures: `evaluate`, a list of calls; `audit`, its settings; `lab`, the stage.
        lab: the prepared lab that the run learnt from.
    """
    scores: dict[str, float] = {}
    for call in measures.get("evaluate") or []:
        scores |= suite_scores(folder, call)
    if lab is not None:
        scores |= lab_scores(folder, PreparedLab.from_json(lab), measures["lab"])
    if measures.get("audit") is not None:
        scores |= audit_scores(folder, measures["audit"])
    return scores


def suite_scores(folder: Path, call: Mapping[str, Any]) -> dict[str, float]:
    """`<suite>.<score>` of one call of `balora evaluate`; with the base also `.base` and `.difference`."""
    results = evaluate(
        folder,
        call["suites"],
        data=call["data"],
        base=call["base"],
        limit=call["limit"],
        settings=call["settings"],
        show_progress=False,
    )
    scores: dict[str, float] = {}
    for result in results:
        parts = {"": result.scores, ".base": result.base, ".difference": result.difference}
        for ending, estimates in parts.items():
            scores |= {f"{result.suite}.{name}{ending}": each.value for name, each in estimates.items()}
        scores |= {f"{result.suite}.drop.{name}": each.value for name, each in result.drop.items()}
    return scores


def lab_scores(folder: Path, lab: PreparedLab, stage: Literal["tune", "final"]) -> dict[str, float]:
    """`lab.<score>` of a run, and of the model before it as `lab.<score>.base`.

    A sweep sees the validation split only, so that nothing is chosen by what is reported.
    """
    exam, base = _exam(lab.settings.model_dump_json(), str(lab.model))
    model = logits_of(load_subject(find_subject(folder, None)).model)
    scores = {LAB_VALIDATION: exam.validation_accuracy(model)}
    if stage == "final":
        scores |= {f"lab.{name}": value for name, value in exam.scores(model).as_dict().items()}
        scores |= {f"lab.{name}.base": value for name, value in base.items()}
    return scores


@functools.lru_cache(maxsize=4)
def _exam(settings: str, model: str) -> tuple[Exam, dict[str, float]]:
    """The exam of a lab, and the scores of the model before any fine-tune; kept for the next run of this process."""
    lab = LabSettings.model_validate_json(settings)
    world = build_world(lab.world)
    exam, base = exam_on(Path(model), world, build_task(world, lab.task))
    return exam, exam.scores(base).as_dict()


def audit_scores(folder: Path, settings: Mapping[str, Any]) -> dict[str, float]:
    """Every number of a run's audit as `audit.<chapter>.<score>`, with `.base` and `.difference` behind it.

    Its report stays in the run folder; one that an interrupted leg has written is not made again. Pictures are drawn
    by the study's report unless the settings say `figures: true`.
    """
    record = folder / AUDIT_RECORD
    if not record.is_file():
        given = {key: value for key, value in settings.items() if key in AUDIT_ARGUMENTS}
        rest = {key: value for key, value in settings.items() if key not in AUDIT_ARGUMENTS}
        audit(folder, settings={"figures": False, **rest}, show_progress=False, **given)
    document = read_json(record)
    return {f"audit.{name}": float(value) for name, value in document["flat"].items()}
