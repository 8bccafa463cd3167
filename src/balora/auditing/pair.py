"""Base and tuned model in memory: one model with its adapter on or off, or two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import peft
import torch

from balora.adapters import adapters_off
from balora.errors import ModelError
from balora.models import ModelSettings
from balora.paths import user_path
from balora.run.subject import LoadedSubject, Subject, base_is_apart, base_of, find_subject, load_subject

Head = Literal["own", "initial", "tuned", "none"]

HEADS_IN_WORDS: dict[Head, str] = {
    "own": "each with its own head",
    "initial": "the base with the untrained head that the run started from",
    "tuned": "the tuned head reads the base's features too, because the base has no head of its own",
    "none": "each with its own language-model head",
}


@dataclass(frozen=True)
class Pair:
    """A tuned model and its base."""

    subject: Subject
    tuned_loaded: LoadedSubject
    base_loaded: LoadedSubject | None
    """Where the base is another model in memory; None: the tuned one with its adapter off."""
    head: Head
    """Which head reads the base's features."""

    @property
    def tokenizer(self) -> Any:
        """The tuned model's."""
        return self.tuned_loaded.tokenizer

    @property
    def device(self) -> torch.device:
        """Where both are."""
        return self.tuned_loaded.device

    @property
    def base_predicts(self) -> bool:
        """Whether the base's own predictions mean anything: whether its head was ever trained with it."""
        return self.head in ("own", "none")

    @property
    def config(self) -> Any:
        """The model's configuration."""
        return self.tuned_loaded.model.config

    @contextmanager
    def tuned(self) -> Iterator[Any]:
        """The tuned model inside the block."""
        with torch.inference_mode():
            yield self.tuned_loaded.model

    @contextmanager
    def base(self) -> Iterator[Any]:
        """The base inside the block, its features read by the head that `head` names."""
        if self.base_loaded is not None:
            with torch.inference_mode(), _head_of(self):
                yield self.base_loaded.model
            return
        model = self.tuned_loaded.model
        off = adapters_off(model, heads=self.head != "tuned") if isinstance(model, peft.PeftModel) else nullcontext()
        with torch.inference_mode(), off:
            yield model


def find_pair(run: str | Path, base: str | None) -> tuple[Subject, Subject | None]:
    """What is audited, and its base where that is a model of its own.

    Args:
        run: a run folder, one of its checkpoints, an adapter, or a model.
        base: hub id or folder of the base; may be left out where run or adapter name it.

    Raises:
        InputError: there is nothing to audit, or no base.
    """
    subject = _found(run, base)
    if subject.adapter is None and subject.whole is None:
        if base is None:
            raise ModelError.at("--base", "a whole model does not name what it was tuned from", "give --base MODEL")
        return subject, replace(subject, name=base, folder=None, base=ModelSettings(name_or_path=base))
    return subject, base_of(subject) if base_is_apart(subject) else None


def load_pair(subject: Subject, base: Subject | None, base_head: str) -> Pair:
    """Both models in memory.

    Raises:
        ModelError: they do not fit each other.
    """
    tuned = _loaded(subject)
    other = None if base is None else load_subject(base)
    if other is not None and subject.adapter is None:
        _check_shapes(subject, tuned.model, other.model)
    return Pair(subject, tuned, other, _head_for(subject, tuned, other, base_head))


def _found(run: str | Path, base: str | None) -> Subject:
    folder = user_path(run)
    if not folder.exists() and not str(run).startswith((".", "/", "~")):
        return find_subject(None, str(run))
    return find_subject(run, base)


def _loaded(subject: Subject) -> LoadedSubject:
    try:
        return load_subject(subject)
    except ModelError as error:
        named = [replace(problem, fix=problem.fix.replace("--model", "--base")) for problem in error.problems]
        raise ModelError(named) from error


def _head_for(subject: Subject, tuned: LoadedSubject, base: LoadedSubject | None, wanted: str) -> Head:
    if subject.task == "generation":
        return "none"
    if wanted == "tuned":
        return "tuned"
    fresh = (base or tuned).fresh
    if not fresh:
        return "own"
    recipe = subject.recipe
    if wanted == "own":
        return "initial"
    reproducible = recipe is not None and recipe.regularizers.teacher_head == "initial"
    return "initial" if reproducible else "tuned"


@contextmanager
def _head_of(pair: Pair) -> Iterator[None]:
    """Let the other model's head be the tuned one inside the block, where that is what is compared."""
    if pair.head != "tuned" or pair.base_loaded is None:
        yield
        return
    base, tuned = pair.base_loaded.model, pair.tuned_loaded.model
    fresh = {name.rsplit(".", 1)[0] for name in pair.base_loaded.fresh}
    theirs: Mapping[str, Any] = dict(base.named_modules())
    ours: Mapping[str, Any] = dict(
        (tuned.base_model.model if isinstance(tuned, peft.PeftModel) else tuned).named_modules()
    )
    before = {}
    for name in sorted(fresh):
        parent, _, child = name.rpartition(".")
        before[name] = theirs[name]
        setattr(theirs[parent] if parent else base, child, _trained(ours, name))
    try:
        yield
    finally:
        for name, module in before.items():
            parent, _, child = name.rpartition(".")
            setattr(theirs[parent] if parent else base, child, module)


def _trained(modules: Mapping[str, Any], name: str) -> Any:
    """The tuned module of this name; PEFT keeps the parts of a wrapped head under its own names."""
    if name in modules:
        return modules[name]
    head, _, rest = name.partition(".")
    return modules[".".join(part for part in (head, "modules_to_save", "default", rest) if part)]


def _check_shapes(subject: Subject, tuned: Any, base: Any) -> None:
    ours = {name: tuple(each.shape) for name, each in tuned.named_parameters()}
    theirs = {name: tuple(each.shape) for name, each in base.named_parameters()}
    wrong = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if wrong:
        name = wrong[0]
        what = f"{len(wrong)} weights differ in shape or name from the base's, the first is {name}: "
        what += f"{ours.get(name, 'absent')} against {theirs.get(name, 'absent')}"
        raise ModelError.at(subject.name, what, "name the model it was tuned from with --base")
