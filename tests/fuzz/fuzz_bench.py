"""Runs one case of a fuzz run in this process, and says what it did that no command may do.

A finding is a sentence. A case goes on after a finding, so that one run finds all there are; what
is needed to repeat each is kept in the folder `RNNPROBE_FUZZ_KEEP`, where that is given.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz_calls import call, forget
from fuzz_case import LINKS, Case
from fuzz_judges import judge, judge_files


@dataclass
class Tally:
    """What became of the cases of a family."""

    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: float = 0.0
    findings: dict[str, list[str]] = field(default_factory=dict)


class Bench:
    """Runs cases, each in a fresh folder that holds what `common` holds.

    Args:
        folder: Where the folders of the cases are made.
        common: Files that every case finds, by name; they are copied.
    """

    def __init__(self, folder: Path, common: Mapping[str, bytes | None]) -> None:
        self._folder, self._common = folder, common
        self._number = 0
        self.tallies: dict[str, Tally] = {}
        keep = os.environ.get("RNNPROBE_FUZZ_KEEP")
        self._keep = Path(keep).resolve() if keep else None

    def run(self, family: str, case: Case) -> int | None:
        """Run a case and note what is wrong with it; returns its status."""
        self._number += 1
        folder = self._folder / f"case-{self._number}"
        folder.mkdir()
        _lay_out(folder, {**self._common, **case.files}, {**LINKS, **case.links})
        before = snapshot(folder)
        tally = self.tallies.setdefault(family, Tally())
        started = time.process_time()
        status, out, err = call(case, folder)
        seconds = time.process_time() - started
        tally.seconds += seconds
        tally.slowest = max(tally.slowest, seconds)
        tally.statuses[_outcome(status, err)] += 1
        reason = next((line for line in err.splitlines() if line.startswith("Error:")), "")
        tally.reasons[_signature(reason)[:90]] += bool(reason)
        found = judge(case, status, out, err)
        found += judge_files(case, folder, before, snapshot(folder), status)
        for finding in found:
            kept = self._kept(family, case, folder, finding, err)
            tally.findings.setdefault(_signature(finding), []).append(f"{finding}\n    {kept}")
        shutil.rmtree(folder, ignore_errors=True)
        forget()
        return status

    def settle(self, family: str) -> None:
        """Print what became of the family's cases, and fail where something was found."""
        tally = self.tallies.get(family, Tally())
        total = tally.statuses.total()
        shares = ", ".join(
            f"{outcome} {count} ({count / max(total, 1):.0%})"
            for outcome, count in sorted(tally.statuses.items())
        )
        print(  # noqa: T201  # what the long run is made for
            f"\n{family}: {total} cases: {shares}; {tally.seconds:.0f} s of processor time, "
            f"the slowest {tally.slowest:.1f} s; {len(+tally.reasons)} different errors"
        )
        for reason, count in (+tally.reasons).most_common(8):
            print(f"    {count} times {reason}")  # noqa: T201
        if tally.findings:
            listed = "\n".join(
                f"{len(cases)} times: {cases[0]}" for cases in tally.findings.values()
            )
            raise AssertionError(f"{family}: {len(tally.findings)} findings\n{listed}")

    def _kept(self, family: str, case: Case, folder: Path, finding: str, err: str) -> str:
        line = "rnnprobe " + " ".join(map(shlex.quote, case.arguments))
        if case.environment:
            line = f"{dict(case.environment)} {line}"
        if self._keep is None:
            return line
        signature = re.sub(r"\W+", "-", _signature(finding))[:60]
        target = self._keep / f"{family}-{signature}"
        if not target.exists():
            _lay_out(target, {**self._common, **case.files}, case.links, parents=True)
            text = f"{line}\n\n{finding}\n\n{err}\n"
            (target / "FINDING.txt").write_text(text, "utf-8", "backslashreplace")
        return f"{line}  [{target}]"


def snapshot(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Return kind and content of everything below a folder, by its path."""
    found: dict[str, tuple[str, bytes]] = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            relative = str(path.relative_to(folder))
            if path.is_symlink():
                found[relative] = ("link", os.readlink(path).encode("utf-8", "surrogateescape"))
            elif path.is_dir():
                found[relative] = ("folder", b"")
            else:
                found[relative] = ("file", path.read_bytes())
    return found


def _lay_out(
    folder: Path,
    files: Mapping[str, bytes | None],
    links: Mapping[str, str],
    *,
    parents: bool = False,
) -> None:
    if parents:
        folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(content)
    for name, target in links.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)


def _outcome(status: Any, err: str) -> str:
    if status == 2 and re.search(r" See 'rnnprobe.*--help'\.$", err.rstrip()):
        return "2 at the options"
    return str(status) if isinstance(status, int) else type(status).__name__


def _signature(finding: str) -> str:
    """Return a finding without what differs from case to case."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", finding)
    return re.sub(r"[-+]?\d[\d.e+,]*", "N", text)[:110]
