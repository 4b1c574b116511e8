"""A worker of a sweep on several machines: asks the chief for tasks and trains them here."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import keras_tuner
from keras_tuner.engine.trial import Trial
from keras_tuner.src import protos

from rnnprobe._versions import versions
from rnnprobe.datasets._load import load_again
from rnnprobe.errors import DataError, TrainingError
from rnnprobe.records import SequenceDataset
from rnnprobe.search.chief import EXPERIMENT, RESULT, TASK, mark_of
from rnnprobe.search.pool import Died, Done
from rnnprobe.search.task import Execution, TrialTask, outcome_entry

_SECONDS_BETWEEN_SIGNS = 1.0
_SECONDS_BETWEEN_QUESTIONS = 0.5
_SECONDS_FOR_A_CALL = 10.0


def work(
    address: str,
    *,
    data: str | None = None,
    execution: Execution | None = None,
    patience: float = 60.0,
    say: Callable[[str], None],
) -> int:
    """Train what the chief at an address asks for, until it has nothing more.

    Args:
        address: `host:port` of a sweep that listens.
        data: Where the chief's data set is found here; None: where the chief found it.
        execution: How many processes, and their limits.
        patience: Seconds for which the chief may be away, to be restarted.
        say: Told what happens.

    Returns:
        How many trials were trained.

    Raises:
        TrainingError: The chief does not answer for so long.
        DataError: The data set found here is another one.
    """
    execution = execution or Execution()
    with _Line(address, patience) as line:
        told = line.experiment()
        _refuse_other_version(told["versions"], say)
        dataset = _load(told["experiment"], data)
        with (
            tempfile.TemporaryDirectory(prefix="rnnprobe-") as scratch,
            execution.pool(dataset, Path(scratch)) as pool,
        ):
            worker = _Worker(line, pool, execution.num_workers, dataset.digest, say)
            return worker.run(mark_of(told["experiment"]))


class _Line:
    """Calls to a chief, repeated while it is away."""

    def __init__(self, address: str, patience: float) -> None:
        self._address, self._patience = address, patience
        # gRPC would wait longer and longer before it tries again.
        waits = ("initial", "min", "max")
        options = [(f"grpc.{wait}_reconnect_backoff_ms", 500) for wait in waits]
        self._channel = grpc.insecure_channel(address, options=options)
        self._stub = protos.get_service_grpc().OracleStub(self._channel)

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def _call(self, name: str, **fields: Any) -> Any:
        request = getattr(protos.get_service(), f"{name}Request")(**fields)
        until = time.monotonic() + self._patience
        while True:
            with contextlib.suppress(grpc.RpcError):
                return getattr(self._stub, name)(request, timeout=_SECONDS_FOR_A_CALL)
            if time.monotonic() > until:
                raise TrainingError(
                    f"The chief at {self._address} does not answer for {self._patience:g} s."
                )
            time.sleep(_SECONDS_BETWEEN_QUESTIONS)

    def experiment(self) -> dict[str, Any]:
        """Ask what is to be done."""
        answer = self._call("GetSpace")
        hp = keras_tuner.HyperParameters.from_proto(answer.hyperparameters)
        if EXPERIMENT not in hp.values:
            raise TrainingError(f"What listens at {self._address} is no rnnprobe sweep.")
        return dict(json.loads(hp.values[EXPERIMENT]))

    def ask(self, name: str) -> Trial:
        """Ask for a task."""
        return Trial.from_proto(self._call("CreateTrial", tuner_id=name).trial)

    def still_working(self, trial_id: str) -> None:
        """Tell that a task is being worked on."""
        self._call("GetTrial", trial_id=trial_id)

    def answer(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Tell what came of a task."""
        hp = keras_tuner.HyperParameters()
        hp.values = {RESULT: json.dumps(result)}
        self._call("EndTrial", trial=Trial(hp, trial_id=trial_id, status="COMPLETED").to_proto())


class _Worker:
    def __init__(
        self, line: _Line, pool: Any, workers: int, digest: str, say: Callable[[str], None]
    ) -> None:
        self._line, self._pool, self._workers = line, pool, workers
        self._digest, self._say = digest, say
        self._name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._asked = 0
        self._done = 0
        self._open: dict[str, str] = {}  # the chief's name of each task, by its key
        self._over = False

    def run(self, mark: str) -> int:
        """Work until the chief has nothing more of the sweep that `mark` stands for."""
        signed = 0.0
        while not self._over or self._open:
            idle = self._fill(mark)
            for outcome in self._pool.poll():
                self._answer(outcome)
            if time.monotonic() - signed > _SECONDS_BETWEEN_SIGNS:
                signed = time.monotonic()
                for trial_id in self._open.values():
                    self._line.still_working(trial_id)
            if idle and not self._open and not self._over:
                time.sleep(_SECONDS_BETWEEN_QUESTIONS)
        return self._done

    def _fill(self, mark: str) -> bool:
        """Ask for as many tasks as there are children; say whether there were fewer."""
        while len(self._open) < self._workers and not self._over:
            self._asked += 1
            trial = self._line.ask(f"{self._name}/{mark}/{self._asked}")
            if trial.status == "STOPPED":
                self._over = True
            elif trial.status == "IDLE":
                return True
            else:
                task = TrialTask.from_json(trial.hyperparameters.values[TASK])
                self._open[task.key] = trial.trial_id
                self._pool.add(task)
        return False

    def _answer(self, outcome: Done | Died) -> None:
        entry = outcome_entry(outcome, self._digest)
        key = entry.pop("key")
        self._line.answer(self._open.pop(key), entry)
        self._done += 1
        run = entry["run"]
        said = f"DNF {run['message']}" if run["status"] != "ok" else f"{run['seconds']:.1f} s"
        self._say(f"trial {self._done}: {key}: {said}")


def _load(experiment: Mapping[str, Any], data: str | None) -> SequenceDataset:
    source, wanted = experiment["source"], experiment["fixed"]["data"]
    where = data or source.get("data")
    if where is None:
        raise DataError(
            f"The chief's data set '{wanted['name']}' is in its memory alone; name it here by "
            "--data."
        )
    dataset = load_again(source, where)
    if dataset.digest != wanted["digest"]:
        raise DataError(
            f"The data set '{where}' has the digest {dataset.digest} here and {wanted['digest']} "
            "at the chief; bring the same files, or name them by --data."
        )
    return dataset


def _refuse_other_version(theirs: Mapping[str, str], say: Callable[[str], None]) -> None:
    ours = versions()
    if theirs["rnnprobe"] != ours["rnnprobe"]:
        raise DataError(
            f"The chief has rnnprobe {theirs['rnnprobe']}, this is {ours['rnnprobe']}; install the "
            "same."
        )
    for name in sorted(set(theirs) | set(ours)):
        if theirs.get(name) != ours.get(name):
            say(f"{name} is {theirs.get(name)} at the chief and {ours.get(name)} here")
