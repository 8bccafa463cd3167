"""A seccomp filter that allows the system calls of Python programs, and nothing else."""

from __future__ import annotations

import ctypes
import struct

from balora.evaluation.sandbox.inside.calls import ALLOWED, CHECKED, NEWEST_IN_BOTH_TABLES
from balora.evaluation.sandbox.inside.kernel import MACHINE, PR_SET_SECCOMP, prctl

_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NOT_PERMITTED, _NO_SUCH_CALL, _NO_TERMINAL = 1, 38, 25
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32_BIT = 0x40000000
_NEW_NAMESPACES = 0x7E020000 | 0x80
"""The CLONE_NEW* flags."""
_UNIX_SOCKETS = 1
_LARGER_BUFFERS = (7, 8, 32, 33)
"""setsockopt: what a socket may hold. It is the kernel's memory, which counts as no process's: as it is by default, all
sockets of all processes hold less than a program may have."""
_OWN_NAME_AND_END = (1, 3, 15, 16, 0x53564D41)
"""prctl: the signal at the parent's end, whether memory can be dumped, the thread's name, names of memory."""
_ABOUT_OPEN_FILES = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""ioctl: is it a terminal and how large, bytes to read, blocking, closed in children."""
_DEVICES_AND_SOCKETS = 0x6000
"""mknod: the bits that block devices, character devices and sockets have, and pipes and files do not."""


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _one_of(number: int, argument: int, values: tuple[int, ...], otherwise: int) -> list[bytes]:
    """Allow a call whose argument is one of the values. The kernel reads these arguments as 32 bits, as we do."""
    body = [_step(_LOAD, _ARGUMENTS_AT + 8 * argument)]
    for value in values:
        body += [_step(_EQUAL, value, 0, 1), _step(_RETURN, _ALLOW)]
    body.append(_step(_RETURN, _ERROR | otherwise))
    return [_step(_EQUAL, number, 0, len(body)), *body]


def _none_of(number: int, argument: int, values: tuple[int, ...]) -> list[bytes]:
    """Allow a call whose argument is none of the values."""
    body = [_step(_LOAD, _ARGUMENTS_AT + 8 * argument)]
    for value in values:
        body += [_step(_EQUAL, value, 0, 1), _step(_RETURN, _ERROR | _NOT_PERMITTED)]
    body.append(_step(_RETURN, _ALLOW))
    return [_step(_EQUAL, number, 0, len(body)), *body]


def _without_bits(number: int, argument: int, bits: int) -> list[bytes]:
    """Allow a call whose argument has none of the bits."""
    body = [_step(_LOAD, _ARGUMENTS_AT + 8 * argument), _step(_ANY_BIT, bits, 0, 1)]
    body += [_step(_RETURN, _ERROR | _NOT_PERMITTED), _step(_RETURN, _ALLOW)]
    return [_step(_EQUAL, number, 0, len(body)), *body]


def _program(machine: str) -> list[bytes]:
    """The filter as BPF instructions: architecture, then each call that is allowed, then no."""
    column = 0 if machine == "x86_64" else 1
    steps = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_EQUAL, _ARCHITECTURE[machine], 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
    ]
    if machine == "x86_64":
        steps += [_step(_AT_LEAST, _X32_BIT, 0, 1), _step(_RETURN, _KILL)]
    for numbers in ALLOWED.values():
        number = numbers[column]
        if number is not None:
            steps += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _ALLOW)]
    for name, numbers in CHECKED.items():
        number = numbers[column]
        if number is not None:
            steps += _checked(name, number)
    # For a newer call the C library has an older one, which it takes when the newer one seems not to exist.
    steps += [_step(_AT_LEAST, NEWEST_IN_BOTH_TABLES, 0, 1), _step(_RETURN, _ERROR | _NO_SUCH_CALL)]
    return [*steps, _step(_RETURN, _ERROR | _NOT_PERMITTED)]


def _checked(name: str, number: int) -> list[bytes]:
    if name == "clone":
        return _without_bits(number, 0, _NEW_NAMESPACES)
    if name in ("socket", "socketpair"):
        return _one_of(number, 0, (_UNIX_SOCKETS,), _NOT_PERMITTED)
    if name == "setsockopt":
        return _none_of(number, 2, _LARGER_BUFFERS)
    if name == "prctl":
        return _one_of(number, 0, _OWN_NAME_AND_END, _NOT_PERMITTED)
    if name == "ioctl":
        return _one_of(number, 1, _ABOUT_OPEN_FILES, _NO_TERMINAL)
    return _without_bits(number, 1 if name == "mknod" else 2, _DEVICES_AND_SOCKETS)


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def filter_system_calls() -> bool:
    """Install the filter for this process and all that it starts; `no_new_privs` must be set.

    Returns:
        False on processors whose system calls are not in the table, and on kernels without seccomp filters.
    """
    if MACHINE not in _ARCHITECTURE:
        return False
    steps = _program(MACHINE)
    try:
        prctl(PR_SET_SECCOMP, 2, ctypes.byref(_Filter(len(steps), b"".join(steps))))
    except OSError:
        return False
    return True
