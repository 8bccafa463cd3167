"""The assembly: recipe -> data, model, teacher -> training -> run folder -> evaluation."""

from balora.run.evaluating import SuiteResult, evaluate
from balora.run.planning import Examination, Plan, check, examine, plan, plan_resources
from balora.run.resources import Estimate
from balora.run.training import RunResult, train

__all__ = [
    "Estimate",
    "Examination",
    "Plan",
    "RunResult",
    "SuiteResult",
    "check",
    "evaluate",
    "examine",
    "plan",
    "plan_resources",
    "train",
]
