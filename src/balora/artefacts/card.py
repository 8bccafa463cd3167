"""The model card: what the adapter is, how to load it, what it scored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balora.artefacts.files import write_text_atomically
from balora.artefacts.layout import MODEL_CARD
from balora.escaping import code_literal, markdown
from balora.task import Task

LOADERS: dict[Task, str] = {
    "classification": "AutoModelForSequenceClassification",
    "regression": "AutoModelForSequenceClassification",
    "generation": "AutoModelForCausalLM",
}
LIBRARIES: dict[str, str] = {"full": "transformers", "houlsby": "balora", "pfeiffer": "balora"}
"""Method -> what loads its files; the others are PEFT's."""
_FOLDERS = re.compile(r"(?:~|\.{1,2})?/(?:[^\s'\",/]+/)*")
LONGEST_TEXT = 2000
"""Characters; a longer text is cut, and its length told."""


@dataclass(frozen=True, slots=True)
class QuantizedBase:
    """How the base was quantized while the adapter was trained."""

    explanation: str
    """What a user of the adapter should know, in a sentence or two."""
    arguments: str = ""
    """What from_pretrained needs beside the name, as code."""
    imports: str = ""
    """The line of code that imports what `arguments` names."""


def model_card(
    *,
    base_name: str,
    base_path: str | None = None,
    task: Task,
    method: str,
    regularizers: str,
    parameters: str,
    results: Mapping[str, float],
    label_names: Sequence[str] | None = None,
    encoder_decoder: bool = False,
    quantized: QuantizedBase | None = None,
) -> str:
    """The card as Markdown with the metadata block that hubs read.

    Args:
        base_name: hub id of the pretrained model; of a local folder the title shows only its last part.
        base_path: what `adapter_config.json` says of the base, for the loading code; left out, `base_name`.
        task: what was learned.
        method: the adaptation method.
        regularizers: the weights in words.
        parameters: the parameter counts in words.
        results: final scores.
        label_names: class names by id.
        encoder_decoder: whether the base has an encoder and a decoder.
        quantized: how the base was quantized; None for full-precision weights.
    """
    shown = Path(base_name).name if base_name.startswith((".", "/", "~")) else base_name
    loader = "AutoModelForSeq2SeqLM" if encoder_decoder and task == "generation" else LOADERS[task]
    labels = f", num_labels={len(label_names) if label_names else 1}" if task != "generation" else ""
    library = LIBRARIES.get(method, "peft")
    header = ["---", f"base_model: {code_literal(shown)}", f"library_name: {library}"]
    header += ["tags:", "- balora", "- ba-lora", f"- {code_literal(method)}", *_lora_tag(method, library), "---"]
    tables = [*_table("validation", "eval_", results), *_table("test", "test_", results)]
    names = [f"Classes by id: {', '.join(_shown(name) for name in label_names)}.", ""] if label_names else []
    return "\n".join(
        [
            *header,
            "",
            f"# {_shown(shown)} fine-tuned with balora ({_shown(method)})",
            "",
            f"Task: {task}. Regularizers: {_shown(regularizers)}. {_shown(parameters)}.",
            "",
            *names,
            "## Load it",
            "",
            *([quantized.explanation, ""] if quantized else []),
            "```python",
            *_loading_code(base_path or base_name, loader, labels, quantized, library=library),
            "```",
            "",
            *(tables or ["## Scores", "", "No score was computed.", ""]),
            "`recipe.resolved.yaml` repeats this run; `run.json` says on what it ran.",
            "",
        ]
    )


def changes_in_words(legs: Sequence[Mapping[str, Any]]) -> str:
    """The part of the card on a run that went on although things had changed; empty for all others.

    Folders are left out of it, as they say who trained where.
    """
    lines = []
    for leg in legs:
        for each in leg.get("differences", []):
            what = _FOLDERS.sub("", str(each["what"]))
            lines.append(f"- from step {leg.get('from_step', 0)}: {_shown(each['where'])}: {_shown(what)}")
    if not lines:
        return ""
    return "\n".join(["", "## Changed on the way", "", "This run went on with other settings or data.", "", *lines, ""])


def _shown(text: str) -> str:
    return markdown(text, LONGEST_TEXT)


def _lora_tag(method: str, library: str) -> list[str]:
    return ["- lora"] if library == "peft" and method != "bitfit" else []


def _table(split: str, prefix: str, results: Mapping[str, float]) -> list[str]:
    """The scores of one split under a heading of their own; nothing where there is none."""
    rows = [f"| {_shown(name)} | {value:.4f} |" for name, value in results.items() if name.startswith(prefix)]
    heading = [f"## Scores on the {split} split", "", "| score | value |", "|---|---|"]
    return [*heading, *rows, ""] if rows else []


def write_model_card(folder: Path, card: str) -> None:
    """Write README.md into the run folder."""
    write_text_atomically(folder / MODEL_CARD, card)


def regularizers_in_words(values: Mapping[str, Any]) -> str:
    """The three weights with the paper's names, and the weight penalty where there is one."""
    weights = [values["consistency_weight"], values["diversity_weight"], values["spectral_weight"]]
    penalty = values.get("weight_penalty", 0.0)
    names = ("consistency", "diversity", "spectral")
    words = [f"{name} {weight:g}" for name, weight in zip(names, weights, strict=True)] if any(weights) else []
    return ", ".join([*words, *([f"weight penalty {penalty:g}"] if penalty else [])]) or "none"


def _loading_code(base: str, loader: str, labels: str, quantized: QuantizedBase | None, *, library: str) -> list[str]:
    if library == "transformers":
        return [f"from transformers import {loader}", f'model = {loader}.from_pretrained("path/to/this/folder")']
    own = library == "balora"
    load = "load_bottlenecks(base" if own else "PeftModel.from_pretrained(base"
    return [
        f"from transformers import {loader}",
        "from balora import load_bottlenecks" if own else "from peft import PeftModel",
        *([quantized.imports] if quantized and quantized.imports else []),
        "",
        f"base = {loader}.from_pretrained({code_literal(base)}{labels}{quantized.arguments if quantized else ''})",
        f'model = {load}, "path/to/this/folder")',
    ]
