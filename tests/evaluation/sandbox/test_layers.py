"""Each wall by itself: what it stops where no other stands."""

from __future__ import annotations

import ast
import struct
import sys
from pathlib import Path

import pytest

from balora.errors import InputError
from balora.evaluation.sandbox import Candidate, SandboxLimits, Verdict, probe
from balora.evaluation.sandbox import method as sandbox_method
from balora.evaluation.sandbox.inside import kernel
from balora.evaluation.sandbox.inside.calls import ALLOWED, CHECKED
from balora.evaluation.sandbox.inside.landlock import landlock_version
from balora.evaluation.sandbox.inside.seccomp import _program
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


SOCKETS = """
import ctypes, socket
libc = ctypes.CDLL(None, use_errno=True)
def f():
    pair = (ctypes.c_int * 2)()
    for family in (2, 10, 16, 17, 38, 40):
        for kind in (1, 2, 3, 5):
            if (libc.socketpair(family, kind, 0, pair), ctypes.get_errno()) != (-1, 1):
                print("let through", family, kind, ctypes.get_errno())
    left, right = socket.socketpair()
    left.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for option in (7, 8, 32, 33):
        try:
            left.setsockopt(socket.SOL_SOCKET, option, 1 << 30)
            print("set", option)
        except PermissionError:
            pass
    left.send(b"whole")
    print(right.recv(5).decode())
"""


@linux
def test_pairs_of_sockets_are_unix_sockets_of_the_usual_size(method: MethodName) -> None:
    assert shown(SOCKETS) == shown(SOCKETS, method) == "whole\n"


@linux
def test_all_sockets_of_all_processes_hold_less_than_a_program_may_have() -> None:
    """The kernel counts them to nobody; each open file, and as many in flight, may be one."""
    sent = int(Path("/proc/sys/net/core/wmem_default").read_text())
    usual = SandboxLimits()
    assert (usual.processes * usual.open_files + usual.open_files) * sent < usual.memory_mib << 20


MANY_FILES = """
import os, time
def f():
    made, began = 0, time.monotonic()
    try:
        while time.monotonic() - began < 8:
            os.close(os.open(f"/tmp/{made}", os.O_CREAT | os.O_WRONLY))
            made += 1
            if made % 1000 == 0:
                print(made, flush=True)
    except OSError as error:
        print("held", error.errno, flush=True)
    return 0
"""


@linux
def test_files_without_content_are_counted(method: MethodName) -> None:
    verdict = run(MANY_FILES, method, SandboxLimits(wall_s=15, cpu_s=9))
    if method == "namespaces":
        assert verdict.stdout_tail.endswith("held 28\n")
    else:
        assert (verdict.reason, verdict.detail) == ("memory", "made more than 4096 files")
    assert max(int(line) for line in verdict.stdout_tail.split() if line.isdigit()) < 50_000


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


ALLOW, KILL, NOT_PERMITTED, NO_SUCH_CALL, NO_TERMINAL = 0x7FFF0000, 0x80000000, 0x50001, 0x50026, 0x50019
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
PROCESSORS = pytest.mark.parametrize("machine", ARCHITECTURES)


