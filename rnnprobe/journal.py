"""Run folders: what was to be done, and one fsynced line for each result. They are the truth."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from rnnprobe._fields import (
    INTEGER,
    LISTED,
    NOTHING,
    NUMBER,
    SOURCE,
    TABLE,
    TEXT,
    TRAIN,
    Fields,
    below,
    misfit,
)
from rnnprobe._files import write_text
from rnnprobe.errors import OutputError
from rnnprobe.specs import Run

EXPERIMENT, RESULTS = "experiment.json", "results.jsonl"
_SCHEMA = "rnnprobe.run/1"
_FIXED = ("command", "fixed")
_FIELDS: Fields = {
    "command": TEXT,
    "fixed": TABLE,
    "fixed.experiment?": TEXT,
    "fixed.axes?": TABLE,
    "fixed.axes.*": LISTED,
    "fixed.axes.*.*": (str, int, float, bool, NOTHING),
    "fixed.settings": TABLE,
    **{f"fixed.settings.{name}?": INTEGER for name in ("epochs", "trials", "checkpoints")},
    **{f"fixed.settings.{name}?": (int, NOTHING) for name in ("steps", "early_stopping")},
    "fixed.settings.tuner?": TEXT,
    "fixed.seed": INTEGER,
    "fixed.data": TABLE,
    "fixed.data.digest": TEXT,
    "wanted": TABLE,
    "wanted.repeats?": INTEGER,
    "wanted.confirm?": INTEGER,
    "wanted.limit?": (str, NOTHING),
    "outputs?": TABLE,
    "outputs.save_models?": (bool,),
    "outputs.model_out?": TEXT,
    "source": TABLE,
    **below("source", SOURCE),
}
_RESULT_FIELDS: Fields = {
    "key": TEXT,
    "hits": TEXT,
    "run": TABLE,
    "run.dataset_digest": TEXT,
    "run.status": TEXT,
    "run.message": TEXT,
    "run.seconds": NUMBER,
    "run.peak_memory": (int, float, NOTHING),
    "run.parameters": INTEGER,
    "run.versions": TABLE,
    "run.metrics": TABLE,
    "run.metrics.*": NUMBER,
    "run.history": TABLE,
    "run.history.*": LISTED,
    "run.history.*.*": NUMBER,
    "run.model": TABLE,
    "run.model.cell": TEXT,
    "run.train": TABLE,
    **below("run.train", TRAIN),
    "trial?": TABLE,
    "trial.number": INTEGER,
    "trial.configuration": TABLE,
    "trial.chosen": TEXT,
    "trial.promoted_after": LISTED,
    "trial.promoted_after.*": INTEGER,
}
_MEASURED = {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"}
_MEASURED_AT_THE_END = {"test_loss", "test_accuracy", "test_correct"}  # not of a stage of a trial


def read_experiment(folder: Path) -> dict[str, Any] | None:
    """Return what a run folder is for, or None where nothing was begun in it.

    Raises:
        OutputError: The folder belongs to something else, or its description cannot be read.
    """
    path = folder / EXPERIMENT
    if not path.exists():
        if folder.is_dir() and not all(map(_begun, folder.iterdir())):
            raise OutputError(
                f"'{folder}' is no run folder of rnnprobe and is not empty; give another --run-dir."
            )
        return None
    try:
        experiment = json.loads(path.read_text("utf-8"))
        if not isinstance(experiment, dict) or experiment.pop("schema", None) != _SCHEMA:
            raise ValueError("another schema")
        wrong = misfit(experiment, _FIELDS)
        if wrong is not None:
            raise ValueError(wrong)
    except (OSError, ValueError, RecursionError) as exc:
        raise OutputError(f"Cannot read '{path}': {exc}; give another --run-dir.") from exc
    return experiment


def _begun(path: Path) -> bool:
    """Whether this is what is left where a process died while it made the folder."""
    empty = path.name == RESULTS and path.stat().st_size == 0
    return empty or path.name.startswith(".rnnprobe-")


def read_results(folder: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the entries of a run folder in their order, and how many lines were unreadable.

    A line that was cut off, by a crash or a full disk, counts as not written, and so does one that
    is no result.
    """
    entries, unreadable = [], 0
    with contextlib.suppress(FileNotFoundError):
        for line in (folder / RESULTS).read_bytes().splitlines():
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                entry = None
            if _is_result(entry):
                entries.append(entry)
            else:
                unreadable += 1
    return entries, unreadable


