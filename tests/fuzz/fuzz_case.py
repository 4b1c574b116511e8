"""A case of the fuzz run, and what every case finds in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MODEL, OTHER_MODEL, DATA = "gru.keras", "other.keras", "values.npz"
OURS = {MODEL, OTHER_MODEL, "ours.md", "ours.json"}
"""What every case finds that rnnprobe wrote; all else is somebody else's."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="rnnprobe 0.1.0">
</head>
<body></body>
</html>
<!-- Written by rnnprobe -->
"""
THEIRS: Mapping[str, bytes] = {
    "theirs.md": b"**Tune** x\n\n_Made by rnnprobe 0.1.0_\n\nMonths of work.\n",
    "theirs.csv": b"example,true,predicted,confidence,reviewer\n1,a,b,0.9,me\n",
    "theirs.html": _PAGE.encode() + b"<p>Months of work.</p>\n",
}
"""Somebody else's files that begin like ours."""

LINKS = {"link.md": "theirs.md", "dangling.md": "nowhere.md", "loop.md": "loop.md"}
"""Symbolic links that every case finds."""

OUTPUTS = ("-o", "--output", "--html", "--export", "--model-out")
FOLDERS = ("--plots", "--run-dir")


@dataclass(frozen=True)
class Case:
    """One call of the command line.

    Args:
        arguments: After `rnnprobe`.
        files: Content by name, written into the folder of the case before; None is a folder.
        links: Symbolic links, target by name.
        environment: Variables that are set meanwhile.
        outputs: What may be written beside what the arguments name.
        force: Whether `--force` is said elsewhere than in the arguments.
    """

    arguments: tuple[str, ...]
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    force: bool = False
