"""`python -m tests.faults`: the full counts, a table, and the figures as JSON."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import contextlib
import json
import platform
import sys
import tempfile
from pathlib import Path

import torch

from tests.faults.broken import BREAKAGES
from tests.faults.rows import ROWS

SHOWN_FAILURES = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; left out, all, or those that must notice")
    parser.add_argument("--small", action="store_true", help="the counts of the test suite")
    parser.add_argument("--count", type=int, help="another count for the rows that take one")
    parser.add_argument("--broken", choices=sorted(BREAKAGES), help="break balora in this way first: rows must fail")
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    torch.set_num_threads(1)
    breakage = contextlib.nullcontext() if given.broken is None else BREAKAGES[given.broken].applied()
    found = []
    with tempfile.TemporaryDirectory(prefix="faults-") as name, breakage:
        os.environ["BALORA_CACHE"] = str(Path(name) / "cache")
        for row in given.rows or (BREAKAGES[given.broken].rows if given.broken else ROWS):
            chosen = ROWS[row]
            count = given.count if given.count is not None else chosen.small if given.small else chosen.full
            figures = chosen.run(Path(name) / row, count)
            print(figures.as_line(), flush=True)
            for failure in figures.failures[:SHOWN_FAILURES]:
                print(f"      {failure}", flush=True)
            found.append(figures)
    if given.json:
        machine = {"platform": platform.platform(), "cores": os.cpu_count(), "torch": torch.__version__}
        rows = [figures.as_document() for figures in found]
        given.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")
    return 0 if all(figures.all_held for figures in found) else 1


if __name__ == "__main__":
    sys.exit(main())
