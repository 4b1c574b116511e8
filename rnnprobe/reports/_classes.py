"""Table and sentence about the classes one by one."""

from __future__ import annotations

from collections.abc import Sequence

from rnnprobe.confusions.classes import Average, ClassScore, ClassScores
from rnnprobe.table import Column, Finding, Table, escape

_NAMED = 3  # so many classes of the same lowest recall are named
_NO_INTERVAL = (None, None)

_COLUMNS = (
    Column("class", "class"),
    Column("n", "n", "integer"),
    Column("right", "right", "integer"),
    Column("recall", "recall", "decimal", 3),
    Column("recall_low", "95 % from", "decimal", 3),
    Column("recall_high", "to", "decimal", 3),
    Column("said", "said", "integer"),
    Column("precision", "precision", "decimal", 3),
    Column("precision_low", "95 % from", "decimal", 3),
    Column("precision_high", "to", "decimal", 3),
    Column("f1", "F1", "decimal", 3),
    Column("f1_low", "95 % from", "decimal", 3),
    Column("f1_high", "to", "decimal", 3),
)


def classes_table(scores: ClassScores, names: Sequence[str]) -> Table:
    """Return how often each class was recognised, and how often it was right to say it.

    Args:
        scores: Of all classes.
        names: Of the classes.
    """
    rows = tuple(
        (
            name,
            one.support,
            one.right,
            one.recall,
            *(one.recall_interval or _NO_INTERVAL),
            one.predicted,
            one.precision,
            *(one.precision_interval or _NO_INTERVAL),
            one.f1,
            *(one.f1_interval or _NO_INTERVAL),
        )
        for name, one in zip(names, scores.classes, strict=True)
    )
    return Table(_COLUMNS, rows, "Recall and precision by class")


def classes_finding(scores: ClassScores, names: Sequence[str]) -> Finding:
    """Say how well the classes are recognised on average, and which one the least.

    Args:
        scores: Of all classes.
        names: Of the classes.
    """
    number, total = scores.num_occurring, len(scores.classes)
    over = f"all {total:,} classes" if number == total else f"the {number:,} of {total:,} classes"
    sentence = (
        f"Classes: balanced accuracy (mean recall) {_text(scores.balanced_accuracy)}, macro F1 "
        f"{_text(scores.macro_f1)}, both over {over}{' that occur' * (number < total)}, of equal "
        f"weight; {_lowest_text(scores, names)}. Intervals of the averages and of F1: bootstrap of "
        "the examples, too short where a class has few examples or few mistakes; of recall and "
        "precision: Wilson, each by itself"
    )
    value = {
        "balanced_accuracy": _facts(scores.balanced_accuracy),
        "macro_precision": _facts(scores.macro_precision),
        "macro_f1": _facts(scores.macro_f1),
        "classes": number,
        "lowest_recall": [names[index] for index in _lowest(scores)],
    }
    return Finding("classes", sentence, value)


def _text(average: Average) -> str:
    if average.interval is None:
        return f"{average.value:.4f} (no interval, as all bootstrap draws agree)"
    low, high = average.interval
    return f"{average.value:.4f} [{low:.4f}, {high:.4f}]"


def _facts(average: Average) -> dict[str, float | None]:
    low, high = average.interval or _NO_INTERVAL
    return {"value": average.value, "low": low, "high": high}


def _lowest(scores: ClassScores) -> list[int]:
    """Return the classes of the lowest recall, in their order."""
    recalls = {i: one.recall for i, one in enumerate(scores.classes) if one.recall is not None}
    least = min(recalls.values())
    return [index for index, recall in recalls.items() if recall == least]


def _lowest_text(scores: ClassScores, names: Sequence[str]) -> str:
    lowest = _lowest(scores)
    if all(one.right == one.support for one in scores.classes):
        return "all examples of every class were recognised"
    listed = [_recall_text(scores.classes[i], names[i]) for i in lowest[:_NAMED]]
    more = f"; and {len(lowest) - _NAMED:,} more" if len(lowest) > _NAMED else ""
    # The least of several is too low on average, and no interval of one class makes up for that.
    later = ", named after the fact, so expect it somewhat higher on other examples"
    return f"lowest recall: {'; '.join(listed)}{more}{later if scores.num_occurring > 1 else ''}"


def _recall_text(one: ClassScore, name: str) -> str:
    low, high = one.recall_interval or _NO_INTERVAL
    return (
        f"{escape(name)} {one.recall:.3f} [{low:.3f}, {high:.3f}] "
        f"({one.right:,} of {one.support:,})"
    )
