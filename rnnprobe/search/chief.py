"""The chief of a sweep on several machines: hands tasks to workers by KerasTuner's gRPC service.

KerasTuner's own chief hangs when a worker dies, and has no room for what a trial measured. Here the
service is KerasTuner's, and what answers behind it is ours: tasks and results travel as JSON among
a trial's values; who is not heard of loses its task to another.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
import keras_tuner
from keras_tuner.engine.trial import Trial
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from rnnprobe._versions import versions
from rnnprobe.errors import OutputError, TrainingError
from rnnprobe.search.pool import Died, Done
from rnnprobe.search.task import TrialOutcome, TrialTask
from rnnprobe.specs import Run

EXPERIMENT, TASK, RESULT = "rnnprobe/experiment", "rnnprobe/task", "rnnprobe/result"
_MOST_LOSSES = 2
_SECONDS_TO_SAY_GOODBYE = 5.0


@dataclass
class _Lease:
    task: TrialTask
    worker: str
    began: float
    heard: float


class Chief:
    """A pool whose children are workers elsewhere; see `rnnprobe.search.pool.Pool`.

    Args:
        address: `host:port` to listen on. The port has no authentication.
        experiment: What workers are told, to load the data.
        lease: Seconds without a sign of life after which a worker loses its task; a task that is
            lost twice is given up. When nobody is heard of for twice as long, the chief ends.
        say: Told who joins.
    """

    def __init__(
        self,
        address: str,
        experiment: Mapping[str, Any],
        *,
        lease: float,
        say: Callable[[str], None],
    ) -> None:
        self._address, self._lease_seconds, self._say = address, lease, say
        self._told = json.dumps({"experiment": experiment, "versions": versions()})
        self._mark = mark_of(experiment)
        self._changed = threading.Condition()
        self._queue: list[TrialTask] = []
        self._leases: dict[str, _Lease] = {}
        self._losses: dict[str, int] = {}
        self._ended: list[Done | Died] = []
        self._workers: set[str] = set()
        self._heard: float | None = None
        self._closed = False
        self._server = grpc.server(
            ThreadPoolExecutor(max_workers=1), options=[("grpc.so_reuseport", 0)]
        )

        add_to = protos.get_service_grpc().add_OracleServicer_to_server
        add_to(OracleServicer(self), self._server)
        try:
            self._server.add_insecure_port(address)
        except RuntimeError as exc:
            raise OutputError(
                f"Cannot listen on '{address}': the port is taken, or the address is not this "
                "machine's."
            ) from exc

    def __enter__(self) -> Self:
        self._server.start()
        self._say(f"listening; elsewhere: rnnprobe worker {self._address}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the workers hear that it is over, unless something went wrong."""
        until = time.monotonic() + (_SECONDS_TO_SAY_GOODBYE if kind is None else 0.0)
        with self._changed:
            self._closed = True
            while self._workers and time.monotonic() < until:
                self._changed.wait(0.1)
        self._server.stop(grace=0).wait()

    def add(self, task: TrialTask) -> None:
        """Queue a task."""
        with self._changed:
            self._queue.append(task)

    def outcomes(self) -> Iterator[Done | Died]:
        """Yield what became of each task, as they end; more may be added on the way.

        Raises:
            TrainingError: No worker is left.
        """
        while True:
            with self._changed:
                if not (self._queue or self._leases or self._ended):
                    return
                if not self._ended:
                    self._changed.wait(0.5)
                self._reap()
                ended, self._ended = self._ended, []
            yield from ended

    def _reap(self) -> None:
        """Take their tasks from workers that are not heard of; end where all are gone."""
        now = time.monotonic()
        for key, lease in list(self._leases.items()):
            if now - lease.heard > self._lease_seconds:
                del self._leases[key]
                self._lose(lease)
        silent = self._heard is not None and now - self._heard > 2 * self._lease_seconds
        if silent and not self._ended:
            raise TrainingError(
                f"All workers are gone: none was heard of for {2 * self._lease_seconds:g} s, and "
                f"{len(self._queue)} runs are missing; --resume goes on."
            )

    def _lose(self, lease: _Lease) -> None:
        key = lease.task.key
        self._losses[key] = self._losses.get(key, 0) + 1
        self._workers.discard(lease.worker)
        self._say(f"{lease.worker} is not heard of; its trial is given to another")
        if self._losses[key] < _MOST_LOSSES:
            self._queue.insert(0, lease.task)
            return
        seconds = time.monotonic() - lease.began
        reason = f"lost: {_MOST_LOSSES} workers that had it were not heard of again"
        self._ended.append(Died(lease.task, reason, seconds))

    # What KerasTuner's service asks for, in its one thread.

    def get_space(self) -> keras_tuner.HyperParameters:
        """Tell a worker what it joins."""
        hp = keras_tuner.HyperParameters()
        hp.Fixed(EXPERIMENT, self._told)
        return hp

    def create_trial(self, tuner_id: str) -> Trial:
        """Give a task; `tuner_id` is the worker's name, its sweep's mark and a number."""
        worker, mark, _ = tuner_id.split("/")
        with self._changed:
            now = self._heard = time.monotonic()
            if self._closed or mark != self._mark:
                self._workers.discard(worker)
                self._changed.notify_all()
                return _trial("none", "STOPPED")
            if worker not in self._workers:
                self._workers.add(worker)
                self._say(f"{worker} joined")
            if not self._queue:
                return _trial("none", "IDLE")
            self._queue.sort(key=lambda task: task.rank)
            task = self._queue.pop(0)
            self._leases[task.key] = _Lease(task, worker, now, now)
            return _trial(f"{self._mark}/{task.key}", "RUNNING", {TASK: task.to_json()})

    def get_trial(self, trial_id: str) -> Trial:
        """Hear that a task is being worked on, also one that was given before a restart."""
        mark, _, key = trial_id.partition("/")
        with self._changed:
            now = self._heard = time.monotonic()
            if mark == self._mark and key not in self._leases:
                for task in [task for task in self._queue if task.key == key]:
                    self._queue.remove(task)
                    self._leases[key] = _Lease(task, "a worker of before", now, now)
            known = mark == self._mark and key in self._leases
            if known:
                self._leases[key].heard = now
        return _trial(trial_id, "RUNNING" if known else "STOPPED")

    def end_trial(self, trial: Trial) -> None:
        """Take a result; of a task that ended already the first one stands."""
        result = json.loads(trial.hyperparameters.values[RESULT])
        outcome = TrialOutcome(Run.from_dict(result["run"]), result["hits"])
        mark, _, key = trial.trial_id.partition("/")
        with self._changed:
            self._heard = time.monotonic()
            if mark != self._mark:
                return
            lease = self._leases.pop(key, None)
            wanted = [task for task in self._queue if task.key == key]
            for task in wanted:
                self._queue.remove(task)
            if lease:
                wanted = [lease.task]
            self._ended += [Done(task, outcome) for task in wanted]
            self._changed.notify_all()


def mark_of(experiment: Mapping[str, Any]) -> str:
    """Return what tells one sweep from another: nothing of another one may be taken for this."""
    fixed = json.dumps(experiment["fixed"], sort_keys=True)
    return hashlib.sha256(fixed.encode()).hexdigest()[:12]


def _trial(key: str, status: str, values: Mapping[str, str] | None = None) -> Trial:
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values or {})
    return Trial(hp, trial_id=key, status=status)
