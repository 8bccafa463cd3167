"""One program against its tests: two confined processes, watched from outside until there is a verdict."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from balora.evaluation.sandbox.method import MethodName, clean_environment, command_of, user_to_become
from balora.evaluation.sandbox.settings import SandboxLimits
from balora.evaluation.sandbox.verdict import TAIL_BYTES, Reason, Verdict
from balora.evaluation.sandbox.view import View, library_folders, program_view
from balora.evaluation.sandbox.watch import descendants, files_in_scratch, is_running, memory_bytes
from balora.strict_json import parse_json

_TICK_S = 0.05
_LONGEST_END_S = 5.0
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program and the tests that decide about it.

    The tests run in a process of their own. What they take from the program is called there and answers with plain
    data; the program never sees them, nor what they expect.
    """

    program: str
    """Untrusted Python source."""
    tests: str
    """Python source whose assertions must all hold."""
    names: tuple[str, ...]
    """Globals of the program that the tests use."""
    helpers: str = ""
    """Trusted source that the tests may use, run before `names` are taken from the program."""


@dataclass(slots=True)
class _Side:
    """One of the two processes."""

    process: subprocess.Popen[bytes]
    namespace_handle: int
    """Where the number of the namespace's first process arrives."""
    stop_gently: bool
    """Without namespaces, the launcher ends what the program left behind; it must live to do so."""

    def kill(self) -> None:
        if self.process.poll() is None and self.stop_gently:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        # The kernel ends a namespace together with its first process, but not before our launcher has ended.
        first, deadline = self._first_process(), time.monotonic() + _LONGEST_END_S
        while first is not None and is_running(first) and time.monotonic() < deadline:
            time.sleep(0.002)

    def _first_process(self) -> int | None:
        try:
            return int(parse_json(os.read(self.namespace_handle, 4096))["child-pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


@dataclass(slots=True)
class _Collected:
    """What has arrived from the pipes."""

    kept: dict[str, bytearray] = field(default_factory=dict)
    printed_bytes: int = 0

    def take(self, name: str, data: bytes) -> None:
        part = self.kept.setdefault(name, bytearray())
        part += data
        if name in ("stdout", "stderr"):
            self.printed_bytes += len(data)
            del part[:-TAIL_BYTES]

    def text(self, name: str) -> str:
        return self.kept.get(name, bytearray()).decode(errors="replace")

    def document(self, name: str) -> dict[str, Any]:
        data = self.kept.get(name)
        return dict(parse_json(bytes(data))) if data else {}


def supervise(candidate: Candidate, limits: SandboxLimits, method: MethodName) -> Verdict:
    """Run a candidate by one method and decide; every process that it started has ended on return."""
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        scratch = "/tmp" if method != "none" else stack.enter_context(tempfile.TemporaryDirectory(prefix="candidate-"))
        run = _Run(stack, limits, method, scratch)
        program, tester = run.start(candidate)
        collected = _Collected()
        stopped = _watch(run, (program, tester), collected, started + limits.wall_s)
        tester.kill()
        exit_code = None
        if stopped is None:
            # A program whose end the tests noticed is ending by itself; its status says why.
            with contextlib.suppress(subprocess.TimeoutExpired):
                waiting = collected.document("result").get("outcome") == "gone"
                exit_code = program.process.wait(1.0 if waiting else 0.0)
        program.kill()
        run.drain(collected)
    reason, detail = stopped or _reason(collected, exit_code, limits, time.monotonic() - started)
    layers = _layers(method, collected)
    tails = (collected.text("stdout"), collected.text("stderr"))
    return Verdict(reason, detail, time.monotonic() - started, layers, *tails)


class _Run:
    """The pipes between the two processes and from them to us."""

    def __init__(self, stack: contextlib.ExitStack, limits: SandboxLimits, method: MethodName, scratch: str) -> None:
        self.stack, self.limits, self.method, self.scratch = stack, limits, method, scratch
        self.selector = stack.enter_context(selectors.DefaultSelector())

    def start(self, candidate: Candidate) -> tuple[_Side, _Side]:
        """Start both sides; the program's plan holds nothing of the tests, and the tests' plan nothing of it."""
        requests, replies = os.pipe(), os.pipe()
        program_plan: dict[str, Any] = {
            "role": "candidate",
            "program": candidate.program,
            "import_from": library_folders(site_packages=self.limits.site_packages),
        }
        tester_plan: dict[str, Any] = {
            "role": "tester",
            "tests": candidate.tests,
            "helpers": candidate.helpers,
            "names": list(candidate.names),
        }
        ours = {"stdout": os.pipe(), "stderr": os.pipe(), "layers": os.pipe()}
        program_ends = {"requests": requests[0], "replies": replies[1], "layers": ours["layers"][1]}
        view = program_view(site_packages=self.limits.site_packages)
        program = self._launch(program_plan, program_ends, view, ours["stdout"][1], ours["stderr"][1])
        theirs = {"result": os.pipe(), "tester layers": os.pipe(), "tester errors": os.pipe()}
        tester_ends = {"requests": requests[1], "replies": replies[0]}
        tester_ends |= {"layers": theirs["tester layers"][1], "result": theirs["result"][1]}
        tester = self._launch(tester_plan, tester_ends, view, None, theirs["tester errors"][1])
        for handle in (*requests, *replies, *(pair[1] for pair in (ours | theirs).values())):
            os.close(handle)
        for name, pair in (ours | theirs).items():
            self.stack.callback(os.close, pair[0])
            os.set_blocking(pair[0], False)
            self.selector.register(pair[0], selectors.EVENT_READ, name)
        return program, tester

    def _launch(
        self, plan: dict[str, Any], handles: dict[str, int], view: View, stdout: int | None, stderr: int
    ) -> _Side:
        limits = self.limits.model_dump(exclude={"wall_s", "site_packages"})
        shared: dict[str, Any] = {"method": self.method, "scratch": self.scratch, "user": user_to_become(self.method)}
        namespace, theirs = os.pipe()
        os.set_blocking(namespace, False)
        handles = handles | {"namespace": theirs}
        shared |= {"limits": limits, "view": asdict(view), "handles": handles}
        with tempfile.TemporaryFile() as stream:
            stream.write(json.dumps(plan | shared).encode())
            stream.seek(0)
            process = subprocess.Popen(
                command_of(self.method, (stream.fileno(), theirs), view, self.limits.scratch_mib),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if stdout is None else stdout,
                stderr=stderr,
                cwd="/",
                env=clean_environment(self.scratch),
                pass_fds=(stream.fileno(), *handles.values()),
                start_new_session=True,
            )
        os.close(theirs)
        side = _Side(process, namespace, stop_gently=self.method == "none")
        self.stack.callback(os.close, namespace)
        self.stack.callback(side.kill)
        return side

    def read(self, collected: _Collected, timeout_s: float) -> bool:
        """Take what has arrived; whether the tests' result is complete."""
        finished = False
        for key, _ in self.selector.select(timeout_s):
            data = os.read(key.fd, 1 << 16)
            if data:
                collected.take(key.data, data)
            else:
                self.selector.unregister(key.fd)
                finished |= key.data == "result"
        return finished

    def drain(self, collected: _Collected) -> None:
        """Take what is left after the end, but no more than a program may print."""
        while self.selector.get_map() and collected.printed_bytes <= self.limits.output_kib * 1024:
            before = sum(map(len, collected.kept.values())) + collected.printed_bytes
            self.read(collected, 0)
            if sum(map(len, collected.kept.values())) + collected.printed_bytes == before:
                break


def _watch(run: _Run, sides: tuple[_Side, _Side], collected: _Collected, deadline: float) -> tuple[Reason, str] | None:
    """Wait for the result, or for a limit to be passed; that limit, or None."""
    limits = run.limits
    next_look = 0.0
    while not run.read(collected, _TICK_S):
        now = time.monotonic()
        if collected.printed_bytes > limits.output_kib * 1024:
            return "output", f"printed more than {limits.output_kib} KiB"
        if now > deadline:
            return "timeout", f"not done after {limits.wall_s:g} s"
        if now >= next_look:
            next_look = now + _TICK_S
            for side in sides:
                pids = descendants(side.process.pid)
                if memory_bytes(pids) > limits.memory_mib * _MIB:
                    return "memory", f"used more than {limits.memory_mib} MiB"
                if run.method != "none" and files_in_scratch(pids, "/tmp") > limits.files:
                    return "memory", f"made more than {limits.files} files"
                if len(pids) > limits.processes + 4:
                    return "processes", f"more than {limits.processes} processes"
    return None


def _reason(collected: _Collected, exit_code: int | None, limits: SandboxLimits, seconds: float) -> tuple[Reason, str]:
    """The verdict from the tests' result and, where the program ended early, from its exit status."""
    # The first of the two that fails ends the other one, which may then not have said why.
    said = {
        errors: collected.document(name)
        for name, errors in (("layers", "stderr"), ("tester layers", "tester errors"))
        if "layers" not in collected.document(name)
    }
    if said:
        why = [str(answer["broken"]) for answer in said.values() if "broken" in answer]
        why += [tail for errors in said if (tail := collected.text(errors).strip()[-300:])]
        return "refused", f"the sandbox did not come up: {[*why, 'no word from it'][0]}"
    result = collected.document("result")
    outcome, detail = str(result.get("outcome", "")), str(result.get("detail", ""))
    if outcome == "passed":
        return "passed", ""
    if outcome == "failed":
        return "failed", detail
    if outcome == "memory" or "MemoryError" in detail.split(":")[0]:
        return "memory", "out of memory"
    if outcome == "gone":
        return _early_end(exit_code, detail, limits, seconds)
    return "error", detail or "the tests ended without a result"


def _early_end(exit_code: int | None, detail: str, limits: SandboxLimits, seconds: float) -> tuple[Reason, str]:
    if exit_code == 128 + signal.SIGXCPU or (exit_code == 128 + signal.SIGKILL and seconds >= limits.cpu_s):
        return "timeout", f"used {limits.cpu_s} s of processor time"
    if exit_code == 128 + signal.SIGKILL:
        return "memory", "ended by the kernel"
    return "error", detail if exit_code in (None, 0) else f"{detail} (exit status {exit_code})"


def _layers(method: MethodName, collected: _Collected) -> tuple[str, ...]:
    outer = () if method == "none" else (method,)
    return (*outer, *map(str, collected.document("layers").get("layers", ())), "wall clock", "memory watch")
