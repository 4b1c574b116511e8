"""What a child process does with a task: train, and say what came of it."""

from __future__ import annotations

import os
import time

from rnnprobe.backend import peak_memory, reset_peak_memory, use_threads
from rnnprobe.models import save_model
from rnnprobe.programs import Programs
from rnnprobe.search.limits import memory_limit
from rnnprobe.search.pool import Work
from rnnprobe.search.task import ChildContext, TrialOutcome, TrialTask, dead_run
from rnnprobe.specs import Run
from rnnprobe.training import Training, model_metadata

_MOST_TASKS = 50
_MOST_GROWTH = 1000.0  # MB


def start(context: ChildContext) -> Work:
    """Prepare this process, and return what does a task."""
    os.chdir(context.directory)  # where the user's own cells are found
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # or the first takes it all
    use_threads(1)  # several single-threaded children do more than one with all cores
    return _Worker(context).work


class _Worker:
    def __init__(self, context: ChildContext) -> None:
        self._context = context
        self._dataset = context.dataset.load()
        self._programs = Programs(self._dataset)
        self._done = 0
        self._first_peak: float | None = None

    def work(self, task: TrialTask) -> tuple[TrialOutcome, bool]:
        """Do one task; also say whether this process had better be replaced."""
        reset_peak_memory()
        started = time.perf_counter()
        self._done += 1
        try:
            with memory_limit(self._context.max_memory):
                outcome = self._train(task)
        except Exception as exc:  # whatever kills one trial must not end the search
            message = self._message(exc)
            run = dead_run(task, self._dataset.digest, message, time.perf_counter() - started)
            return TrialOutcome(run, ""), True
        return outcome, self._done >= _MOST_TASKS or self._grown(outcome.run)

    def _train(self, task: TrialTask) -> TrialOutcome:
        training = Training(self._dataset, task.model, task.train, programs=self._programs)
        if task.load is not None:
            training.load_if_whole(task.load)
        training.advance(task.epochs)
        if task.epochs is not None:
            if task.save is not None and not training.failed:
                training.save(task.save)
            return TrialOutcome(training.run(), training.hits.hex())
        training.finish()
        run = training.tested()
        if self._context.models is not None and run.status == "ok":
            file = self._context.models / f"{task.name}.keras"
            save_model(file, training.model, model_metadata(self._dataset, run))
        return TrialOutcome(run, training.hits.hex())

    def _message(self, exc: Exception) -> str:
        if isinstance(exc, MemoryError) or type(exc).__name__ == "ResourceExhaustedError":
            limit = self._context.max_memory
            what = "--max-memory" if self._context.limit_was_given else "its share of what was free"
            allowed = f" of {limit / 2**20:,.0f} MB ({what})" if limit else ""
            return f"oom: it needs more than the memory{allowed}"
        lines = str(exc).strip().splitlines()
        name = type(exc).__name__
        return f"error: {name}: {lines[0]}" if lines else f"error: {name}"

    def _grown(self, run: Run) -> bool:
        """Whether the traces that TensorFlow never frees have taken too much memory."""
        now = peak_memory()
        if now is None or run.peak_memory is None:
            return False
        self._first_peak = self._first_peak or now
        return now - self._first_peak > _MOST_GROWTH
