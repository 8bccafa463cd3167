"""What `import balora` offers: every name of the public interface, and no heavy import before one is used."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import balora


@pytest.mark.parametrize("name", balora.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(balora, name) is not None


def test_train_is_the_function_whatever_was_imported_before() -> None:
    """No room may share a name with a public function: importing the room would replace the function."""
    code = "import balora.training, balora.evaluation, balora.run; from balora import train; print(callable(train))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "True"
    rooms = {path.name for path in Path(balora.__file__).parent.iterdir() if path.is_dir()}
    assert not rooms & set(balora.__all__)


def test_importing_balora_imports_no_torch() -> None:
    code = "import sys, balora; print([m for m in ('torch', 'transformers', 'peft') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = balora.nonsense


def test_the_version_is_the_package_s() -> None:
    project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())
    assert balora.__version__ == project["project"]["version"]
