"""The assembly: recipe -> data, model, teacher -> training -> run folder -> evaluation."""

from balora.run.evaluating import SuiteResult, evaluate
from balora.run.planning import Plan, check, plan
from balora.run.training import RunResult, train

__all__ = ["Plan", "RunResult", "SuiteResult", "check", "evaluate", "plan", "train"]
