"""What a search tried: trials, and what came of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from rnnprobe._fields import INTEGER, NUMBER, TEXT, Fields, misfit
from rnnprobe._files import write_text
from rnnprobe.evaluation import Evaluation
from rnnprobe.search.space import Configuration, SearchSpace
from rnnprobe.specs import Run

TEST = "test.json"
_TEST_FIELDS: Fields = {
    "trial": INTEGER,
    "loss": NUMBER,
    "correct": INTEGER,
    "total": INTEGER,
    "hits": TEXT,
}


@dataclass(frozen=True, eq=False)
class Trial:
    """One configuration that was tried.

    Args:
        number: From 1, in the order of their first start.
        configuration: A value per axis; None where the axis means nothing.
        chosen: How it came to be tried.
        run: What came of it.
        promoted_after: Numbers of epochs after which Hyperband let it go on.
    """

    number: int
    configuration: Configuration
    chosen: str
    run: Run
    promoted_after: tuple[int, ...] = ()

    @property
    def epochs(self) -> int:
        """Epochs that it was trained for."""
        return len(self.run.history.get("loss", ()))

    @property
    def score(self) -> tuple[float, float]:
        """What decides: validation accuracy of the last epoch, then the lower validation loss."""
        if self.run.status != "ok":
            return (-1.0, 0.0)
        return (self.run.metrics["val_accuracy"], -self.run.metrics["val_loss"])


@dataclass(frozen=True, eq=False)
class TuneResult:
    """What a search found.

    Args:
        trials: All configurations in the order of their start.
        space: What was searched.
        tuner: How.
        budget: How many configurations were asked for.
        epochs: The most epochs per configuration.
        seed: Of the search and of every training run.
        seconds: Wall time of the search; what was resumed is not in it.
        run_dir: Where the results are kept, or None.
        model: The best trial's; None where the search is not over.
        test: That model on the test part, which chose nothing; None where the search is not over.
        over: Whether all was tried, and the best tested.
        unreadable: How many lines of `results.jsonl` were no results.
    """

    trials: tuple[Trial, ...]
    space: SearchSpace
    tuner: str
    budget: int
    epochs: int
    seed: int
    seconds: float = 0.0
    run_dir: Path | None = None
    model: keras.Model | None = None
    test: Evaluation | None = None
    over: bool = False
    unreadable: int = 0

    @property
    def best(self) -> Trial | None:
        """The finished trial with the best validation accuracy, the first one at a tie."""
        finished = [trial for trial in self.trials if trial.run.status == "ok"]
        return max(finished, key=lambda trial: trial.score, default=None)


def write_test(folder: Path, best: Trial, test: Evaluation) -> None:
    """Keep what the best trial reached on the test part in the run folder."""
    values = {"trial": best.number, **test._asdict(), "hits": test.hits.hex()}
    write_text(folder / TEST, json.dumps(values) + "\n")


def read_test(folder: Path, best: Trial | None) -> Evaluation | None:
    """Return what `write_test` kept; None where it is not there, of another trial or damaged."""
    try:
        values = json.loads((folder / TEST).read_text("utf-8"))
        if misfit(values, _TEST_FIELDS) or best is None or values["trial"] != best.number:
            return None
        hits = bytes.fromhex(values["hits"])
    except (OSError, ValueError, RecursionError):
        return None
    test = Evaluation(values["loss"], values["correct"], values["total"], hits)
    whole = test.total > 0 and len(hits) == math.ceil(test.total / 8)
    return test if whole and test.right.sum() == test.correct else None


def trial_of(entry: Mapping[str, Any]) -> Trial:
    """Return the trial that an entry of the journal tells of."""
    told, run = entry["trial"], Run.from_dict(entry["run"])
    promoted = tuple(told["promoted_after"])
    return Trial(told["number"], told["configuration"], told["chosen"], run, promoted)
