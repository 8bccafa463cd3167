"""The entry point: the commands, `--version`, and how every one of them ends."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from balora.cli import audit, demo, doctor, evaluate, factors, plan, recipes, study, train, validate
from balora.cli.failures import HUNG_UP, INTERRUPTED, OUT_OF_RESOURCES, TERMINATED, failure_of, stopped_run
from balora.cli.output import no_secrets_shown, print_error, print_json, print_message, print_result
from balora.cli.processes import speaks
from balora.errors import InputError, ResourceError, StoppedError
from balora.escaping import visible
from balora.interruption import stop_on_signals, unwinding
from balora.optional import hush_optional_packages

app = typer.Typer(
    help="Fine-tune language models with BA-LoRA, and keep what they knew.",
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(train.train)
app.command()(validate.validate)
app.command()(plan.plan)
app.command()(evaluate.evaluate)
app.command()(audit.audit)
app.command()(factors.factors)
app.add_typer(recipes.app, name="recipes")
app.add_typer(study.app, name="study")
app.command()(doctor.doctor)
app.command()(demo.demo)


_AFTER_A_STOP = {
    "train": " before training began; run the same command again",
    "audit": "; no report was written, the same command starts again",
    "evaluate": "; the same command goes on, and asks the model only for the texts that are missing",
}
"""What is true after an interruption, by command."""


def _print_version(wanted: bool) -> None:
    if wanted:
        print_result(f"balora {importlib.metadata.version('balora')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")] = False,
) -> None:
    """Fine-tune language models with BA-LoRA, and keep what they knew."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing that goes wrong leaves as an exception.

    `--debug` may stand anywhere; BALORA_DEBUG=1 does the same.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    _never_fail_to_print()
    with no_secrets_shown():
        return _run(given)


def _run(given: list[str]) -> int:
    words = [word for word in given if word != "--debug"] or ["--help"]
    debug = len(words) < len(given) or os.environ.get("BALORA_DEBUG", "0") not in {"", "0"}
    _share_processors()
    hush_optional_packages()
    try:
        # `train` says itself from when on there is something to unwind: from its run folder.
        with _stopped_by_signals(), contextlib.nullcontext() if words[0] == "train" else unwinding():
            _refuse_stripped_docstrings()
            result = app(args=words, prog_name="balora", standalone_mode=False)
            sys.stdout.flush()
        code = result if isinstance(result, int) else 0
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # typer makes it an exit of its own
            return _report(stop.__context__, debug=False, as_json=False)
        stopped = stopped_run(stop)
        if stopped is not None:
            if speaks():
                print_message(str(stopped))
            return _report(stopped, debug=debug, as_json="--json" in words)
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException as error:
        try:
            if not debug:
                traceback.clear_frames(error.__traceback__)  # memory may be short: what failed still holds its own
            code = _report(error, debug=debug, as_json="--json" in words, command=words[0])
        except MemoryError:
            os.write(2, b"error: out of memory, and there is none left to say more\n")
            code = OUT_OF_RESOURCES
    if code in {INTERRUPTED, TERMINATED, HUNG_UP} and speaks():
        print_message(f"stopped{_AFTER_A_STOP.get(words[0], '')}")
    return code


def _report(error: BaseException, *, debug: bool, as_json: bool, command: str = "train") -> int:
    failure = failure_of(error, command)
    if debug:
        sys.stderr.write(visible("".join(traceback.format_exception(error))))
    if isinstance(error, BrokenPipeError):
        return failure.exit_code  # the reader of stdout left
    if isinstance(error, InputError | StoppedError) and not speaks():
        return failure.exit_code  # the first process of this machine finds and says the same
    for line in failure.lines:
        print_error(line)
    if as_json:
        with contextlib.suppress(ResourceError):  # stdout is what failed, and the line says so
            print_json(failure.as_json())
    return failure.exit_code


def _refuse_stripped_docstrings() -> None:
    """Under -OO Python drops the docstrings that transformers reads when it is imported, and it fails there."""
    if sys.flags.optimize > 1:
        what = "Python runs without docstrings (-OO), and transformers cannot be imported so"
        raise InputError.at("PYTHONOPTIMIZE", what, "unset it, or set it to 1")


def _share_processors() -> None:
    """Let waiting threads of torch give their processor away soon; read when torch is imported, so set before.

    By default they spin. Beside any other work on the same cores that costs many times the run itself: on two cores a
    classifier that trains in 13 s alone took 157 s beside a test run, and 24 s with this.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def _never_fail_to_print() -> None:
    """A terminal that cannot show a character gets a question mark instead of an exception."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let signals end the command; afterwards they do what they did before."""
    before = stop_on_signals()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
