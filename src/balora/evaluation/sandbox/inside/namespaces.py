"""A room of its own without any external program: new namespaces, a read-only root made of a few folders, no rights."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

from balora.evaluation.sandbox.inside import kernel

_NEW_MOUNTS, _NEW_NAMES, _NEW_IPC, _NEW_USERS = 0x00020000, 0x04000000, 0x08000000, 0x10000000
_NEW_PROCESSES, _NEW_NETWORK = 0x20000000, 0x40000000
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_EXECUTION = 1, 2, 4, 8
_BIND, _RECURSIVE, _PRIVATE = 4096, 16384, 1 << 18
_DEVICES = ("null", "zero", "full", "random", "urandom")
_NOBODY = 65534
_SERVICE_USERS = range(61184, 65520)
"""User numbers that systemd sets aside for services without an account."""


def service_user() -> int:
    """A user number of nobody's."""
    return random.SystemRandom().choice(_SERVICE_USERS)


def leave_host_namespaces() -> int:
    """Move into new namespaces; the next child is the first process of the new process namespace.

    Root takes the user number of nobody else, so that file permissions and process limits hold; others keep theirs.

    Returns:
        The user number to become once the mounts are made; -1 to stay.

    Raises:
        OSError: when the kernel, or the container around us, does not allow it.
    """
    flags = _NEW_MOUNTS | _NEW_NAMES | _NEW_IPC | _NEW_PROCESSES | _NEW_NETWORK
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        kernel.unshare(flags)
        return service_user()
    kernel.unshare(flags | _NEW_USERS)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_NOBODY} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{_NOBODY} {group} 1")
    return -1


def build_root(place: str, view: dict[str, Any], scratch_mib: int) -> None:
    """Make a new root on `place` with the view's folders, devices, `/proc` and a small `/tmp`, and move into it.

    Raises:
        OSError: when a mount fails.
    """
    handles = {target: os.open(source, os.O_PATH) for target, source in dict(view["folders"]).items()}
    handles |= {f"/dev/{name}": os.open(f"/dev/{name}", os.O_PATH) for name in _DEVICES}
    kernel.mount("none", "/", "", _RECURSIVE | _PRIVATE)
    kernel.mount("sandbox", place, "tmpfs", _NO_SUID | _NO_DEVICES, "mode=755,size=1m")
    Path(place, "proc").mkdir()
    Path(place, "tmp").mkdir()
    kernel.mount("proc", f"{place}/proc", "proc", _NO_SUID | _NO_DEVICES | _NO_EXECUTION)
    options = f"mode=1777,size={scratch_mib}m,nr_inodes=4096"
    kernel.mount("scratch", f"{place}/tmp", "tmpfs", _NO_SUID | _NO_DEVICES | _NO_EXECUTION, options)
    # After the scratch folder, since Python or its packages may live below /tmp.
    for target, handle in handles.items():
        _bind(handle, Path(place + target), read_only=not target.startswith("/dev/"))
    for target, text in dict(view["links"]).items():
        Path(place + target).symlink_to(text)
    Path(place, "dev", "shm").symlink_to("/tmp")
    os.chdir(place)
    kernel.syscall("pivot_root", b".", b".")
    kernel.detach(".")
    os.chdir("/tmp")
    kernel.set_mount_attributes("/", _READ_ONLY, recursive=False)


def _bind(handle: int, target: Path, *, read_only: bool) -> None:
    """Show an open file or folder at `target`. Binding by handle reaches what a mount on the way would hide."""
    source = f"/proc/self/fd/{handle}"
    target.parent.mkdir(parents=True, exist_ok=True)
    if Path(source).is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    kernel.mount(source, str(target), "", _BIND | _RECURSIVE)
    os.close(handle)
    if read_only:
        kernel.set_mount_attributes(str(target), _READ_ONLY | _NO_SUID | _NO_DEVICES, recursive=True)


def give_up_privileges(user: int) -> None:
    """Become `user`, unless it is -1, and drop every capability for good.

    Raises:
        OSError: when the kernel refuses.
    """
    kernel.drop_capability_bounds()
    if user >= 0:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    kernel.drop_capabilities()
