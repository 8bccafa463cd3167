"""Whether the named base is the one that the tuned model came from, as far as can be told."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import torch
from peft.tuners.lora.layer import Linear as LoraLinear

from balora.artefacts import read_record
from balora.artefacts.layout import ADAPTER_CONFIG
from balora.auditing.pair import Pair
from balora.auditing.weights import ModuleChange, full_weight, is_matrix
from balora.errors import ModelError
from balora.models import ModelSettings, load_config, load_tokenizer
from balora.run.subject import Subject
from balora.strict_json import read_json

LARGEST_STEP = 1.0
"""Two models whose matrices differ by more than their own size were not tuned from one another: the difference of
unrelated ones is √2 times their size."""
FEWEST_SHARED = 0.99
"""Share of the smaller vocabulary that must be the same token by token."""
_FIX = "name the model it was trained on with --base"


def check_identity(subject: Subject, base_name: str) -> list[str]:
    """Compare what small files say of the base with the base that is named; gives notes.

    Raises:
        ModelError: tokenizers disagree, or the hub commit is another one.
    """
    notes = []
    recorded = _recorded(subject)
    if recorded is not None and Path(recorded).name != Path(base_name).name:
        notes.append(
            f"the tuned model was made from '{recorded}' by its own account, and is compared with '{base_name}'"
        )
    if subject.folder is not None and (subject.folder / "tokenizer_config.json").is_file():
        _check_tokenizers(subject, base_name)
    commit = (read_record(subject.folder).get("model") or {}).get("commit") if subject.folder is not None else None
    now = load_config(subject.base).to_dict().get("_commit_hash")
    if commit is not None and now is not None and commit != now:
        what = f"was trained on commit {commit[:12]} of the base, and '{base_name}' is at {now[:12]}"
        raise ModelError.at(subject.name, what, "set the revision, or name a folder that holds that commit with --base")
    return notes


def check_distance(subject: Subject, changes: list[ModuleChange]) -> None:
    """Refuse two whole models that are further from each other than any tuning goes.

    Raises:
        ModelError: names the distance.
    """
    norms = [each.change.relative_norm for each in changes]
    if subject.adapter is None and norms and median(norms) > LARGEST_STEP:
        what = f"is {median(norms):.2f} times its size away from '{subject.base.name_or_path}' (median of its matrices)"
        raise ModelError.at(subject.name, f"{what}, as far as two unrelated models", _FIX)


def check_start(pair: Pair) -> None:
    """Check a PiSSA run of ours against the base in memory; other starts leave no trace that could be checked.

    Raises:
        ModelError: it started from another base.
    """
    subject, model = pair.subject, pair.tuned_loaded.model
    recipe = subject.recipe
    if subject.adapter is None or recipe is None or recipe.adapter.method != "pissa" or pair.base_loaded is not None:
        return
    for module in model.modules():
        if type(module) is LoraLinear and not module.lora_variant and is_matrix(module.get_base_layer()):
            weight = full_weight(module.get_base_layer())
            weight = weight.T if module.fan_in_fan_out else weight
            up = module.lora_B["default"].weight.detach().float() * module.scaling["default"]
            check_principal_part(subject, weight, up, module.lora_A["default"].weight.detach().float())
            return


def check_principal_part(subject: Subject, weight: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> None:
    """Refuse a base on which a PiSSA run of ours cannot have started.

    Such a run saves s·[B − B₀, B₀][A; A − A₀] of rank 2r, from which s·B₀A₀, the principal part of the base's own
    weight, can be read: the base holds it exactly once, ⟨W, P⟩ / ⟨P, P⟩ = 1, and another model does not.

    Args:
        subject: for the message.
        weight: W, (out, in).
        up: (out, 2r), with its scaling.
        down: (2r, in).

    Raises:
        ModelError: the share is not near 1.
    """
    half = down.shape[0] // 2
    part = (up[:, half:] @ (down[:half] - down[half:])).double()
    size = float((part * part).sum())
    share = float((weight.double() * part).sum()) / size if size > 0 else 1.0
    if abs(share - 1) > 0.1:
        what = f"started from the principal part of another weight (found {share:.2f} of it in this base, expected 1)"
        raise ModelError.at(subject.name, what, _FIX)


def _recorded(subject: Subject) -> str | None:
    if subject.recipe is not None:
        return subject.recipe.model.name_or_path
    if subject.adapter is None:
        return None
    config: dict[str, Any] = read_json(subject.adapter / ADAPTER_CONFIG)
    return config.get("base_model_name_or_path")


def _check_tokenizers(subject: Subject, base_name: str) -> None:
    ours = load_tokenizer(ModelSettings(name_or_path=str(subject.folder))).get_vocab()
    try:
        theirs = load_tokenizer(subject.base.model_copy(update={"name_or_path": base_name})).get_vocab()
    except ModelError:
        return  # a base without a tokenizer of its own says nothing
    same = sum(theirs.get(token) == index for token, index in ours.items())
    if same < FEWEST_SHARED * min(len(ours), len(theirs)):
        what = (
            f"its tokenizer has {len(ours)} tokens, that of '{base_name}' {len(theirs)}, and only {same} are the same"
        )
        raise ModelError.at(subject.name, what, _FIX)
