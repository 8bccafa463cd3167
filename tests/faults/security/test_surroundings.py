"""R25: rough surroundings. A run works, or ends in one line; never in a traceback, never half done without a word."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import balora
from tests.support.folders import save_tiny_body

ODD_FOLDER = "ordner mit leerzeichen 日本語 'quote\" $x"


@dataclass(frozen=True)
class Rough:
    """What is unusual about the process."""

    environment: dict[str, str | None] = field(default_factory=dict)
    """Variables set, or removed where None. FOLDER stands for the test's own folder."""
    limits: tuple[tuple[int, int], ...] = ()
    folder: str = "plain"
    before: str = ""
    """Python run before the command, in its process."""
    prepare: Callable[[Path], object] | None = None
    code: tuple[int, ...] = (0,)
    run: str = "run"
    """The run's folder, which is printed."""
    inside: tuple[str, ...] = ()
    """A command that runs the rest of the line."""


def read_only(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(0o500)


NO_NETWORK = """
import socket
def refuse(*_, **__): raise OSError("network is unreachable")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
"""
CLOCK_JUMPS = """
import time
real = time.time
calls = [0]
def jumping():
    calls[0] += 1
    return real() + (-86400.0 if calls[0] % 2 else 3e8)
time.time = jumping
"""
CLOSED_INPUT = "import os; os.close(0)"

SMALL_SHARED_MEMORY = ("unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=64k none /dev/shm && exec "$@"', "sh")

ROUGH = {
    "no network": Rough(before=NO_NETWORK),
    "a proxy that is not there": Rough({"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}),
    "LANG=C": Rough({"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, folder=ODD_FOLDER),
    "no locale at all": Rough({"LANG": None, "LC_ALL": None, "LC_CTYPE": None}),
    "an unknown locale": Rough({"LC_ALL": "xx_XX.nonsense"}),
    "ASCII output": Rough({"PYTHONIOENCODING": "ascii"}, folder=ODD_FOLDER, run="läufe 日本"),
    "spaces and other scripts in the path": Rough(folder=ODD_FOLDER),
    "64 open files": Rough(limits=((resource.RLIMIT_NOFILE, 64),)),
    "no core dumps and a small stack": Rough(limits=((resource.RLIMIT_CORE, 0), (resource.RLIMIT_STACK, 1 << 20))),
    "files of 4 MiB at most": Rough(limits=((resource.RLIMIT_FSIZE, 4 << 20),), code=(0, 4)),
    "no TMPDIR": Rough({"TMPDIR": "/no/such/folder", "TMP": None, "TEMP": None}),
    "no HOME": Rough({"HOME": None}),
    "a HOME that is not there": Rough({"HOME": "/no/such/home"}),
    "a HOME that cannot be written": Rough({"HOME": "FOLDER/home"}, prepare=lambda f: read_only(f / "home")),
    "a HOME that is a file": Rough({"HOME": "FOLDER/home"}, prepare=lambda f: (f / "home").write_text("x")),
    "no PATH": Rough({"PATH": ""}),
    "no terminal and a dumb one": Rough({"TERM": "dumb", "COLUMNS": "1"}),
    "colours forbidden": Rough({"NO_COLOR": "1", "FORCE_COLOR": None}),
    "a clock that jumps": Rough(before=CLOCK_JUMPS),
    "64 KiB of shared memory": Rough(inside=SMALL_SHARED_MEMORY),
    "standard input closed": Rough(before=CLOSED_INPUT),
    "one thread": Rough({"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}),
    "hidden accelerators": Rough({"CUDA_VISIBLE_DEVICES": ""}),
    "warnings as errors": Rough({"PYTHONWARNINGS": "default"}),
    "optimised Python": Rough({"PYTHONOPTIMIZE": "1"}),
    "Python without docstrings": Rough({"PYTHONOPTIMIZE": "2"}, code=(2,)),
}
QUICK = {"LANG=C", "64 open files", "ASCII output"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_body(tmp_path_factory.mktemp("base"), "bert")


def workplace(folder: Path, base: Path, run: str = "run") -> Path:
    folder.mkdir()
    shutil.copytree(base, folder / "base")
    rows = [json.dumps({"text": f"rów {n} {'good' if n % 2 else 'bad'}", "label": n % 2}) for n in range(16)]
    (folder / "train.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (folder / "recipe.yaml").write_text(
        "task: classification\nmodel: {name_or_path: ./base}\ndata: {train: train.jsonl, validation: train.jsonl}\n"
        "adapter: {r: 2}\ntraining: {max_steps: 2, per_device_train_batch_size: 4, logging_steps: 1, save_steps: 1}\n"
        f"output: {{dir: {run}}}\n",
        encoding="utf-8",
    )
    return folder


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in ROUGH])
def test_a_run_works_or_ends_in_one_line(name: str, base: Path, tmp_path: Path) -> None:
    rough = ROUGH[name]
    folder = workplace(tmp_path / rough.folder, base, rough.run)
    if rough.prepare is not None:
        rough.prepare(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(Path(balora.__file__).parents[1]), "HF_HUB_OFFLINE": "1"}
    environment |= {key: text.replace("FOLDER", str(tmp_path)) for key, text in rough.environment.items() if text}
    for key, text in rough.environment.items():
        if text is None:
            environment.pop(key, None)
    code = f"{rough.before}\nimport sys\nfrom balora.cli.main import main\nsys.exit(main(['train', 'recipe.yaml']))"

    def limit() -> None:
        for kind, amount in rough.limits:
            resource.setrlimit(kind, (amount, amount))

    done = subprocess.run(
        [*rough.inside, sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        preexec_fn=limit if rough.limits else None,
        timeout=300,
        check=False,
    )
    with contextlib.suppress(OSError):
        (tmp_path / "home").chmod(0o700)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode in rough.code, said
    assert "Traceback" not in said
    assert b"\x1b[" not in done.stdout + done.stderr, "no colours and no cursor off a terminal"
    if done.returncode == 0:
        record = json.loads((folder / rough.run / "run.json").read_text(encoding="utf-8"))
        assert record["status"] == "finished"
        assert (folder / rough.run / "adapter_model.safetensors").is_file()
    else:
        assert len([line for line in said.splitlines() if line.startswith("error: ")]) == 1
