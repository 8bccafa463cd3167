"""The folder of a study: where things lie in it, and what was left by earlier launches."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from balora.artefacts import write_json_atomically, write_text_atomically
from balora.errors import OutputError
from balora.paths import user_path
from balora.strict_json import read_json
from balora.study.board import Board
from balora.study.carry_out import read_outcome
from balora.study.document import Study
from balora.study.hold import LOCK
from balora.study.jobs import Outcome
from balora.study.store import RUNS
from balora.study.storing import RESULTS

STUDY_FILE = "study.yaml"
SHARED = "shared"
LOGS = "logs"
FAILURES = "failures"
FINGERPRINTS = "fingerprints.json"
INDEX = "index.txt"


def folder_of(study: Study, folder: Path | None) -> Path:
    """Where a study is written: `studies/<name>`, with its profile, unless said otherwise."""
    if folder is not None:
        return user_path(folder).absolute()
    name = study.settings.name if study.profile is None else f"{study.settings.name}-{study.profile}"
    return (Path("studies") / name).absolute()


def check_folder(folder: Path, study: Study) -> None:
    """Refuse a folder that holds anything but this study.

    Raises:
        OutputError: it is a file, or holds something else.
    """
    fix = "name another folder with --folder"
    if folder.exists() and not folder.is_dir():
        raise OutputError.at(folder, "is a file", fix)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    try:
        name = read_json(folder / RESULTS)["name"]
    except (OSError, ValueError, KeyError, TypeError):
        if _was_stopped_early(folder):
            return
        raise OutputError.at(folder, "already holds something that is no study", fix) from None
    if name != study.settings.name:
        raise OutputError.at(folder, f"holds the study '{name}'", fix)


def _was_stopped_early(folder: Path) -> bool:
    """Whether a launch was stopped before its first results, perhaps while it made these very folders."""
    if (folder / STUDY_FILE).is_file() and (folder / RUNS).is_dir():
        return True
    partial = f".{STUDY_FILE}.partial-"
    return all(
        (path.name in {RUNS, SHARED, LOGS, FAILURES} and path.is_dir() and not any(path.iterdir()))
        or path.name == LOCK
        or path.name.startswith(partial)
        for path in folder.iterdir()
    )


def open_folder(folder: Path, study: Study) -> None:
    """Make the folder and keep the study file in it.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        for part in (RUNS, SHARED, LOGS, FAILURES):
            (folder / part).mkdir(parents=True, exist_ok=True)
        options = f"# run with {study.options}\n" if study.options else ""
        write_text_atomically(folder / STUDY_FILE, options + study.text)
    except OSError as error:
        raise OutputError.at(folder, f"cannot be written ({error.strerror})", "name another folder") from None


def take_stock(board: Board, *, keep_failed: bool) -> None:
    """Read how earlier launches' runs ended; failed ones are forgotten unless they are to be kept."""
    while True:
        known = len(board.outcomes)
        for run in board.known_runs():
            if run.identity in board.outcomes:
                continue
            outcome = read_outcome(board.run_folder(run.identity), run.identity)
            if outcome is None:
                outcome = _standing_failure(board, run.identity, keep_failed=keep_failed)
            if outcome is not None:
                board.outcomes[run.identity] = outcome
        board.settle()
        if len(board.outcomes) == known:
            return


def write_failure(folder: Path, outcome: Outcome) -> None:
    """Remember why a run failed."""
    write_json_atomically(folder / FAILURES / f"{outcome.identity}.json", asdict(outcome))


def _standing_failure(board: Board, identity: str, *, keep_failed: bool) -> Outcome | None:
    """A failure of an earlier launch that still counts: by request, or because its time limit is no larger now."""
    try:
        found = Outcome(**read_json(board.folder / FAILURES / f"{identity}.json"))
    except (OSError, ValueError, TypeError):
        return None
    limit = board.planner.study.settings.budget.time_s
    too_slow = found.over_time_s is not None and limit is not None and limit <= found.over_time_s
    return found if keep_failed or too_slow else None


def write_index(board: Board) -> None:
    """Which folder belongs to which run, for people."""
    lines = [f"{run.identity}  {run.stage:<5}  {run}" for run in board.known_runs()]
    write_text_atomically(board.folder / INDEX, "\n".join(lines) + "\n")
