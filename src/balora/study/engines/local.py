"""The local engine: processes that carry out one run after the other, restarted when one of them fails."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from balora.strict_json import parse_json
from balora.study.carry_out import environment
from balora.study.jobs import Job, Outcome

GRACE_S = 120.0
"""How long an interrupted run may take to write its checkpoint."""
LOG_LINES = 3
"""Of a run whose process died: the end of its log is part of the message."""


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    slot: int
    job: Job | None = None
    began: float = 0.0
    """When its job began; 0 before it said so."""
    unread: bytes = b""

    @property
    def replies(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def overdue_at(self) -> float | None:
        """When its time is up."""
        if self.job is None or self.job.time_s is None or not self.began:
            return None
        return self.began + self.job.time_s


class LocalEngine:
    """Runs jobs in processes of this machine, each with its share of the threads or a GPU of its own.

    A process carries out many runs, because starting one costs seconds; after a failure it is replaced, so that no run
    begins in a process that something went wrong in.
    """

    worker: tuple[str, ...] = (sys.executable, "-m", "balora.study.worker")
    """The command of a process."""

    def __init__(self, slots: int, *, threads: int, shared: Path, gpus: Sequence[str] | None = None) -> None:
        """Take as many jobs at once as there are slots.

        Args:
            slots: how many.
            threads: CPU threads of each.
            shared: where runs keep what they share.
            gpus: the device of each slot, dealt out in turn; an empty list hides all devices, None leaves them.
        """
        self.slots, self.threads = slots, threads
        self._shared, self._gpus = shared, gpus
        self._workers: dict[int, _Worker] = {}
        self._selector = selectors.DefaultSelector()

    def start(self, job: Job) -> None:
        """See `Engine`."""
        idle = next((worker for worker in self._workers.values() if worker.job is None), None)
        worker = idle or self._spawn(self._free_slot(), Path(job.details["log"]))
        worker.job, worker.began = job, 0.0
        assert worker.process.stdin is not None
        try:
            worker.process.stdin.write(json.dumps(job.as_json()).encode() + b"\n")
            worker.process.stdin.flush()
        except BrokenPipeError:
            return  # it died while idle; `wait` finds the end of its replies

    def wait(self) -> Outcome:
        """See `Engine`."""
        while True:
            limits = [each for worker in self._workers.values() if (each := worker.overdue_at) is not None]
            timeout = max(0.0, min(limits) - time.monotonic()) if limits else None
            for key, _ in self._selector.select(timeout):
                outcome = self._read(key.data)
                if outcome is not None:
                    return outcome
            for worker in list(self._workers.values()):
                if worker.overdue_at is not None and worker.overdue_at <= time.monotonic():
                    return self._end_overdue(worker)

    def close(self, *, at_once: bool = False) -> None:
        """See `Engine`."""
        for worker in self._workers.values():
            if at_once:
                worker.process.kill()
            elif worker.job is not None:
                worker.process.send_signal(signal.SIGTERM)
            else:
                _hang_up(worker)
        ends_at = time.monotonic() + GRACE_S
        for worker in list(self._workers.values()):
            try:
                worker.process.wait(max(0.0, ends_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
            finally:
                self._forget(worker)

    def _free_slot(self) -> int:
        return next(slot for slot in range(self.slots) if slot not in self._workers)

    def _spawn(self, slot: int, log: Path) -> _Worker:
        gpu = None
        if self._gpus is not None:
            gpu = self._gpus[slot % len(self._gpus)] if self._gpus else ""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as words:
            process = subprocess.Popen(
                self.worker,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                env={**os.environ, **environment(self._shared, self.threads, gpu)},
                start_new_session=True,  # Ctrl-C reaches the launcher alone, which then ends its processes in order
            )
        worker = _Worker(process, slot)
        self._workers[slot] = worker
        self._selector.register(worker.replies, selectors.EVENT_READ, worker)
        return worker

    def _read(self, worker: _Worker) -> Outcome | None:
        chunk = os.read(worker.replies.fileno(), 1 << 16)
        if not chunk:
            return self._died(worker)
        worker.unread += chunk
        *lines, worker.unread = worker.unread.split(b"\n")
        outcome = None
        for line in lines:
            reply: Mapping[str, Any] = parse_json(line)
            if "began" in reply:
                worker.began = time.monotonic()
            else:
                outcome = Outcome(**reply["outcome"])
        if outcome is not None:
            worker.job = None
            if outcome.state != "done":
                _hang_up(worker)
                worker.process.wait()
                self._forget(worker)
        return outcome

    def _died(self, worker: _Worker) -> Outcome | None:
        code = worker.process.wait()
        self._forget(worker)
        job = worker.job
        if job is None:
            return None
        if code < 0:
            name = signal.Signals(-code).name
            memory = "; the system may have run out of memory" if -code == signal.SIGKILL else ""
            what = f"its process was ended by {name}{memory}"
        else:
            what = f"its process ended with exit code {code}"
        seconds = time.monotonic() - worker.began if worker.began else 0.0
        return Outcome(job.identity, "failed", error=what + _end_of_log(job), seconds=seconds)

    def _end_overdue(self, worker: _Worker) -> Outcome:
        job = worker.job
        assert job is not None
        worker.process.kill()
        worker.process.wait()
        self._forget(worker)
        error = f"took longer than budget.time_s, {job.time_s:g} s"
        return Outcome(job.identity, "failed", error=error, over_time_s=job.time_s, seconds=job.time_s or 0.0)

    def _forget(self, worker: _Worker) -> None:
        if self._workers.get(worker.slot) is worker:
            del self._workers[worker.slot]
            self._selector.unregister(worker.replies)
            for stream in (worker.process.stdin, worker.process.stdout):
                if stream is not None:
                    _close_quietly(stream)


def _hang_up(worker: _Worker) -> None:
    if worker.process.stdin is not None:
        _close_quietly(worker.process.stdin)


def _close_quietly(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        return


def _end_of_log(job: Job) -> str:
    try:
        lines = Path(job.details["log"]).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip() and not line.startswith("== ")]
    return "; its last words: " + " | ".join(said[-LOG_LINES:]) if said else ""
