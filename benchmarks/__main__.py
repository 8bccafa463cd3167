"""`python -m benchmarks [loss|step|classify|init|flops|padding|quant_start|sandbox|teacher ...] [--device cuda]`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from benchmarks import classify, flops, init, loss, padding, quant_start, sandbox, step, teacher
from benchmarks.measure import Result, write_results


def main() -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What BA-LoRA costs on this machine.")
    names = "loss, step, classify, init, flops, padding, quant_start, sandbox, teacher; all but teacher where left out"
    parser.add_argument("names", nargs="*", help=names)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=5, help="how often each variant is timed (default 5)")
    parser.add_argument("--shapes", nargs="*", default=[], help="0.5B, 7B, 8B; those that fit where left out")
    parser.add_argument("--rows", type=int, help="tokens of the benchmark 'loss' (1024 on a CPU, 8192 on a GPU)")
    parser.add_argument("--models", nargs="*", default=[], help="folders of further models for 'quant_start'")
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    given = parser.parse_args()
    known = {"loss": loss.run, "step": step.run, "classify": classify.run, "init": init.run, "flops": flops.run}
    known |= {"padding": padding.run, "quant_start": quant_start.run, "sandbox": sandbox.run}
    known |= {"teacher": teacher.run}
    unknown = sorted(set(given.names) - set(known))
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(known)}")
    results: list[Result] = []
    for name in given.names or [name for name in known if name != "teacher"]:
        options = {"rows": given.rows} if name == "loss" else {}
        shapes = tuple(given.models if name == "quant_start" else given.shapes)
        results += known[name](given.device, rounds=given.rounds, shapes=shapes, **options)
    machine = torch.cuda.get_device_name() if given.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"# {machine}, torch {torch.__version__}\n")
    write_results(results, json_path=given.json)


if __name__ == "__main__":
    main()
