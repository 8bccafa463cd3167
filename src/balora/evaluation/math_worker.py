"""Runs in a process of its own: compares mathematical answers with math-verify, within a memory limit.

Started by path and in isolated mode, so it imports nothing of balora. One JSON object per line on stdin, `{"gold",
"answer"}`; on stdout an empty one once everything is loaded, then one per line, `{"equal", "parsed"}`. Nothing is
evaluated as code: LaTeX goes through a grammar, and what reaches sympy's own parser consists of digits, operators and
brackets only. Such text can still ask for a number that fills the memory, which is why it happens here.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import sys

MEMORY_BYTES = 2 << 30
PROCESSOR_SECONDS = 1.5
"""For all of one comparison; then the kernel ends this process. A busy machine does not make it shorter, as it would
math-verify's own limits, which go by the clock and are off here."""


def compare(gold: str, answer: str) -> dict[str, bool]:
    """Whether the answer equals the gold one, and whether it could be read at all."""
    from math_verify import parse, verify

    wanted = parse(f"${gold}$", parsing_timeout=None)
    marked = "$" in answer or "\\boxed" in answer or "\\(" in answer or "\\[" in answer
    found = parse(answer if marked else f"${answer}$", parsing_timeout=None) or parse(answer, parsing_timeout=None)
    return {"equal": bool(found) and bool(verify(wanted, found, timeout_seconds=None)), "parsed": bool(found)}


def serve() -> None:
    """Say that everything is loaded, then answer until stdin ends."""
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    compare("\\frac{1}{2}", "0.5")  # loads what is loaded on first use, so that no limit counts it
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, PROCESSOR_SECONDS)
        try:
            reply = compare(asked["gold"], asked["answer"])
        except (Exception, MemoryError):
            reply = {"equal": False, "parsed": False}
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
