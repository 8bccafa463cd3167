"""A process of the local engine: jobs come in as lines of JSON, outcomes go out the same way."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from balora.optional import hush_optional_packages
from balora.strict_json import parse_json
from balora.study.jobs import Job, Outcome

ORPHANED = 143
"""Exit code where the launcher is gone."""


def main(do: Callable[[Job], Outcome] | None = None) -> int:
    """Work until the launcher closes our stdin; when it dies, so do we, at once: it may be started again.

    Args:
        do: carries out a job; left out, `balora.study.carry_out.carry_out`.
    """
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    jobs: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(sys.stdin, jobs), daemon=True).start()
    hush_optional_packages()
    if do is None:  # seconds go by here; the launcher's lines wait meanwhile
        from balora.study.carry_out import carry_out

        do = carry_out
    while True:
        job = Job(**parse_json(jobs.get()))
        _log_to(Path(job.details["log"]), job.title)
        _reply(replies, {"began": job.identity})
        try:
            outcome = do(job)
        except (KeyboardInterrupt, SystemExit):
            outcome = Outcome(job.identity, "interrupted")
        sys.stdout.flush()
        sys.stderr.flush()
        _reply(replies, {"outcome": asdict(outcome)})
        if outcome.state == "interrupted":
            return ORPHANED


def _read(stream: TextIO, jobs: queue.Queue[str]) -> None:
    for line in stream:
        jobs.put(line)
    os._exit(ORPHANED)


def _log_to(path: Path, title: str) -> None:
    """Send everything that this process prints, libraries written in C included, to the log of the run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    print(f"== {title}", flush=True)  # noqa: T201 - the log of the run


def _reply(replies: TextIO, document: Mapping[str, Any]) -> None:
    replies.write(json.dumps(document) + "\n")
    replies.flush()


if __name__ == "__main__":
    sys.exit(main())