def decided(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the filter answers to a call, by running its instructions as the kernel does."""
    wide = [*arguments, *[0] * (6 - len(arguments))]
    called_from = ARCHITECTURES[machine] if architecture is None else architecture
    data = struct.pack("=IIQ6Q", number, called_from, 0, *wide)
    steps = [struct.unpack("=HBBI", step) for step in _program(machine)]
    place = accumulator = 0
    while True:
        code, if_true, if_false, value = steps[place]
        if code == 0x06:
            return int(value)
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
            place += 1
            continue
        holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
        place += 1 + (if_true if holds else if_false)


@PROCESSORS
def test_every_call_that_is_not_listed_is_refused(machine: str) -> None:
    column = list(ARCHITECTURES).index(machine)
    listed = {numbers[column] for numbers in (ALLOWED | CHECKED).values()}
    allowed = {numbers[column] for numbers in (*ALLOWED.values(), CHECKED["setsockopt"])}
    for number in range(1024):
        answer = decided(machine, number, 0xFFFF, 0xFFFF, 0xFFFF)
        if number not in listed:
            assert answer == (NO_SUCH_CALL if number >= 424 else NOT_PERMITTED)
        assert (answer == ALLOW) == (number in allowed), number


@PROCESSORS
def test_sockets_are_unix_ones_and_keep_their_buffers(machine: str) -> None:
    column = list(ARCHITECTURES).index(machine)
    for family in range(64):
        for name in ("socket", "socketpair"):
            assert decided(machine, CHECKED[name][column], family, 1, 0) == (ALLOW if family == 1 else NOT_PERMITTED)
    for option in range(64):
        larger = option in (7, 8, 32, 33)
        found = decided(machine, CHECKED["setsockopt"][column], 3, 1, option)
        assert found == (NOT_PERMITTED if larger else ALLOW)


@PROCESSORS
def test_calls_of_another_architecture_end_the_program(machine: str) -> None:
    assert decided(machine, 0, architecture=0x40000003) == KILL  # 32-bit x86
    assert decided(machine, 0, architecture=0x40000028) == KILL  # 32-bit ARM
    if machine == "x86_64":
        assert decided(machine, 0x40000000) == decided(machine, 0x40000000 | 41) == decided(machine, 2**32 - 1) == KILL


@PROCESSORS
@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("clone", (0x003D0F00,), ALLOW),  # a thread
        ("clone", (0x01200011,), ALLOW),  # a process
        *[("clone", (1 << bit,), NOT_PERMITTED) for bit in (7, 17, 25, 26, 27, 28, 29, 30)],
        ("socket", (1, 1), ALLOW),
        *[("socket", (family, 1), NOT_PERMITTED) for family in (0, 2, 10, 16, 17, 38, 40)],
        ("socket", (2 | 1 << 32, 1), NOT_PERMITTED),
        ("prctl", (15,), ALLOW),
        *[("prctl", (option,), NOT_PERMITTED) for option in (4, 8, 22, 24, 26, 35, 36, 38, 47, 0x59616D61)],
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), NO_TERMINAL),  # TIOCSTI: keystrokes into the terminal
        ("ioctl", (0, 0x541C), NO_TERMINAL),
        ("mknodat", (0, 0, 0o010666), ALLOW),  # a pipe
        ("mknodat", (0, 0, 0o020666), NOT_PERMITTED),  # a character device
        ("mknodat", (0, 0, 0o060666), NOT_PERMITTED),  # a block device
    ],
)
def test_calls_that_depend_on_an_argument(machine: str, name: str, arguments: tuple[int, ...], answer: int) -> None:
    number = CHECKED[name][list(ARCHITECTURES).index(machine)]
    assert number is not None
    assert decided(machine, number, *arguments) == answer


def test_no_number_stands_for_two_calls() -> None:
    for column in (0, 1):
        numbers = [pair[column] for pair in (ALLOWED | CHECKED).values() if pair[column] is not None]
        assert len(set(numbers)) == len(numbers)


def test_nothing_runs_where_a_wall_inside_the_walls_is_missing(
    method: MethodName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A processor without a table of calls stands for every kernel without the layer."""
    boot = "import balora.evaluation.sandbox.inside.seccomp as s; s.MACHINE = 'riscv64'\nfrom balora.evaluation"
    monkeypatch.setattr(sandbox_method, "_BOOT", sandbox_method._BOOT.replace("from balora.evaluation", boot))
    verdict = run("print('ran')\ndef f(): return -1", method)
    assert (verdict.reason, verdict.stdout_tail) == ("refused", "")
    assert "no seccomp" in verdict.detail
    probe._try.cache_clear()
    try:
        with pytest.raises(InputError, match=r"no sandbox for generated code works here .*no seccomp"):
            probe.require_sandbox()
    finally:
        probe._try.cache_clear()
    assert run("def f(): return -1", "none").passed, "who allows to run without walls is not refused"


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
