"""What a sandboxed program sees of this machine: the system's libraries, Python, and nothing of anyone's."""

from __future__ import annotations

import os
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_FILES = ("/etc/ld.so.cache",)


@dataclass(frozen=True, slots=True)
class View:
    """Read-only folders and files under their own names, and links."""

    folders: dict[str, str] = field(default_factory=dict)
    """Path inside -> path on this machine."""
    links: dict[str, str] = field(default_factory=dict)
    """Path inside -> what the link says."""


def python_executable() -> str:
    """The interpreter behind any virtual environment, which needs no file of that environment."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def library_folders(*, site_packages: bool) -> list[str]:
    """Where a program may import from: the standard library, and what is installed beside balora if wanted."""
    version = f"{sys.version_info.major}{sys.version_info.minor}"
    standard = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    base = [str(Path(sys.base_prefix, sys.platlibdir, f"python{version}.zip")), *dict.fromkeys(standard)]
    base.append(sysconfig.get_config_var("DESTSHARED") or str(Path(standard[0], "lib-dynload")))
    if site_packages:
        base += [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return list(dict.fromkeys(base))


def program_view(*, site_packages: bool) -> View:
    """The folders that Python needs, without homes, settings, logs or the folder of this project."""
    wanted = [Path(path) for path in (*_SYSTEM, *_FILES)]
    # Not the whole prefix: with ~/.local as prefix it holds more than Python.
    wanted += [Path(sys.base_prefix, name) for name in ("lib", "lib64")]
    wanted.append(Path(python_executable()))
    wanted += [Path(path) for path in library_folders(site_packages=site_packages)]
    if Path("/nix/store") in Path(python_executable()).parents:
        wanted.append(Path("/nix/store"))
    links = {str(path): str(path.readlink()) for path in wanted if path.parent == Path("/") and path.is_symlink()}
    folders = sorted({path for path in wanted if str(path) not in links and path.exists()})
    outermost = [path for path in folders if not any(other in path.parents for other in folders)]
    return View({str(path): str(path) for path in outermost}, links)
