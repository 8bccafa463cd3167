"""Studies: many runs from one file, carried out once each, and the table of what they found.

Names are loaded on first use, so that listing the shipped studies does not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from balora.study.catalogue import STUDIES
    from balora.study.document import Study, load_study, parse_study
    from balora.study.launch import run_study
    from balora.study.results import Metric, Run, StudyResults
    from balora.study.standing import StudyStatus, status
    from balora.study.storing import load_results

_MODULES = {
    "Metric": "results",
    "Run": "results",
    "STUDIES": "catalogue",
    "Study": "document",
    "StudyResults": "results",
    "StudyStatus": "standing",
    "load_results": "storing",
    "load_study": "document",
    "parse_study": "document",
    "run_study": "launch",
    "status": "standing",
}

__all__ = [
    "STUDIES",
    "Metric",
    "Run",
    "Study",
    "StudyResults",
    "StudyStatus",
    "load_results",
    "load_study",
    "parse_study",
    "run_study",
    "status",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module.

    Raises:
        AttributeError: for any other name.
    """
    if name not in _MODULES:
        raise AttributeError(f"module 'balora.study' has no attribute '{name}'")
    return getattr(importlib.import_module(f"balora.study.{_MODULES[name]}"), name)
