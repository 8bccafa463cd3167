"""Each wall by itself: what it stops where no other stands."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from balora.evaluation.sandbox import Candidate, SandboxLimits, Verdict
from balora.evaluation.sandbox.inside import kernel
from balora.evaluation.sandbox.inside.landlock import landlock_version
from balora.evaluation.sandbox.inside.seccomp import _DENIED, _program
from balora.evaluation.sandbox.method import INSIDE, MethodName
from balora.evaluation.sandbox.supervise import supervise
from balora.evaluation.sandbox.view import program_view
from balora.evaluation.sandbox.watch import descendants, is_running, memory_bytes

LIMITS = SandboxLimits(wall_s=10, cpu_s=2)
linux = pytest.mark.skipif(sys.platform != "linux", reason="LAYERS NOT TESTED: they exist on Linux alone")
landlock = pytest.mark.skipif(landlock_version() < 1, reason="LANDLOCK NOT TESTED: this kernel has none")


def shown(program: str, method: MethodName = "none", limits: SandboxLimits = LIMITS) -> str:
    """What `f()` of a program prints."""
    verdict = run(program, method, limits)
    assert verdict.reason == "failed", verdict
    return verdict.stdout_tail


def run(program: str, method: MethodName = "none", limits: SandboxLimits = LIMITS) -> Verdict:
    return supervise(Candidate(program, "assert f() == -1", ("f",)), limits, method)


@landlock
def test_landlock_alone_hides_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    program = f"""
def f():
    for path, mode in ((r"{secret}", "r"), ("/etc/passwd", "r"), (r"{secret}", "a"), (r"{tmp_path}/new", "w")):
        try:
            print(open(path, mode).read())
        except OSError as error:
            print(error.errno)
    open("own", "w").write("x")
    print(open("own").read())
"""
    assert shown(program) == "13\n13\n13\n13\nx\n"
    assert secret.read_text() == "hidden"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret"]


@linux
def test_seccomp_alone_forbids_calls() -> None:
    program = """
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def f():
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_PACKET, socket.AF_NETLINK):
        try:
            socket.socket(family, socket.SOCK_RAW)
        except OSError as error:
            print(error.errno)
    socket.socketpair()
    for call in (lambda: libc.ptrace(0, 0, 0, 0), lambda: libc.unshare(0x10000000), lambda: libc.chroot(b"/tmp")):
        print(call(), ctypes.get_errno())
    print(libc.syscall(435, 0, 0), ctypes.get_errno())
    print(open("/proc/self/status").read().split("Seccomp:")[1].split()[0])
"""
    assert shown(program).split("\n") == ["1"] * 4 + ["-1 1"] * 3 + ["-1 38", "2", ""]


@linux
def test_limits_alone_hold() -> None:
    program = """
import os, resource
def f():
    for kind in ("AS", "CPU", "NOFILE", "FSIZE", "CORE"):
        print(resource.getrlimit(getattr(resource, "RLIMIT_" + kind)))
    print(os.nice(0), sorted(os.environ)[:2])
"""
    mib = 1 << 20
    expected = [(1024 * mib,) * 2, (2, 3), (64, 64), (16 * mib,) * 2, (0, 0)]
    assert shown(program).splitlines()[:5] == [str(pair) for pair in expected]


def test_every_layer_stands_in_every_method(method: MethodName) -> None:
    verdict = run("def f(): return -1", method)
    assert verdict.passed
    assert verdict.layers[0] == method
    assert {"rlimits", "seccomp", "wall clock", "memory watch"} <= set(verdict.layers)
    assert ("landlock" in verdict.layers) == (landlock_version() > 0)


def test_nothing_of_the_user_is_in_view(method: MethodName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "x")
    program = """
