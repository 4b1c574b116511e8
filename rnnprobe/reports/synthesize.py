"""The report of `rnnprobe synthesize`."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnnprobe._versions import made_by
from rnnprobe.attacks._synthesis_study import ClassSynthesis
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._common import counted, data_phrase, interval_text
from rnnprobe.statistics import wilson_interval
from rnnprobe.table import Column, Finding, Report, Table, escape

_LESS_WEIGHT = "a smaller --source-weight"


def synthesize_report(study: ClassSynthesis, *, title: str, dataset: SequenceDataset) -> Report:
    """Return one row a start, how many converged, and the best of them.

    Args:
        study: What was made.
        title: Of the model, Markdown.
        dataset: The data.
    """
    name = f"'{escape(dataset.class_names[study.target])}'"
    how = "from noise"
    if study.source is not None:
        own = escape(dataset.class_names[int(dataset.test.y[study.source])])
        how = f"close to example {study.source} of the test part (class '{own}')"
    findings = [_convergence(study, name), _taken(study, name), *_failed(study, name)]
    if study.result.converged.any():
        findings += [_steps(study), *_best(study, dataset, name)]
    findings += [*_usual(study), _settings(study)]
    return Report(
        command="synthesize",
        caption=f"**Synthesize** class {name} with {title} on {data_phrase(dataset)}, {how}",
        main=_table(study, dataset),
        findings=tuple(findings),
        made_by=made_by(),
        facts={
            "target": dataset.class_names[study.target],
            "source": study.source,
            "settings": dataclasses.asdict(study.settings),
            "bounds": [study.bounds.lower, study.bounds.upper],
            "classes": list(dataset.class_names),
            "digest": dataset.digest,
        },
    )


def _table(study: ClassSynthesis, dataset: SequenceDataset) -> Table:
    result, names = study.result, dataset.class_names
    columns = [
        Column("start", "start", "integer"),
        Column("converged", "converged"),
        Column("steps", "steps", "integer"),
        Column("probability", "probability of target", "decimal", 3),
        Column("predicted", "predicted"),
    ]
    cells: list[list[Any]] = [
        list(range(len(result.x))),
        result.converged.tolist(),
        result.steps.tolist(),
        result.probabilities[:, study.target].tolist(),
        [names[index] for index in result.probabilities.argmax(axis=1)],
    ]
    if result.distance is not None:
        columns.append(Column("distance", "distance to source (L2)", "decimal", 3))
        cells.append(result.distance.tolist())
    if study.nearest is not None:
        index, far = study.nearest
        columns += [
            Column("nearest_distance", "to nearest training example", "decimal", 3),
            Column("nearest_example", "which", "integer"),
            Column("nearest_class", "its class"),
        ]
        classes = [names[label] for label in dataset.train.y[index]]
        cells += [far.tolist(), index.tolist(), classes]
    return Table(tuple(columns), tuple(zip(*cells, strict=True)))


def _convergence(study: ClassSynthesis, name: str) -> Finding:
    found, total = int(study.result.converged.sum()), len(study.result.x)
    low, high = wilson_interval(found, total)
    return Finding(
        "converged",
        f"Converged starts, {name} with a probability of {study.settings.confidence:g} or more: "
        f"{interval_text(found, total)}",
        {"share": found / total, "low": low, "high": high, "n": total, "count": found},
    )


def _taken(study: ClassSynthesis, name: str) -> Finding:
    hits = study.result.probabilities.argmax(axis=1) == study.target
    low, high = wilson_interval(int(hits.sum()), len(hits))
    return Finding(
        "taken",
        f"Taken for {name} with any probability: {interval_text(int(hits.sum()), len(hits))}",
        {"share": float(hits.mean()), "low": low, "high": high, "n": len(hits)},
    )


def _failed(study: ClassSynthesis, name: str) -> list[Finding]:
    """Say how far those came that did not converge, and what may help."""
    result, settings = study.result, study.settings
    if result.converged.all():
        return []
    chances = result.probabilities[~result.converged, study.target]
    reachable = math.floor(float(chances.max()) * 100) / 100
    lower = f"--confidence {reachable:g}" if reachable > 0.5 else "a lower --confidence"
    helps = [lower, "more --steps"]
    if settings.cost == "sum-of-squares":
        helps.insert(0, "--cost cross-entropy, which is not flat where the model is sure")
    if study.source is not None and settings.source_weight > 0:
        helps.append(_LESS_WEIGHT)
    none = "" if result.converged.any() else "No start reached the confidence asked for. "
    median, most = float(np.median(chances)), float(chances.max())
    return [
        Finding(
            "not_converged",
            f"{none}{counted(len(chances), 'start')} stayed below {settings.confidence:g}; the "
            f"probability of {name} there is {median:.3g} in the median, {most:.3g} at most. What "
            "may help: "
            f"{', '.join(helps)}",
            {"count": len(chances), "median_probability": median, "largest_probability": most},
        )
    ]


def _steps(study: ClassSynthesis) -> Finding:
    steps = study.result.steps[study.result.converged]
    median, low, high = float(np.median(steps)), int(steps.min()), int(steps.max())
    return Finding(
        "steps",
        f"Steps until it converged: {median:g} in the median, from {low} to {high}",
        {"median": median, "least": low, "most": high},
    )


def _best(study: ClassSynthesis, dataset: SequenceDataset, name: str) -> list[Finding]:
    result = study.result
    if result.distance is not None and study.source_probabilities is not None:
        return [_closest(study, dataset, name)]
    if study.nearest is None:
        return []
    index, far = study.nearest
    likest = int(np.where(result.converged, far, np.inf).argmin())
    label = escape(dataset.class_names[int(dataset.train.y[index[likest]])])
    return [
        Finding(
            "likest",
            f"Most like the data: start {likest}, at L2 distance {far[likest]:.3f} from training "
            f"example {index[likest]} (class '{label}')",
            {"start": likest, "distance": far[likest], "example": index[likest]},
        )
    ]


def _closest(study: ClassSynthesis, dataset: SequenceDataset, name: str) -> Finding:
    result, before = study.result, study.source_probabilities
    start = int(result.ranking(study.target)[0])
    change = float(np.abs(result.x[start] - dataset.test.x[study.source]).max())
    own = int(dataset.test.y[study.source])
    after = result.probabilities[start]
    far = 0.0 if result.distance is None else float(result.distance[start])
    value = {"start": start, "distance": far, "largest_change": change}
    sentence = (
        f"Closest: start {start}, at L2 distance {far:.3f} from the source, no value changed by "
        f"more than {change:.3f}"
    )
    if before is not None:
        sentence += (
            f"; {name} from {before[study.target]:.3f} to {after[study.target]:.3f}, the true "
            f"class '{escape(dataset.class_names[own])}' from {before[own]:.3f} to {after[own]:.3f}"
        )
        if (taken := int(before.argmax())) != own:
            name_taken = escape(dataset.class_names[taken])
            sentence += f"; **the source was wrong before**: taken for '{name_taken}'"
    return Finding("closest", sentence, value)


def _usual(study: ClassSynthesis) -> list[Finding]:
    if study.usual is None:
        return []
    low, median, high = np.quantile(study.usual, (0.25, 0.5, 0.75)).tolist()
    return [
        Finding(
            "usual_distance",
            f"For comparison, {counted(len(study.usual), 'test example')}: to the nearest training "
            f"example it is {median:.3f} in the median, half of them from {low:.3f} to {high:.3f}",
            {"median": median, "low": low, "high": high, "n": len(study.usual)},
        )
    ]


def _settings(study: ClassSynthesis) -> Finding:
    settings = study.settings
    values = [
        f"cost {settings.cost}",
        f"at most {counted(settings.steps, 'step')}",
        f"Adam, learning rate {settings.learning_rate:g} of the range",
        f"confidence {settings.confidence:g}",
        f"seed {settings.seed}",
        f"values in [{study.bounds.lower:g}, {study.bounds.upper:g}]",
    ]
    if not study.bounds_named:
        values[-1] += ", the range of the training part since the data names none"
    if study.source is not None:
        values.insert(4, f"source weight {settings.source_weight:g} at first")
    return Finding("settings", f"Settings: {', '.join(values)}", dataclasses.asdict(settings))
