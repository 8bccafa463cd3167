"""R21: fifteen planted secrets, runs that succeed and fail; afterwards no file and no line holds any of them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import HfHubHTTPError

import balora
from balora.cli.main import main
from balora.run import training as run_training
from tests.support.folders import save_tiny_body

PLANTED = {
    "HF_TOKEN": "hf_" + "PlantedOne" * 3,
    "HUGGING_FACE_HUB_TOKEN": "hf_" + "PlantedTwo" * 3,
    "OPENAI_API_KEY": "sk-proj-Planted3-" + "x1" * 12,
    "ANTHROPIC_API_KEY": "planted-four-no-known-shape",
    "WANDB_API_KEY": "5" * 40,
    "AWS_SECRET_ACCESS_KEY": "Planted6/with+slashes=and",
    "GITHUB_TOKEN": "ghp_" + "Planted7" * 5,
    "COMET_API_KEY": "planted eight with spaces",
    "DB_PASSWORD": 'planted "nine" \\quoted\\',
    "MLFLOW_TRACKING_PASSWORD": "plänted-tén-ünicode",
    "SLACK_TOKEN": "xoxb-planted11-aaaaaaaaaa",
}
"""By the variables that hold them."""
STORED = "planted-twelve-stored-by-login"
PROXY = "planted13pass"
IN_RECIPE = "hf_" + "PlantedFourteen" * 2
IN_OVERRIDE = "planted-fifteen-in-an-override"
ALL = {**PLANTED, "stored token": STORED, "proxy": PROXY, "recipe": IN_RECIPE, "override": IN_OVERRIDE}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    hub = tmp_path / "not searched" / "hub"
    hub.mkdir(parents=True)
    (hub / "token").write_text(STORED)
    monkeypatch.setenv("HF_HOME", str(hub))
    monkeypatch.setenv("MY_PROXY", f"http://me:{PROXY}@proxy.example.org:3128")
    rows = [json.dumps({"text": f"row {n} {'good' if n % 2 else 'bad'}", "label": n % 2}) for n in range(16)]
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    save_tiny_body(tmp_path / "base", "bert")
    (tmp_path / "recipe.yaml").write_text(
        f"task: classification\nmodel: {{name_or_path: {tmp_path / 'base'}}}\n"
        f"data: {{train: {tmp_path / 'train.jsonl'}, validation: {tmp_path / 'train.jsonl'}}}\nadapter: {{r: 2}}\n"
        "training: {max_steps: 2, per_device_train_batch_size: 4, save_steps: 1, logging_steps: 1}\n"
        f"output: {{dir: {tmp_path / 'run'}}}\n"
    )
    return tmp_path


def leaks(folder: Path, said: str) -> list[str]:
    found = []
    places = {"what was said": said.encode()}
    for path in folder.rglob("*"):
        if path.is_file() and "not searched" not in path.parts:
            places[str(path.relative_to(folder))] = path.read_bytes() + path.name.encode()
    for name, secret in ALL.items():
        raw = secret.encode()
        forms = {raw, json.dumps(secret)[1:-1].encode(), base64.b64encode(raw), repr(secret)[1:-1].encode()}
        found += [f"{name} in {place}" for place, content in places.items() if any(form in content for form in forms)]
    return found


def everything() -> str:
    return "it failed with " + " | ".join(
        [*PLANTED.values(), STORED, PROXY, IN_RECIPE, f"https://me:{PROXY}@proxy.example.org"]
    )


class Unauthorized(HfHubHTTPError):
    """What the hub says to a wrong token: 401, with the request that was sent."""

    def __init__(self, message: str) -> None:
        address = f"https://me:{PROXY}@huggingface.co/api?token={IN_RECIPE}"
        request = SimpleNamespace(url=address, headers={"Authorization": f"Bearer {PLANTED['HF_TOKEN']}"})
        response = SimpleNamespace(status_code=401, url=address, text=message, headers={}, request=request)
        super().__init__(f"401 Client Error: Unauthorized for url: {address}. {message}", response=response)  # type: ignore[arg-type]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_the_search_finds_what_is_there(workplace: Path) -> None:
    (workplace / "x.json").write_text(json.dumps(PLANTED["DB_PASSWORD"]))
    (workplace / "y.bin").write_bytes(b"\x00" + PLANTED["HF_TOKEN"].encode())
    assert leaks(workplace, STORED) == ["HF_TOKEN in y.bin", "DB_PASSWORD in x.json", "stored token in what was said"]


@pytest.mark.parametrize("extra", [[], ["--debug"], ["--json"]])
def test_a_run_that_succeeds(workplace: Path, extra: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, "train", str(workplace / "recipe.yaml"), *extra)
    assert code == 0, said
    assert leaks(workplace, said) == []


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("kind", [RuntimeError, OSError, ValueError, Unauthorized])
def test_a_run_that_fails_with_everything_in_its_message(
    workplace: Path,
    debug: bool,
    kind: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        secret = everything()
        try:
            raise KeyError(secret)
        except KeyError as error:
            error.add_note(secret)
            raise kind(secret) from error

    monkeypatch.setattr(run_training, "run_steps", fail)
    monkeypatch.setenv("BALORA_DEBUG", "1" if debug else "0")
    code, said = run(capsys, "train", str(workplace / "recipe.yaml"))
    assert code == 1
    assert "it failed with" in said
    assert ("Traceback" in said) == debug
    assert "it failed with" in (workplace / "run" / "run.json").read_text(), "the record says why, without the secrets"
    assert leaks(workplace, said) == []


def test_what_libraries_log_and_warn(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def chatter(*_: object) -> dict[str, float]:
        import logging

        handler = logging.StreamHandler()
        logging.getLogger("some.library").addHandler(handler)
        logging.getLogger("some.library").error("request with %s", everything())
        logging.getLogger("some.library").removeHandler(handler)
        sys.stderr.write(everything())
        print(everything())
        return {}

    monkeypatch.setattr(run_training, "run_steps", chatter)
    code, said = run(capsys, "train", str(workplace / "recipe.yaml"))
    assert said.count("it failed with") == 3
    assert code == 0
    assert leaks(workplace, said) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["training.hub_token=" + IN_OVERRIDE],
        ["training.hub_token=" + PLANTED["HF_TOKEN"]],
        ["model.api_key=" + IN_OVERRIDE],
        ["model.name_or_path=https://me:" + PROXY + "@example.org/model"],
        ["data.train=https://example.org/x.csv?token=" + PLANTED["ANTHROPIC_API_KEY"]],
        ["model.name_or_path=" + PLANTED["WANDB_API_KEY"]],
    ],
)
@pytest.mark.parametrize("command", ["train", "validate"])
def test_secrets_on_the_command_line(
    workplace: Path, command: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(capsys, command, str(workplace / "recipe.yaml"), *arguments, "--debug")
    assert code == 2, said
    assert leaks(workplace, said) == []


@pytest.mark.parametrize("line", [f"# token: {IN_RECIPE}", f"hub_token: {IN_RECIPE}", f"model2: '{IN_RECIPE}'"])
def test_secrets_in_a_recipe(workplace: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = workplace / "not searched" / "recipe.yaml"
    recipe.write_text((workplace / "recipe.yaml").read_text() + line + "\n")
    code, said = run(capsys, "train", str(recipe), "--debug")
    assert code == 2
    assert leaks(workplace, said) == []


@pytest.mark.parametrize(
    "command", [["doctor"], ["doctor", "--json"], ["recipes", "list"], ["--version"], ["nonsense"]]
)
def test_other_commands(workplace: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    _, said = run(capsys, *command)
    assert leaks(workplace, said) == []


@pytest.mark.slow
def test_a_process_of_its_own(workplace: Path) -> None:
    """As a user types it: the interpreter's own last words included."""
    code = f"""
import sys
from balora.cli.main import main
import balora.run.training as t
def fail(*_):
    raise RuntimeError({everything()!r})
t.run_steps = fail
sys.exit(main(["train", {str(workplace / "recipe.yaml")!r}, "--debug"]))
"""
    environment = os.environ | {"PYTHONPATH": str(Path(balora.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert leaks(workplace, done.stdout + done.stderr) == []
