"""docs/models.md says what the tests prove."""

from __future__ import annotations

import peft
import pytest
from scripts import model_matrix

from tests.support import tiny
from tests.support.families import CELLS


def test_the_page_holds_the_tables_as_they_are() -> None:
    page = model_matrix.PAGE.read_text(encoding="utf-8")
    assert page == model_matrix.with_tables(page), "run python -m scripts.model_matrix"


def test_every_family_of_the_matrix_has_a_name() -> None:
    assert set(model_matrix.NAMES) == {cell.family for cell in CELLS}


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:The following rank_pattern:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:The following alpha_pattern:RuntimeWarning")
@pytest.mark.parametrize("family", ["mixtral", "deepseek_v2"])
def test_peft_s_all_linear_is_what_the_page_says(family: str) -> None:
    """It adapts routers, and leaves out dense and shared layers."""
    model = peft.get_peft_model(tiny.build(family), peft.LoraConfig(r=2, target_modules="all-linear"))
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert [name for name in trained if "mlp.gate.lora_A" in name]
    assert not [name for name in trained if "shared_experts" in name or "layers.0.mlp.gate_proj" in name]
