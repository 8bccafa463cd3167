"""The few Linux calls that Python 3.11 has no name for, through ctypes."""

from __future__ import annotations

import ctypes
import os
import platform

MACHINE = platform.machine()

_NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {"pivot_root": 155, "capset": 126},
    "aarch64": {"pivot_root": 41, "capset": 91},
}
_SAME_EVERYWHERE = {
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38

_library = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> int:
    """The result of a C call.

    Raises:
        OSError: with the call's error number, when it is negative.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(name: str, *arguments: object) -> int:
    """A system call by name.

    Raises:
        OSError: when it fails, or its number on this processor is not known.
    """
    number = _SAME_EVERYWHERE.get(name, _NUMBERS.get(MACHINE, {}).get(name))
    if number is None:
        raise OSError(38, f"{name}: unknown on {MACHINE}")
    wide = [ctypes.c_long(part) if isinstance(part, int) else part for part in arguments]
    return check(_library.syscall(ctypes.c_long(number), *wide), name)


def prctl(option: int, *arguments: object) -> int:
    """Change something about the calling process (see the manual page of prctl).

    Raises:
        OSError: when it fails.
    """
    wide = [ctypes.c_ulong(part) if isinstance(part, int) else part for part in arguments]
    wide += [ctypes.c_ulong(0)] * (4 - len(wide))
    return check(_library.prctl(ctypes.c_int(option), *wide), f"prctl {option}")


def unshare(flags: int) -> None:
    """Leave namespaces for new ones.

    Raises:
        OSError: when it fails.
    """
    check(_library.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Attach a file system or a folder.

    Raises:
        OSError: when it fails.
    """
    texts = [part.encode() for part in (source, target, kind, options)]
    result = _library.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3])
    check(result, f"mount {kind or source} on {target}")


def detach(target: str) -> None:
    """Unmount lazily.

    Raises:
        OSError: when it fails.
    """
    check(_library.umount2(target.encode(), 2), f"unmount {target}")


def set_mount_attributes(path: str, attributes: int, *, recursive: bool) -> None:
    """Set attributes on the mount at a path, and on those below it.

    Raises:
        OSError: when it fails; the call exists since Linux 5.12.
    """
    body = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    syscall("mount_setattr", -100, path.encode(), 0x8000 if recursive else 0, ctypes.byref(body), ctypes.sizeof(body))


def drop_capability_bounds() -> None:
    """Let no program that is started from here gain a capability; needs one itself, so it comes first."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            return


def drop_capabilities() -> None:
    """Give up every capability, for this process and all that it starts.

    Raises:
        OSError: when the kernel refuses.
    """
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    syscall("capset", ctypes.byref(head), ctypes.byref((ctypes.c_uint32 * 6)()))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
