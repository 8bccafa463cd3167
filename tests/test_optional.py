"""Optional packages are found without importing them, and imported without their chatter."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from balora.optional import hush_optional_packages, import_quietly, is_installed


def test_installed_or_not() -> None:
    assert is_installed("torch")
    assert not is_installed("no_such_package_anywhere")


def test_an_import_is_quiet_and_leaves_logging_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    text = "import logging\nlogging.getLogger('bitsandbytes.part').warning('kernels are missing')\nvalue = 3\n"
    (tmp_path / "talkative_package.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = logging.getLogger("bitsandbytes").level
    assert import_quietly("talkative_package").value == 3
    assert "kernels" not in caplog.text
    assert logging.getLogger("bitsandbytes").level == before
    del sys.modules["talkative_package"]


def test_an_application_hears_errors_only(caplog: pytest.LogCaptureFixture) -> None:
    loggers = [logging.getLogger(name) for name in ("bitsandbytes", "torchao", "torch.utils._pytree")]
    levels = [logger.level for logger in loggers]
    try:
        hush_optional_packages()
        logging.getLogger("torchao.kernel").warning("no triton")
        logging.getLogger("torchao.kernel").error("broken")
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    assert "broken" in caplog.text
    assert "triton" not in caplog.text
