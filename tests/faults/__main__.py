"""`python -m tests.faults`: the full counts, a table, and the figures as JSON."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path

import torch

from tests.faults.broken import BREAKAGES
from tests.faults.figures import Figures
from tests.faults.rows import ROWS

SHOWN_FAILURES = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; left out, all, or those that must notice")
    parser.add_argument("--small", action="store_true", help="the counts of the test suite")
    parser.add_argument("--count", type=int, help="another count for the rows that take one")
    broken = "break balora in this way first: rows must fail; several times for several ways, or `all`"
    parser.add_argument("--broken", action="append", choices=["all", *sorted(BREAKAGES)], metavar="WAY", help=broken)
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        os.environ["BALORA_CACHE"] = str(Path(name) / "cache")
        if given.broken:
            ways = list(BREAKAGES) if "all" in given.broken else given.broken
            return try_breakages(ways, given, Path(name))
        found = run_rows(given.rows or list(ROWS), given, Path(name) / "whole")
    if given.json:
        machine = {"platform": platform.platform(), "cores": os.cpu_count(), "torch": torch.__version__}
        rows = [figures.as_document() for figures in found]
        given.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")
    return 0 if all(figures.all_held for figures in found) else 1


def run_rows(rows: list[str], given: argparse.Namespace, folder: Path) -> list[Figures]:
    """Run rows and print a line for each, and its failures."""
    found = []
    for row in rows:
        chosen = ROWS[row]
        count = given.count if given.count is not None else chosen.small if given.small else chosen.full
        figures = chosen.run(folder / row, count)
        print(figures.as_line(), flush=True)
        for failure in figures.failures[:SHOWN_FAILURES]:
            print(f"      {' '.join(failure.split())[:300]}", flush=True)
        found.append(figures)
    return found


def try_breakages(ways: list[str], given: argparse.Namespace, folder: Path) -> int:
    """Break balora in one way after another; 1 where every way was noticed, as a row that fails ends with 1."""
    unnoticed = []
    for number, way in enumerate(ways):
        breakage = BREAKAGES[way]
        print(f"== {way}", flush=True)
        with breakage.applied():
            found = run_rows(given.rows or list(breakage.rows), given, folder / str(number))
        unnoticed += [f"{figures.row} did not notice: {way}" for figures in found if figures.all_held]
    for line in unnoticed:
        print(line, flush=True)
    return 0 if unnoticed else 1


if __name__ == "__main__":
    sys.exit(main())
