"""How a sandbox process is started: through bubblewrap, through namespaces of our own, or without either."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Literal

from balora.evaluation.sandbox.inside import launch
from balora.evaluation.sandbox.inside.namespaces import service_user
from balora.evaluation.sandbox.view import View, python_executable

MethodName = Literal["bubblewrap", "namespaces", "none"]

INSIDE = Path(launch.__file__).parent
"""Importing `launch` here lets Python keep its byte code, which each start then reads."""

_BOOT = """
import sys, types
parts = "balora.evaluation.sandbox.inside".split(".")
for count in range(1, 5):
    name = ".".join(parts[:count])
    sys.modules[name] = types.ModuleType(name)
sys.modules[name].__path__ = [sys.argv[1]]
from balora.evaluation.sandbox.inside.launch import main
main(int(sys.argv[2]))
"""
"""Import the inner modules by their names, without balora's own `__init__`, whose imports a sandbox must not need."""

_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_NOBODY = "65534"


def clean_environment(scratch: str) -> dict[str, str]:
    """The whole environment of a sandbox process. Sets and dictionaries order the same in every run."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": scratch,
        "TMPDIR": scratch,
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def command_of(method: MethodName, handles: tuple[int, int], view: View, scratch_mib: int) -> list[str]:
    """The command line of a process that reads its plan from one handle.

    To the other one goes, as JSON under `child-pid`, which process of this machine is the first of its namespace.
    """
    plan_handle, namespace_handle = handles
    python = [python_executable(), "-s", "-S", "-P", "-c", _BOOT]
    if method != "bubblewrap":
        return [*python, str(INSIDE), str(plan_handle)]
    walls = [*_bubblewrap(view, scratch_mib), "--info-fd", str(namespace_handle), "--"]
    return [*walls, *python, "/sandbox", str(plan_handle)]


def user_to_become(method: MethodName) -> int:
    """The user number that the process takes once bubblewrap's walls stand; -1 for its own.

    A program that kept root's number would own root's files and have no limit on processes.
    """
    return service_user() if method == "bubblewrap" and os.geteuid() == 0 else -1


def bubblewrap_path() -> str | None:
    """Where bubblewrap is, if it is installed."""
    return shutil.which("bwrap") if sys.platform == "linux" else None


def _bubblewrap(view: View, scratch_mib: int) -> list[str]:
    arguments = [bubblewrap_path() or "bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    arguments += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--hostname", "sandbox"]
    arguments += ["--cap-drop", "ALL"]
    if os.geteuid() == 0:
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            arguments += ["--cap-add", capability]
    else:
        arguments += ["--unshare-user", "--uid", _NOBODY, "--gid", _NOBODY]
    # The scratch folder first, since Python or its packages may live below /tmp.
    arguments += ["--proc", "/proc", "--size", str(scratch_mib << 20), "--perms", "1777", "--tmpfs", "/tmp"]
    # Bubblewrap would make the folders above a mount readable to root alone.
    above = {str(folder) for target in (*view.folders, "/dev/null") for folder in Path(target).parents} - {"/", "/tmp"}
    for folder in sorted(above):
        arguments += ["--perms", "0755", "--dir", folder]
    for target, source in view.folders.items():
        arguments += ["--ro-bind", source, target]
    for target, text in view.links.items():
        arguments += ["--symlink", text, target]
    for device in _DEVICES:
        arguments += ["--dev-bind", device, device]
    arguments += ["--symlink", "/tmp", "/dev/shm", "--ro-bind", str(INSIDE), "/sandbox"]
    return [*arguments, "--remount-ro", "/", "--chdir", "/tmp"]
