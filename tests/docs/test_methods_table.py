"""docs/methods.md says what the registry says."""

from __future__ import annotations

import re

from balora.adapters import METHODS, AdapterConfig
from balora.adapters.method_settings import MethodSettings
from tests.docs.methods_table import PAGE, page_with_table


def test_the_table_is_the_registry() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with_table(page), "run python -m tests.docs.methods_table"


def test_every_method_is_in_the_help_of_its_key() -> None:
    help_text = AdapterConfig.model_fields["method"].description or ""
    assert all(re.search(rf"(?<![\w+]){re.escape(name)}(?![\w+])", help_text) for name in METHODS)


def test_settings_of_single_methods_name_them() -> None:
    for name, field in MethodSettings.model_fields.items():
        first = (field.description or "").partition(":")[0]
        assert {word.strip() for word in first.split(",")} <= set(METHODS), name
