"""Generated code, run where it can do no harm and cannot decide about itself."""

from balora.evaluation.sandbox.probe import SandboxReport, probe_sandbox, require_sandbox
from balora.evaluation.sandbox.problems import humaneval_candidate, mbpp_candidate
from balora.evaluation.sandbox.run import check_humaneval, check_mbpp, run_candidate, run_many
from balora.evaluation.sandbox.settings import SandboxLimits
from balora.evaluation.sandbox.supervise import Candidate
from balora.evaluation.sandbox.verdict import Reason, Verdict

__all__ = [
    "Candidate",
    "Reason",
    "SandboxLimits",
    "SandboxReport",
    "Verdict",
    "check_humaneval",
    "check_mbpp",
    "humaneval_candidate",
    "mbpp_candidate",
    "probe_sandbox",
    "require_sandbox",
    "run_candidate",
    "run_many",
]
