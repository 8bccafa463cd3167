"""Write the tables of docs/models.md: python -m scripts.model_matrix.

They are made from the tiny models of the test matrix (tests/support/families.py) and from the table of impossible pairs
(balora.adapters.limits), so that the page says what the tests prove. A test fails where the page is out of date.
"""

from __future__ import annotations

from pathlib import Path

from balora.adapters import METHODS, resolve_targets
from balora.adapters.limits import LIMITS, limit_of
from balora.adapters.targets import peft_targets
from balora.teacher.self_check import allowed_gap
from balora.training.padding_free import packing_gap
from tests.support.families import CELLS, DECODERS, USUAL, Cell

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
BEGIN, END = "<!-- begin: {} -->", "<!-- end: {} -->"

NAMES = {
    "llama": "Llama 2 and 3, Yi",
    "mistral": "Mistral",
    "gemma": "Gemma",
    "gemma2": "Gemma 2",
    "qwen2": "Qwen 2 and 2.5",
    "mixtral": "Mixtral",
    "deepseek_v2": "DeepSeek-V2",
    "deepseek_v3": "DeepSeek-V3",
    "gpt2": "GPT-2",
    "bert": "BERT",
    "roberta": "RoBERTa",
    "deberta": "DeBERTa",
    "deberta-v2": "DeBERTa-v2 and v3",
    "modernbert": "ModernBERT",
    "t5": "T5",
}
"""model_type -> how people call the family."""


def families_table() -> str:
    """One row per family: what is tested, and what `all-linear` means there."""
    lines = ["| family | `model_type` | tasks tested | `all-linear` adapts | padding-free |", "|---|---|---|---|---|"]
    for family, name in NAMES.items():
        cells = [cell for cell in CELLS if cell.family == family]
        tasks = ", ".join(cell.task for cell in cells)
        lines.append(f"| {name} | `{family}` | {tasks} | {_all_linear(cells[0])} | {_padding_free(cells[0])} |")
    return "\n".join(lines)


def _all_linear(cell: Cell) -> str:
    model = cell.build()
    targets = peft_targets(model, resolve_targets(model, "all-linear"))
    names = {name.removesuffix(".weight") for name in (*targets.modules, *targets.parameters)}
    return ", ".join(f"`{name}`" for name in sorted(names))


def _padding_free(cell: Cell) -> str:
    if cell.family not in DECODERS:
        return "no: not a decoder"
    model = cell.build()
    return "yes" if packing_gap(model) <= allowed_gap(model.dtype) else "no"


def matrix() -> str:
    """One row per method, one column per family: yes, or the number of the reason."""
    reasons = {limit: number for number, limit in enumerate(LIMITS, start=1)}
    families = list(dict.fromkeys(cell.family for cell in USUAL))
    models = {family: next(cell for cell in USUAL if cell.family == family).build() for family in families}
    lines = [f"| method | {' | '.join(families)} |", "|---" * (len(families) + 1) + "|"]
    for method in METHODS:
        found = [limit_of(method, models[family]) for family in families]
        cells = ["yes" if limit is None else f"no ({reasons[limit]})" for limit in found]
        lines.append(f"| `{method}` | {' | '.join(cells)} |")
    notes = [f"{number}. `{limit.method}`, {limit.trait}: {limit.because}." for limit, number in reasons.items()]
    return "\n".join([*lines, "", *notes])


def with_tables(page: str) -> str:
    """The page with both tables as they are now."""
    for name, table in (("families", families_table()), ("matrix", matrix())):
        begin, end = BEGIN.format(name), END.format(name)
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n{table}\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
