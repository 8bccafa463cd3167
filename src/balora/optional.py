"""Packages that balora can use but does not need: whether they are there, and importing them without their chatter."""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

_TALKATIVE = ("bitsandbytes", "torchao", "torch.utils._pytree")
"""Loggers that tell, at import, which of a package's own optional parts are missing."""


def is_installed(package: str) -> bool:
    """Whether a package can be imported; it is not.

    >>> is_installed("no_such_package")
    False
    """
    return find_spec(package) is not None


def import_quietly(package: str) -> ModuleType:
    """Import a package that is installed, without its remarks on which of its own optional parts are not."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    hush_optional_packages()
    try:
        return import_module(package)
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def hush_optional_packages() -> None:
    """Show errors only from packages that talk when they are imported, be it by transformers or PEFT.

    For applications; a library leaves logging as it is.
    """
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
