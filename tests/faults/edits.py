"""Breakages that are a change of one line, for the rows that look at balora from processes of their own."""

from __future__ import annotations

from tests.faults.copies import Edit, ProjectEdit

SECCOMP_LAST = "    return [*steps, _step(_RETURN, _ERROR | _NOT_PERMITTED)]\n\n\ndef _checked"
NO_FOLDER_CHECK = "    problems = [*_config_problems(key, name, revision), *_index_problems(key, name, revision)]\n"
EVALUATED = """    try:
        eval(answer)
    except BaseException:
        pass
    marked = "$" in answer"""

EDITS: dict[str, tuple[tuple[str, ...], Edit | ProjectEdit]] = {
    "seeds are not set": (
        ("R8",),
        Edit("run/reading.py", "transformers.set_seed(arguments.seed)", "__import__('torch').seed()"),
    ),
    "rows are not gathered across processes": (
        ("R9",),
        Edit("training/gathering.py", "_Gathered.apply(rows)  # type: ignore[no-untyped-call]", "rows"),
    ),
    "other processes are not told of a number": (
        ("R7b",),
        Edit("training/callbacks/divergence.py", "if largest_of_all(bool(found), args.device):", "if found:"),
    ),
    "a resumed process begins at the pretrained model": (
        ("R11",),
        Edit(
            "training/checkpointing.py",
            "load_trainable_state(self.model if model is None else model, Path(resume_from_checkpoint))",
            "pass",
        ),
    ),
    "an adapter is saved without its anchor": (
        ("R10",),
        Edit(
            "adapters/anchor.py",
            "plain[down], plain[up] = with_anchor(state_dict[down], state_dict[up], anchor_down, anchor_up)",
            "plain[down] = state_dict[down].repeat(2, 1)",
        ),
    ),
    "a state is saved without its anchor": (
        ("R10",),
        Edit(
            "adapters/state.py",
            "if any(part in name for part in _STARTS)}",
            "if False}",
        ),
    ),
    "bad input ends as our own fault": (("R12",), Edit("errors.py", "    exit_code = 2\n", "    exit_code = 1\n")),
    "a key may be given twice": (("R12", "R18"), Edit("recipe/document.py", "if key in values:", "if False:")),
    "a manifest need not be the one that was written": (
        ("R13",),
        Edit("artefacts/manifest.py", "return manifest if content == _rendered(manifest) else None", "return manifest"),
    ),
    "the system call filter is off": (
        ("R14",),
        Edit(
            "evaluation/sandbox/inside/seccomp.py",
            SECCOMP_LAST,
            SECCOMP_LAST.replace("_ERROR | _NOT_PERMITTED", "_ALLOW"),
        ),
    ),
    "a call that Python needs is forbidden": (
        ("R15",),
        Edit("evaluation/sandbox/inside/calls.py", '"getdents64": (217, 61), ', ""),
    ),
    "answers are evaluated": (
        ("R16",),
        Edit("evaluation/math_worker.py", '    marked = "$" in answer', EVALUATED),
    ),
    "model folders are trusted": (
        ("R17",),
        Edit("models/trust.py", NO_FOLDER_CHECK, "    problems: list[Problem] = []\n    return\n"),
    ),
    "a chat template may write without end": (
        ("R17",),
        Edit(
            "data/chat_rendering.py",
            "LONGEST_FACTOR, LONGEST_EXTRA = 16, 1 << 18",
            "LONGEST_FACTOR, LONGEST_EXTRA = 16, 1 << 40",
        ),
    ),
    "tags of YAML are obeyed": (
        ("R18",),
        Edit(
            "recipe/document.py",
            "        if str(node.tag) not in _SCALAR_TAGS:\n",
            "        if False:\n",
        ),
    ),
    "links are followed": (
        ("R19",),
        Edit("artefacts/confined.py", "    if not folder.is_dir():\n        return\n", "    return\n"),
    ),
    "any name will do": (("R19",), Edit("artefacts/confined.py", "    if what:\n", "    if False:\n")),
    "reports escape nothing": (("R20",), Edit("report/html.py", "autoescape=True", "autoescape=False")),
    "cards escape nothing": (
        ("R20",),
        Edit(
            "artefacts/card.py",
            "    return markdown(text, LONGEST_TEXT)\n",
            "    return text\n",
        ),
    ),
    "secrets are not taken out": (
        ("R21",),
        Edit(
            "redaction.py",
            "    for value, name in known_secrets().items():\n",
            "    return text\n    for value, name in ():\n",
        ),
    ),
    "the judge's client follows redirects": (
        ("R22",),
        Edit("evaluation/judge/client.py", "follow_redirects=False", "follow_redirects=True"),
    ),
    "a study is not held": (
        ("R23",),
        Edit(
            "study/hold.py",
            "        try:\n            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)",
            "        try:\n            pass",
        ),
    ),
    "printing may fail": (
        ("R25",),
        Edit("cli/main.py", 'stream.reconfigure(errors="replace")', "pass"),
    ),
    "torch with a known hole may be installed": (("R26",), ProjectEdit('"torch>=2.10"', '"torch>=2.6"')),
}
"""Name -> the rows that have to notice, and the change."""
