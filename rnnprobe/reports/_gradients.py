"""Gradients through time, as tables and sentences."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rnnprobe.inspection._gradient_statistics import EXPLODING, VANISHING, GradientSummary
from rnnprobe.inspection.decisions import Median
from rnnprobe.inspection.gradients import GradientFlow
from rnnprobe.reports._common import counted
from rnnprobe.table import Column, Finding, Table, escape, interval_columns

FlowsByModel = Mapping[str, Sequence[GradientFlow]]


_COLUMNS = (
    *interval_columns("ratio", "first / last", "significant"),
    *interval_columns("decay", "× per step back", "significant"),
    *interval_columns("half_life", "half-life (steps)", "significant"),
    Column("spread", "fit off by ×", "significant", 3),
    Column("verdict", "verdict"),
    Column("n", "n", "integer"),
    Column("vanished", "0 at first", "integer"),
)
_STEP_COLUMNS = (
    Column("steps_back", "steps back"),
    *interval_columns("ratio", "relative to last", "significant"),
    Column("n", "n", "integer"),
)


def gradients_tables(flows_by_model: FlowsByModel) -> dict[str, Table]:
    """Return how each state's gradient fades, and its course step by step.

    Where several states stand beside each other, `gradients_beside` holds what
    `gradients_by_step` does, with a column a state.

    Args:
        flows_by_model: By the model's name what `gradients_through_time` found.
    """
    flows = list(_each(flows_by_model))
    names = _name_columns(flows_by_model)
    cells = [_name_cells(model, flow, names) for model, flow in flows]
    rows = [(*name, *_summary_cells(flow)) for name, (_, flow) in zip(cells, flows, strict=True)]
    by_step = [
        (*name, *row)
        for name, (_, flow) in zip(cells, flows, strict=True)
        for row in _step_cells(flow.summary)
    ]
    tables = {
        "gradients": Table(
            (*names, *_COLUMNS),
            tuple(rows),
            "Gradient of the loss with respect to each state: at the step read first, relative "
            "to the step read last (medians)",
        ),
        "gradients_by_step": Table(
            (*names, *_STEP_COLUMNS),
            tuple(by_step),
            "The same by steps back from the step read last (medians)",
        ),
    }
    if len(flows) > 1:
        tables["gradients_beside"] = _beside(flows, cells)
    return tables


def _each(flows_by_model: FlowsByModel) -> Iterator[tuple[str, GradientFlow]]:
    for model, flows in flows_by_model.items():
        for flow in flows:
            yield model, flow


def _name_columns(flows_by_model: FlowsByModel) -> tuple[Column, ...]:
    """Return the columns that tell the states apart; no more than that needs."""
    columns = [Column("layer", "layer"), Column("state", "state")]
    if len(flows_by_model) > 1:
        columns.insert(0, Column("model", "model"))
    if any(flow.backwards for _, flow in _each(flows_by_model)):
        columns.append(Column("reads", "reads"))
    return tuple(columns)


def _name_cells(model: str, flow: GradientFlow, columns: Sequence[Column]) -> tuple[str, ...]:
    reads = "from the end" if flow.backwards else "from the start"
    values = {"model": model, "layer": flow.path, "state": flow.state, "reads": reads}
    return tuple(values[column.key] for column in columns)


def _summary_cells(flow: GradientFlow) -> tuple[Any, ...]:
    summary = flow.summary
    fades = summary.half_life.value is not None and math.isfinite(summary.half_life.value)
    return (
        *_median_cells(summary.ratio),
        *_median_cells(summary.decay),
        *(_median_cells(summary.half_life) if fades and not flow.every_step else (None,) * 3),
        summary.spread.value,
        flow.verdict,
        summary.ratio.number,
        summary.vanished,
    )


def _median_cells(median: Median) -> tuple[float | None, ...]:
    return (median.value, *(median.interval or (None, None)))


def _step_cells(summary: GradientSummary) -> Iterator[tuple[Any, ...]]:
    course = summary.course
    for distance in _distances(len(course.number)):
        numbers = (course.median[distance], course.low[distance], course.high[distance])
        if course.number[distance]:
            yield (distance, *map(_or_none, numbers), int(course.number[distance]))
    if summary.ratio.number:
        yield ("first", *_median_cells(summary.ratio), summary.ratio.number)


def _or_none(number: float) -> float | None:
    return None if math.isnan(number) else float(number)


def _distances(num_distances: int) -> Iterator[int]:
    """Yield 0, 1, 2, 3, 5, 10, 20, 50, 100, 200 ... below a number."""
    yield from range(min(4, num_distances))
    for exponent in itertools.count():
        for digit in (1, 2, 5):
            distance = digit * 10**exponent
            if distance >= num_distances:
                return
            if distance > 3:
                yield distance


def _beside(flows: Sequence[tuple[str, GradientFlow]], names: Sequence[tuple[str, ...]]) -> Table:
    """Return a row a distance and a column a state; numbers of examples where they change."""
    by_flow = [{row[0]: row[1:] for row in _step_cells(flow.summary)} for _, flow in flows]
    longest = max(len(flow.summary.course.number) for _, flow in flows)
    columns = [Column("steps_back", "steps back")]
    widths = []
    for index, (name, cells) in enumerate(zip(names, by_flow, strict=True), 1):
        columns += interval_columns(f"state_{index}", escape(", ".join(name)), "significant")
        widths.append(3)
        if len({row[-1] for row in cells.values()}) > 1:
            columns.append(Column(f"n_{index}", "n", "integer"))
            widths[-1] = 4
    rows = []
    for step in (*_distances(longest), "first"):
        if any(step in cells for cells in by_flow):
            parts = [cells.get(step, (None,) * 4) for cells in by_flow]
            rows.append((step, *(c for p, w in zip(parts, widths, strict=True) for c in p[:w])))
    title = "The same with the states beside each other"
    return Table(tuple(columns), tuple(rows), title)


def _median_text(median: Median) -> str:
    if median.interval is None:
        return f"{_number(median.value)} [no interval]"
    return f"{_number(median.value)} [{', '.join(map(_number, median.interval))}]"


def _number(value: float | None) -> str:
    """Return three digits, and whole numbers from 1,000 on."""
    if value is not None and 1e3 <= value < 1e6:
        return f"{value:,.0f}"
    return "–" if value is None else f"{value:.3g}"


def gradients_findings(flows_by_model: FlowsByModel) -> tuple[Finding, ...]:
    """Return what the numbers are, a verdict a state, and how the models compare.

    Args:
        flows_by_model: By the model's name what `gradients_through_time` found.
    """
    flows = list(_each(flows_by_model))
    several = len(flows_by_model) > 1
    findings = [_verdict(model, flow, several=several) for model, flow in flows]
    findings += [_without(model, several=several) for model in flows_by_model
                 if not flows_by_model[model]]  # fmt: skip
    compared = {model: _last_memory(own) for model, own in flows_by_model.items() if own}
    if len(compared) > 1:
        findings.append(_comparison(compared))
    return tuple(findings)


def gradients_note(flows: Sequence[GradientFlow]) -> str:
    """Return what the numbers are, and what the verdicts mean.

    Args:
        flows: Those of one model, or of several.
    """
    told = (
        "The norm of the derivative of each example's own loss (cross-entropy) with respect to the "
        "state after a step, through all later steps; not that with respect to the layer's output, "
        "which is 0 before the last step where only the last output is read. Medians over the "
        "examples with their 95 % intervals: another training run is not in them. Vanishing: all "
        f"of the interval is below {VANISHING:g}; exploding: all is above {EXPLODING:g}; healthy: "
        "all is between; a convention of this report."
    )
    if any(flow.state == "cell state" and not flow.every_step for flow in flows):
        told += (
            " The memory of an LSTM is its cell state; the head sees the last hidden state alone, "
            "so that the gradient of the hidden state may fall at the first step back and fade no "
            "further."
        )
    return told


def _without(model: str, *, several: bool) -> Finding:
    sentence = "Gradients through time: no recurrent layer whose states could be followed"
    key = f"gradients/{model}" if several else "gradients"
    return Finding(key, f"{sentence} in {escape(model)}" if several else sentence, None)


def _verdict(model: str, flow: GradientFlow, *, several: bool) -> Finding:
    summary = flow.summary
    names = (model,) * several + (flow.path, flow.state)
    key = "/".join(("gradients", *names))
    value = {
        "verdict": flow.verdict,
        "ratio": _as_value(summary.ratio),
        "decay": _as_value(summary.decay),
        "half_life": _as_value(summary.half_life),
        "spread": summary.spread.value,
        "steps": summary.lengths,
        "vanished": summary.vanished,
        "overflown": summary.overflown,
        "without_gradient": summary.without_gradient,
        "without_steps": summary.without_steps,
        "padding_read": flow.padding_read,
    }
    texts = [_verdict_text(flow), *_line_texts(flow), *_exceptions(summary)]
    if flow.padding_read:
        texts.append(
            "no mask tells it to skip the steps at which the input is padding, which "
            f"{counted(flow.padding_read, 'example')} {'has' if flow.padding_read == 1 else 'have'}"
            ": they are in the distances"
        )
    told = "; ".join(texts)
    return Finding(key, f"{escape(', '.join(names))}: {told}", value)


def _as_value(median: Median) -> dict[str, Any]:
    low, high = median.interval or (None, None)
    return {"value": median.value, "low": low, "high": high, "n": median.number}


def _verdict_text(flow: GradientFlow) -> str:
    summary, ratio = flow.summary, flow.summary.ratio
    if ratio.value is None or summary.lengths is None:
        return "no verdict, since no example has two steps that count and a gradient at the last"
    least, most = summary.lengths
    steps = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    told = (
        f"the gradient at the step read first is {_median_text(ratio)} of that at the step read "
        f"last, {steps} steps (n = {ratio.number:,})"
    )
    if flow.every_step:
        return f"{flow.verdict}, since later layers read every step directly: {told}"
    if summary.verdict != "undecided":
        return f"**{summary.verdict}**: {told}"
    reason = "fewer than six examples give no interval"
    if ratio.interval is not None:
        low, high = ratio.interval
        held = [f"{end:g}" for end in (VANISHING, EXPLODING) if low <= end <= high]
        reason = f"the interval holds {' and '.join(held)}"
    return f"**{summary.verdict}**, {reason}: {told}"


def _line_texts(flow: GradientFlow) -> list[str]:
    """Return the exponential that fits, and how well it does."""
    summary = flow.summary
    decay, half_life, spread = summary.decay, summary.half_life, summary.spread
    if decay.value is None or half_life.value is None:
        return []
    told = f"× {_median_text(decay)} a step back"
    if flow.every_step:
        return [told]
    if math.isinf(half_life.value):
        grows = decay.interval is not None and decay.interval.low > 1
        told += ", it grows" if grows else ", neither fading nor growing measurably"
    elif half_life.interval is None or math.isfinite(half_life.interval.high):
        told += f", the gradient's half-life {_median_text(half_life)} steps"
    else:
        low = half_life.interval.low
        told += f", the gradient's half-life {half_life.value:.3g} steps, at least {low:.3g}"
    if summary.lengths is not None and len(set(summary.lengths)) > 1:
        told += ", sequences of all lengths together, which may differ in it"
    if spread.value is not None:
        told += f" (this fit is off by a factor of {spread.value:.3g})"
    return [told]


def _exceptions(summary: GradientSummary) -> list[str]:
    number = summary.ratio.number
    texts = []
    if summary.vanished:
        texts.append(
            f"in {summary.vanished:,} of the {number:,} it is exactly 0 at the step read first, "
            "too small for the model's numbers or stopped by units that pass nothing on, and "
            "counts as a ratio of 0"
        )
    if summary.overflown:
        texts.append(
            f"in {summary.overflown:,} of the {number:,} it is too large for the model's numbers "
            "there, and counts as an infinite ratio"
        )
    if summary.without_gradient:
        texts.append(
            f"{counted(summary.without_gradient, 'example')} took no part, with a gradient of 0 "
            "at the step read last, as where the model's own probabilities are rounded to 0 or 1, "
            "or no finite one"
        )
    if summary.without_steps:
        texts.append(
            f"{counted(summary.without_steps, 'example')} took no part, without a step that counts"
        )
    return texts


def _last_memory(flows: Sequence[GradientFlow]) -> GradientFlow:
    """Return the state that carries the memory, of the layer nearest to the head.

    Of a LSTM it is the cell state; of layers that read in both directions that from the start.
    """
    forwards = [flow for flow in flows if not flow.backwards] or list(flows)
    own = [flow for flow in forwards if flow.path == forwards[-1].path]
    return next((flow for flow in own if flow.state == "cell state"), own[-1])


def _comparison(flows: Mapping[str, GradientFlow]) -> Finding:
    told = {
        model: flow.summary for model, flow in flows.items() if flow.summary.ratio.value is not None
    }
    texts = [
        f"{escape(f'{model} ({flows[model].state})')} {_median_text(summary.ratio)}"
        for model, summary in told.items()
    ]
    sentence = (
        "Beside each other, at the step read first relative to the last, the state that carries "
        "the memory of the last recurrent layer: "
        f"{'; '.join(texts) or 'nothing to compare'}"
    )
    largest = None
    lengths = {summary.lengths for summary in told.values()}
    if len(lengths) > 1:
        sentence += "; they read different numbers of steps, so the ratios are not compared"
    elif len(told) > 1:
        largest = _largest({model: summary.ratio for model, summary in told.items()})
        sentence += "; " + (
            f"it is largest in {escape(largest)}, whose interval is above all others"
            if largest is not None
            else "which is largest is not told, since the intervals of the largest overlap"
        )
    sentence += ". One trained model each: another run of the same kind may come out elsewhere"
    ratios = {model: _as_value(summary.ratio) for model, summary in told.items()}
    return Finding("gradients_compared", sentence, {"largest": largest, "ratios": ratios})


def _largest(ratios: Mapping[str, Median]) -> str | None:
    """Return the name whose interval is above all others; None where there is none."""
    intervals = {name: median.interval for name, median in ratios.items()}
    for name, own in intervals.items():
        others = [interval for other, interval in intervals.items() if other != name]
        if own is not None and all(i is not None and i.high < own.low for i in others):
            return name
    return None
