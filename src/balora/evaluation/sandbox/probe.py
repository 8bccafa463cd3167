"""Which walls stand on this machine: tried out, not guessed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from balora.errors import InputError, Problem
from balora.evaluation.sandbox.method import MethodName, bubblewrap_path
from balora.evaluation.sandbox.settings import SandboxLimits
from balora.evaluation.sandbox.supervise import Candidate, supervise

METHODS: Sequence[MethodName] = ("bubblewrap", "namespaces")
"""What makes a sandbox, best first."""

_FINDINGS = """
import os, socket

def fails(action, *arguments):
    try:
        action(*arguments)
    except OSError:
        return True
    return False

def interfaces():
    return [line.split(":")[0].strip() for line in open("/proc/self/net/dev").readlines()[2:]]

def capabilities():
    return [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapBnd"))]

def root_is_read_only():
    return fails(open, "/probe", "w") and fails(open, "/usr/probe", "w")

def scratch_is_writable():
    open("/tmp/probe", "w").close()
    return True

def network_is_cut():
    return fails(socket.create_connection, ("127.0.0.1", 9), 1)

def processes():
    return sum(name.isdigit() for name in os.listdir("/proc"))

def visible(paths):
    return [path for path in paths if os.path.exists(path)]

def user():
    return os.getuid()

def variables():
    return sorted(os.environ)
"""

_EXPECTED = """
assert processes() <= 3
assert interfaces() in ([], ["lo"])
assert network_is_cut()
assert all(int(part, 16) == 0 for part in capabilities())
assert root_is_read_only()
assert scratch_is_writable()
assert visible(["/etc/passwd", "/etc/shadow", "/home", "/var", "/sys"]) == []
assert user() != 0
assert "BALORA_PROBE" not in variables()
"""

_NAMES = ("capabilities", "interfaces", "network_is_cut", "processes", "root_is_read_only", "scratch_is_writable")

_HINT = "install bubblewrap, allow unprivileged user namespaces, or allow code to run without a sandbox"


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """What the probe found."""

    method: MethodName
    """How programs will be run; `none` where no sandbox works."""
    layers: tuple[str, ...]
    """The walls that stood in the probe."""
    obstacles: tuple[str, ...]
    """Method by method, why a better one is not used."""

    @property
    def works(self) -> bool:
        """Whether programs are confined."""
        return self.method != "none"


def probe_sandbox() -> SandboxReport:
    """The best method that works here, found by running a program that tries the walls; asked once per process."""
    obstacles: list[str] = []
    for method in METHODS:
        report, obstacle = _try(method)
        if report is not None:
            return SandboxReport(method, report, tuple(obstacles))
        obstacles.append(f"{method}: {obstacle}")
    return SandboxReport("none", (), tuple(obstacles))


def require_sandbox(*, allow_unsandboxed: bool = False) -> SandboxReport:
    """The report, where programs may run; call it before anything is generated or written.

    Raises:
        InputError: when no sandbox works here and the user has not allowed to run without.
    """
    report = probe_sandbox()
    if not report.works and not allow_unsandboxed:
        what = "no sandbox for generated code works here (" + "; ".join(report.obstacles) + ")"
        raise InputError([Problem("sandbox", what, _HINT)])
    return report


@cache
def _try(method: MethodName) -> tuple[tuple[str, ...] | None, str]:
    if sys.platform != "linux":
        return None, f"needs Linux, not {sys.platform}"
    if method == "bubblewrap" and bubblewrap_path() is None:
        return None, "bwrap is not installed"
    names = (*_NAMES, "user", "variables", "visible")
    try:
        verdict = supervise(Candidate(_FINDINGS, _EXPECTED, names), SandboxLimits(), method)
    except OSError as error:
        return None, str(error)
    return (verdict.layers, "") if verdict.passed else (None, verdict.detail)