import os
def f():
    print([path for path in ("/etc/passwd", "/home", "/var", "/sys", "/run", "/boot", "/opt") if os.path.exists(path)])
    print("SOME_SECRET" in os.environ, os.getuid() == 0, os.getpid() < 10, os.getcwd())
    print([line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")])
    print(os.uname().nodename == "HOST")
""".replace("HOST", kernel.os.uname().nodename)
    lines = shown(program, method).splitlines()
    assert lines[:2] == ["[]", "False False True /tmp"]
    assert set(ast.literal_eval(lines[2])) == {"0" * 16}


def test_the_scratch_folder_is_small_and_forgotten(method: MethodName) -> None:
    program = """
import os
def f():
    print(sorted(name for name in os.listdir("/tmp") if name.startswith("left")))
    open("/tmp/left", "w").close()
    done = 0
    try:
        for number in range(100):
            open(f"/tmp/left{number}", "wb").write(bytes(1 << 20)); done += 1
    except OSError as error:
        print(error.errno, done)
"""
    small = LIMITS.model_copy(update={"scratch_mib": 4})
    for _ in range(2):
        assert shown(program, method, small) in ("[]\n28 3\n", "[]\n28 4\n")


def test_the_two_processors_tables_hold_the_same_calls() -> None:
    assert len(_program("x86_64")) == len(_program("aarch64")) + 2
    for column in (0, 1):
        numbers = [pair[column] for pair in _DENIED.values()]
        assert len(set(numbers)) == len(numbers)


def test_jumps_of_the_filter_stay_inside_it() -> None:
    for machine in ("x86_64", "aarch64"):
        steps = _program(machine)
        for place, step in enumerate(steps):
            if step[0] != 0x06:
                assert place + 1 + max(step[2], step[3]) < len(steps)
        assert steps[-1][0] == 0x06


def test_what_runs_inside_needs_the_standard_library_alone() -> None:
    for path in INSIDE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                inside = name.startswith("balora.evaluation.sandbox.inside")
                assert inside or name.split(".")[0] in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_the_view_holds_no_home_and_no_settings() -> None:
    folders = program_view(site_packages=False).folders
    assert "/" not in folders
    assert not {"/etc", "/home", "/root", "/var", "/proc", "/sys", "/tmp", str(Path.home())} & set(folders)
    for folder in folders:
        assert not any(other != folder and folder.startswith(f"{other}/") for other in folders)


@linux
def test_the_watch_sees_children_and_their_memory() -> None:
    import os
    import subprocess

    code = "x = bytearray(b'1') * (50 << 20); print('ready', flush=True); input()"
    command = ["sh", "-c", f'"{sys.executable}" -S -c "{code}"; true']
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        found = descendants(os.getpid())
        assert child.pid in found
        assert len(descendants(child.pid)) == 1
        assert 50 << 20 < memory_bytes(descendants(child.pid)) < 100 << 20
        assert is_running(child.pid)
        child.communicate(b"\n")
    assert not is_running(child.pid)
    assert memory_bytes([child.pid]) == 0
    assert descendants(child.pid) == []


def test_pythons_own_libraries_and_commands_work_inside(method: MethodName) -> None:
    """Compiled modules, threads, processes, temporary files and another interpreter: all that honest programs use."""
    program = """
import ctypes, decimal, hashlib, multiprocessing, sqlite3, ssl, subprocess, sys, tempfile, threading, zlib
def f():
    with tempfile.TemporaryDirectory() as folder, open(folder + "/x", "w") as file:
        file.write("x")
    worker = threading.Thread(target=print, args=("thread",)); worker.start(); worker.join()
    pipe = multiprocessing.get_context("fork").Queue()
    child = multiprocessing.get_context("fork").Process(target=pipe.put, args=(5,)); child.start()
    print(pipe.get(), sqlite3.connect(":memory:").execute("select 1").fetchone(), hashlib.sha256(b"").hexdigest()[:4])
    child.join()
    print(subprocess.run([sys.executable, "-S", "-c", "print(6 * 7)"], capture_output=True, text=True).stdout)
"""
    assert shown(program, method) == "thread\n5 (1,) e3b0\n42\n\n"
