"""The assembly: recipe -> data, model, teacher -> training -> run folder."""

from balora.run.planning import Plan, check, plan
from balora.run.training import RunResult, train

__all__ = ["Plan", "RunResult", "check", "plan", "train"]
