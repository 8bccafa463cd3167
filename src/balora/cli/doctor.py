"""`balora doctor`: what to paste into a bug report, and what is wrong with this installation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from balora.cli.arguments import JsonOption
from balora.cli.output import chatter_to_stderr, print_json, print_result, two_columns


def doctor(as_json: JsonOption = False) -> None:
    """Show versions, hardware, folders and flags; tokens are only said to be set or not."""
    from balora.cli.environment import environment

    with chatter_to_stderr():
        facts = environment()
    if as_json:
        print_json(facts)
    else:
        print_result(two_columns(_lines(facts)))


def _lines(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((name, str(facts[name])) for name in ("balora", "python", "platform"))
    yield from ((name, version or "missing") for name, version in facts["packages"].items())
    for extra, packages in facts["extras"].items():
        yield f"[{extra}]", ", ".join(f"{name} {version or '-'}" for name, version in packages.items())
    yield "cpu", f"{facts['cpu']['cores']} cores, {facts['cpu']['memory_gib']} GiB memory"
    for device in facts["devices"]:
        yield "gpu", f"{device['name']}, {device['memory_gib']} GiB{', bf16' if device['bf16'] else ''}"
    if not facts["devices"]:
        yield "gpu", "none"
    for name, folder in facts["folders"].items():
        lock = "" if folder["writable"] else ", not writable"
        yield name, f"{folder['path']} ({folder['free_gib']} GiB free{lock})"
    offline = [name for name, is_set in facts["offline"].items() if is_set]
    yield "offline", ", ".join(offline) or "no"
    yield from ((name, "set" if is_set else "not set") for name, is_set in facts["secrets_set"].items())
    yield from (("problem", problem) for problem in facts["problems"])
