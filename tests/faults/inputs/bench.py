"""One bad input at a time through the real command line, on tiny models that are written once for all cases."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import peft
import pytest
import transformers
from transformers import PreTrainedModel

from balora.cli.main import main
from tests.support.folders import save_tiny, save_tiny_body

Content = str | bytes
Build = Callable[[Path, "Bench"], None]

LONGEST_S = 5.0
"""R12: what a refusal may take. Starting Python and importing torch is not counted here."""


def lines(*rows: object) -> str:
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


CLASSES = lines(*({"text": f"row {n} is {'good' if n % 2 else 'bad'}", "label": n % 2} for n in range(8)))
ANSWERS = lines(*({"prompt": f"What is {n}?", "completion": f"it is {n}"} for n in range(8)))
SCORES = "sentence1\tsentence2\tscore\n" + "".join(f"a{n}\tb{n}\t{n}.5\n" for n in range(8))
GOOD_DATA = {"classification": ("train.jsonl", CLASSES), "generation": ("train.jsonl", ANSWERS)}
GOOD_DATA |= {"regression": ("train.tsv", SCORES)}
MODELS = {"classification": "encoder", "regression": "encoder", "generation": "decoder"}


@dataclass(frozen=True)
class Case:
    """A recipe of which one thing is wrong, and what the command line has to say to it."""

    id: str
    said: str
    """Parts of the message in order, joined by ...; where, what and what to do."""
    row: int = 0
    """Its row in the catalogue of docs/errors.md."""
    task: str = "classification"
    files: Mapping[str, Content] = field(default_factory=dict)
    """File -> content; the first one is the training data, unless `settings` names another."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Section -> its settings, over those of a good recipe; a section that is no mapping replaces the good one."""
    recipe: Content | None = None
    """The whole recipe file, in place of one made from `settings`; MODELS stands for the folder of the models."""
    overrides: tuple[str, ...] = ()
    """Words behind the recipe's name."""
    command: tuple[str, ...] = ()
    """Runs in place of `validate` and `train`."""
    prepare: Build | None = None
    """Writes what is no small text: models, folders of earlier runs."""
    validate_misses: str = ""
    """Why `balora validate` cannot know; "" where it must find it."""


@dataclass
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str
    took_s: float
    """This process's own time: a busy machine must not look like a slow reader."""
    loaded: bool
    """Whether model weights were asked for."""

    @property
    def problems(self) -> list[str]:
        """The lines that say what is wrong."""
        return [line.removeprefix("error: ") for line in self.err.splitlines() if line.startswith("error: ")]


class WeightsAskedForError(Exception):
    """Model weights were about to be loaded for a case that must be refused before."""


@dataclass
class Bench:
    """Runs commands in a folder of their own."""

    models: Path
    """The folder with the tiny models `encoder` and `decoder`, and one `adapter`."""
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def run(self, *words: str, load: bool = False) -> Outcome:
        """One command in this process; with `load` it may read model weights."""
        asked: list[str] = []

        def refuse(_: type, name: object, *arguments: object, **options: object) -> NoReturn:
            asked.append(str(name))
            raise WeightsAskedForError(str(name))

        self.capture.readouterr()
        began = time.process_time()
        with self.patch.context() as patch:
            if not load:
                patch.setattr(PreTrainedModel, "from_pretrained", classmethod(refuse))
            code = main(list(words))
        took_s = time.process_time() - began
        captured = self.capture.readouterr()
        return Outcome(code, captured.out, captured.err, took_s, bool(asked))

    def write(self, case: Case, folder: Path) -> Path:
        """The files and the recipe of a case, in an empty folder; gives the recipe's path."""
        name, content = GOOD_DATA.get(case.task, GOOD_DATA["classification"])
        for file, text in (case.files or {name: content}).items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode() if isinstance(text, str) else text)
        first = next(iter(case.files), name)
        if case.recipe is None:
            self._write_recipe(case, folder, first)
        else:
            text = case.recipe if isinstance(case.recipe, bytes) else case.recipe.encode()
            (folder / "recipe.yaml").write_bytes(text.replace(b"MODELS", str(self.models).encode()))
        if case.prepare is not None:
            case.prepare(folder, self)
        return folder / "recipe.yaml"

    def _write_recipe(self, case: Case, folder: Path, train: str) -> None:
        recipe: dict[str, Any] = {
            "task": case.task,
            "model": {"name_or_path": str(self.models / MODELS.get(case.task, "encoder"))},
            "data": {"train": train, "max_length": 48},
            "adapter": {"r": 4},
            "training": {"max_steps": 2, "per_device_train_batch_size": 4, "save_strategy": "no"},
        }
        for section, given in case.settings.items():
            mapping = isinstance(given, Mapping) and isinstance(recipe.get(section), dict)
            recipe[section] = {**recipe[section], **given} if mapping else given
        # JSON is YAML, so any value is written as it is meant.
        text = json.dumps({key: value for key, value in recipe.items() if value is not None}, indent=1)
        (folder / "recipe.yaml").write_text(text.replace("MODELS", str(self.models)))


def save_models(folder: Path) -> Path:
    """The models that cases share."""
    save_tiny_body(folder / "encoder", "roberta")
    save_tiny(folder / "decoder", "llama")
    save_adapter(folder)
    return folder


def save_adapter(folder: Path) -> None:
    """A plain PEFT adapter on the tiny decoder, in the folder `adapter`."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "decoder")
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    peft.get_peft_model(model, config).save_pretrained(folder / "adapter")


def hashes(folder: Path) -> dict[str, str]:
    """File -> SHA-256, for every file and folder below."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


@contextmanager
def unchanged(*folders: Path) -> Iterator[None]:
    """Nothing below the folders is changed, added or taken away inside the block."""
    before = [hashes(folder) for folder in folders]
    yield
    assert [hashes(folder) for folder in folders] == before


def assert_refused(outcome: Outcome, said: str, *, seconds: float = LONGEST_S) -> None:
    """Exit 2; one line for each problem with place, fault and fix; no weights; in time."""
    assert not outcome.loaded, "model weights were asked for"
    assert outcome.code == 2, outcome.err
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert outcome.problems, outcome.err
    for problem in outcome.problems:
        assert ": " in problem, problem
        assert "; " in problem, f"no fix: {problem}"
        assert len(problem) < 1500, problem
    rest = outcome.err
    for part in said.split("..."):
        assert part.strip() in rest, f"{part.strip()!r} is not in {outcome.err!r}"
        rest = rest.partition(part.strip())[2]
    assert outcome.took_s <= seconds, f"{outcome.took_s:.1f} s"