def _is_result(entry: Any) -> bool:
    """Whether a line holds what `Journal.append` was given, with a run that can be made of it."""
    if not isinstance(entry, dict) or misfit(entry, _RESULT_FIELDS):
        return False
    try:
        run = Run.from_dict(entry["run"])
        bytes.fromhex(entry["hits"])
    except (TypeError, ValueError, KeyError):
        return False
    if len({len(values) for values in run.history.values()}) > 1:
        return False
    measured = _MEASURED if "trial" in entry else _MEASURED | _MEASURED_AT_THE_END
    return run.status == "dnf" or (run.status == "ok" and set(run.metrics) >= measured)


class Journal:
    """A run folder that is open for writing; one process at a time.

    Args:
        folder: Made where it does not exist.
        experiment: What the results belong to, plain values; `fixed` and `command` must be the
            same when it is resumed, the rest may change.
        resume: Go on with what is there.

    Attributes:
        entries: The results that were there, in their order; of one key the last one counts.
        unreadable: How many lines were no results.

    Raises:
        OutputError: The folder holds results and `resume` is False, or results of another
            experiment; it cannot be written, or another process writes to it.
    """

    def __init__(self, folder: Path, experiment: Mapping[str, Any], *, resume: bool) -> None:
        self.folder = folder
        there = read_experiment(folder)
        if there is not None and not resume:
            raise OutputError(
                f"'{folder}' holds a run already; give --resume to go on with it, or another "
                "--run-dir."
            )
        if there is not None:
            _refuse_other(folder, there, json.loads(json.dumps(experiment)))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
            self._file = os.open(folder / RESULTS, flags, 0o666)
        except OSError as exc:
            raise OutputError(f"Cannot write to '{folder}': {exc.strerror or exc}.") from exc
        self._lock()
        if there != experiment:
            text = json.dumps({"schema": _SCHEMA, **experiment}, indent=2)
            write_text(folder / EXPERIMENT, text + "\n")
        self._cut_torn_line()
        self.entries, self.unreadable = read_results(folder)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write one result, a line of JSON with a `key`, so that it survives any crash after.

        Raises:
            OutputError: It cannot be written; what was written before is whole.
        """
        line = json.dumps(entry).encode() + b"\n"
        size = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, line)
            if written < len(line):
                raise OSError(f"only {written} of {len(line)} bytes were written")
            os.fsync(self._file)
        except OSError as exc:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, size)
            raise OutputError(
                f"Cannot write to '{self.folder / RESULTS}': {exc.strerror or exc}; what it holds "
                "is whole, and --resume goes on from there."
            ) from exc

    def close(self) -> None:
        """Let others write to the folder."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lock(self) -> None:
        """Refuse a second process; where there are no locks (Windows, some networks) trust."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            os.close(self._file)
            raise OutputError(
                f"Another process is writing to '{self.folder}'; wait for it, or give another "
                "--run-dir."
            ) from exc
        except OSError as exc:
            if exc.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise

    def _cut_torn_line(self) -> None:
        content = (self.folder / RESULTS).read_bytes()
        os.ftruncate(self._file, content.rfind(b"\n") + 1)


def _refuse_other(folder: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Name the first thing in which two experiments differ."""
    fixed, fixed_there = ({name: run[name] for name in _FIXED} for run in (here, there))
    for path, ours, theirs in _differences(fixed, fixed_there):
        name = f"--{path[-1].replace('_', '-')}"
        if path in (("command",), ("fixed", "experiment")):
            name = f"its {path[-1]}"
        elif path[1] == "data":
            name = f"the data's {path[-1]}"
        elif "experiment" in there["fixed"] and path[1] in ("settings", "initializers"):
            # Only where another version of rnnprobe has other settings for it.
            name = f"the experiment's {path[2].replace('_', ' ')}"
        raise other_run(folder, name, theirs, ours)


def other_run(folder: Path, name: str, there: Any, here: Any) -> OutputError:
    """Return the error for a run folder that belongs to something else.

    Args:
        folder: The run folder.
        name: In what it differs.
        there: Its value in the folder.
        here: Its value now.
    """
    return OutputError(
        f"The run folder '{folder}' holds another experiment: {name} is {_written(there)} "
        f"there and {_written(here)} here; give another --run-dir."
    )


def _differences(
    here: Any, there: Any, path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        return [
            difference
            for key in {**there, **here}
            for difference in _differences(here.get(key), there.get(key), (*path, key))
        ]
    return [] if here == there else [(path, here, there)]


def _written(value: Any) -> str:
    if value is None:
        return "the default"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
