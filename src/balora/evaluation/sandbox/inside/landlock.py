"""Landlock: which files this process and its children may touch, whatever the mounts say."""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

from balora.evaluation.sandbox.inside.kernel import syscall

_EXECUTE, _WRITE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FILES_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Landlock version -> all file rights that it knows; later versions add none."""
_OF_FILES_ALONE = _EXECUTE | _WRITE | _READ_FILE | 1 << 14 | 1 << 15
_DEVICES = 1 << 6 | 1 << 11
"""Making character and block devices."""
_TCP_FROM_VERSION, _BIND_AND_CONNECT = 4, 3
_SCOPES_FROM_VERSION, _SOCKETS_AND_SIGNALS = 6, 3


def landlock_version() -> int:
    """The version that the kernel offers; 0 without Landlock."""
    try:
        return syscall("landlock_create_ruleset", None, 0, 1)
    except OSError:
        return 0


def confine_files(readable: Iterable[str], writable: Iterable[str]) -> bool:
    """Allow reading and running below `readable`, everything but devices below `writable`, and nothing else.

    Newer kernels also forbid TCP, and signals to processes outside. Needs no privilege once `no_new_privs` is set.

    Returns:
        False where the kernel has no Landlock.

    Raises:
        OSError: when it has Landlock and refuses the rules.
    """
    version = landlock_version()
    if version < 1:
        return False
    handled = _FILES_BY_VERSION[min(version, 5)]
    network = _BIND_AND_CONNECT if version >= _TCP_FROM_VERSION else 0
    scopes = _SOCKETS_AND_SIGNALS if version >= _SCOPES_FROM_VERSION else 0
    fields = [handled] + ([network] if version >= _TCP_FROM_VERSION else [])
    fields += [scopes] if version >= _SCOPES_FROM_VERSION else []
    body = (ctypes.c_uint64 * len(fields))(*fields)
    ruleset = syscall("landlock_create_ruleset", ctypes.byref(body), ctypes.sizeof(body), 0)
    try:
        for path in readable:
            _allow(ruleset, path, _EXECUTE | _READ_FILE | _READ_FOLDER)
        for path in writable:
            _allow(ruleset, path, handled & ~_DEVICES)
        syscall("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= _OF_FILES_ALONE
        rule = rights.to_bytes(8, "little") + handle.to_bytes(4, "little")
        syscall("landlock_add_rule", ruleset, 1, ctypes.c_char_p(rule), 0)
    finally:
        os.close(handle)
