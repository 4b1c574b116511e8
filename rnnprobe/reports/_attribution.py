"""Which steps speak for a class and against another, as tables and sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnprobe.inspection._step_means import (
    StepMeans,
    concentration,
    mean_and_reach,
    step_means,
    step_shares,
)
from rnnprobe.inspection.decisions import median_of
from rnnprobe.inspection.explanation import Explanation
from rnnprobe.records import Array, SequenceDataset
from rnnprobe.reports._common import counted
from rnnprobe.table import Column, Finding, Table, escape, interval_columns

LEFT_OUT = frozenset({"attribution_steps", "attribution_examples"})
_MOST_ROWS = 30
_MOST_STEPS = 8  # named one by one in a sentence
_LETTERS = 16

_STEP, _LAST = Column("step", "step", "integer"), Column("last_step", "to step", "integer")
_TEXT = Column("text", "text")
_NUMBER = Column("n", "n", "integer")
_INTEGRATED = interval_columns("integrated", "integrated gradients")
_SHARE = interval_columns("share", "share of absolute sum")
_SMOOTH = (
    *interval_columns("smooth", "SmoothGrad × input"),
    Column("smooth_error", "its Monte Carlo error", "decimal", 3),
)
_EXAMPLE_COLUMNS = (
    Column("index", "example", "integer"),
    Column("value", "f(x)", "decimal", 3),
    Column("baseline_value", "f(baseline)", "decimal", 3),
    Column("integrated", "sum of attributions", "decimal", 3),
    Column("padding", "of it padding", "decimal", 3),
    Column("error", "completeness error", "decimal", 5),
    Column("nodes", "nodes", "integer"),
    Column("converged", "adds up"),
    Column("sigma", "noise", "decimal", 4),
)


def attribution_tables(
    explanation: Explanation, dataset: SequenceDataset, part: str
) -> dict[str, Table]:
    """Return the attributions by step, and how well they add up.

    `attribution` has at most 30 rows, stretches of steps where there are more; `attribution_steps`
    has every step, and `attribution_examples` every example: `LEFT_OUT` of Markdown.

    Args:
        explanation: What `explain_example` or `explain_pair` returned.
        dataset: The data.
        part: The part of the data set.
    """
    longest = int(explanation.found.counted.sum(axis=1).max())
    width = -(-longest // _MOST_ROWS)
    return {
        "attribution": _step_table(explanation, dataset, part, width),
        "attribution_steps": _step_table(explanation, dataset, part, 1),
        "attribution_examples": _example_table(explanation),
    }


def _step_table(explanation: Explanation, dataset: SequenceDataset, part: str, width: int) -> Table:
    """Return a row a stretch; intervals and counts for a pair alone, texts for an example."""
    means = step_means(explanation.found, width)
    of_pair = explanation.total is not None
    columns: dict[Column, Any] = {_STEP: means.first}
    if width > 1:
        columns[_LAST] = means.last
    if of_pair:
        columns[_NUMBER] = means.number
    elif dataset.kind == "tokens":
        columns[_TEXT] = _texts(explanation, dataset, part, means)
    anything = (-np.inf, np.inf)
    measured = (
        (_INTEGRATED, means.integrated, means.integrated_reach, anything),
        (_SHARE, means.share, means.share_reach, (0.0, 1.0)),
        (_SMOOTH, means.smooth, means.smooth_reach, anything),
    )
    for three, mean, reach, ends in measured:
        columns[three[0]] = mean
        if of_pair:
            low, high = np.clip([mean - reach, mean + reach], *ends)
            columns |= {three[1]: low, three[2]: high}
    columns[_SMOOTH[3]] = means.smooth_error
    cells = [[_plain(value) for value in values] for values in columns.values()]
    number = len(explanation.indices)
    what = f"mean over {counted(number, 'mistake')}" if of_pair else "one example"
    title = f"Attribution by {'stretch of steps' if width > 1 else 'step'}, {what}, in logits"
    return Table(tuple(columns), tuple(zip(*cells, strict=True)), title)


def _plain(value: Any) -> Any:
    """Return a NumPy value as Python has it; None where it is no number."""
    found = value.item() if hasattr(value, "item") else value
    return None if isinstance(found, float) and np.isnan(found) else found


def _texts(
    explanation: Explanation, dataset: SequenceDataset, part: str, means: StepMeans
) -> list[str]:
    texts = token_texts(
        dataset, dataset.splits[part].x[explanation.indices[0]][explanation.found.counted[0]]
    )
    gap = "" if dataset.vocabulary else " "
    rows = zip(means.first, means.last, strict=True)
    joined = [gap.join(texts[first - 1 : last]) for first, last in rows]
    return [text if len(text) <= _LETTERS else text[: _LETTERS - 1] + "…" for text in joined]


def token_texts(dataset: SequenceDataset, tokens: Array) -> list[str]:
    """Return the text of each token, `␣` for a space."""
    names = dataset.vocabulary
    texts = [str(token) if names is None else names[token] for token in tokens]
    return ["␣" if text == " " else text for text in texts]


def _example_table(explanation: Explanation) -> Table:
    found = explanation.found
    columns = (
        explanation.indices,
        found.value,
        found.baseline_value,
        found.steps.sum(axis=1) + found.padding,
        found.padding,
        found.error,
        found.nodes,
        found.converged,
        found.sigma,
    )
    rows = [tuple(map(_plain, row)) for row in zip(*columns, strict=True)]
    return Table(_EXAMPLE_COLUMNS, tuple(rows), "How well the attributions of each example add up")


def attribution_findings(
    explanation: Explanation, dataset: SequenceDataset, part: str
) -> tuple[Finding, ...]:
    """Return the sentences on what is explained, how well it adds up, and where it lies.

    Args:
        explanation: What `explain_example` or `explain_pair` returned.
        dataset: The data.
        part: The part of the data set.
    """
    findings = [_target(explanation, dataset, part), _completeness(explanation)]
    findings += _failures(explanation)
    return (*findings, _concentration(explanation))


def attribution_note(explanation: Explanation) -> str:
    """Return how tables and sentences are to be read.

    Args:
        explanation: What `explain_example` or `explain_pair` returned.
    """
    found = explanation.found
    settings, tokens = found.settings, found.integrated.ndim == 2
    of = "of the vectors that its tokens are looked up as" if tokens else "of its values"
    zeros = "tokens whose vector is 0 get" if tokens else "0 gets"
    told = [
        f"Attribution is relative to the baseline, {found.baseline}: {zeros} none, and much at the "
        "first steps may come from a baseline and initial state that the model never saw.",
        f"SmoothGrad: the mean gradient over {settings.samples} noisy copies (normal, standard "
        f"deviation {settings.noise:g} of the range {of}; seed {found.seed}), by step times the "
        "input, summed: to first order what fading the step out would take from f; it need not add "
        "up. Its Monte Carlo error is that of the noise drawn, no more.",
    ]
    if explanation.total is not None:
        told.append(
            "f(x) is not above 0 in any by choice, since mistakes alone were taken; intervals are "
            "by Student's t over the mistakes, for each row by itself; where they would leave what "
            "a share or a step can be, they end there, so that those of a few mistakes may be all "
            "that there is."
        )
    return " ".join(told)


def _target(explanation: Explanation, dataset: SequenceDataset, part: str) -> Finding:
    found, number = explanation.found, len(explanation.indices)
    first, second = (
        escape(dataset.class_names[label]) for label in (explanation.first, explanation.second)
    )
    value: dict[str, Any] = {"first": dataset.class_names[explanation.first]}
    value |= {"second": dataset.class_names[explanation.second], "n": number}
    value |= {"f": found.value.mean(), "f_baseline": found.baseline_value.mean()}
    ends = (
        f"f(x) = {_range_text(found.value)} and f(baseline) = {_range_text(found.baseline_value)}"
    )
    if explanation.total is None:
        index = int(explanation.indices[0])
        true = escape(dataset.class_names[dataset.splits[part].y[index]])
        where = f"in example {index} of the {part} part, of class {true}: {ends}"
        value["index"] = index
    else:
        drawn = "all of them"
        if number < explanation.total:
            drawn = f"drawn at random from {explanation.total:,}, seed {found.seed}"
        where = (
            f"in {counted(number, f'{part} example')} of {first} taken for {second} ({drawn}): "
            f"mean {ends}"
        )
        value["mistakes"] = explanation.total
    sentence = (
        f"Explained is f, the logit of {first} less that of {second}, {where}. Above 0 a step "
        f"speaks for {first}, below 0 for {second}"
    )
    settings = found.settings
    value["smoothgrad"] = {"samples": settings.samples, "noise": settings.noise, "seed": found.seed}
    return Finding("attribution", sentence, {**value, "baseline": found.baseline})


def _range_text(values: Array) -> str:
    """Return the mean, and where the values differ from which to which they go."""
    low, high = float(values.min()), float(values.max())
    around = f" (from {low:.3f} to {high:.3f})" if high - low > 5e-4 else ""
    return f"{values.mean():.3f}{around}"


def _mean_text(values: Array, lowest: float = -np.inf, highest: float = np.inf) -> str:
    """Return a mean with its interval, which ends where the mean must."""
    mean, reach = (float(one) for one in mean_and_reach(values))
    if np.isnan(reach):
        return f"{mean:.3f}"
    return f"{mean:.3f} [{max(mean - reach, lowest):.3f}, {min(mean + reach, highest):.3f}]"


def _completeness(explanation: Explanation) -> Finding:
    found = explanation.found
    worst = int(found.error.argmax())
    known = found.difference != 0
    share = (found.error[known] / np.abs(found.difference[known])).max(initial=0.0)
    nodes = sorted(set(found.nodes.tolist()))
    most = f"{nodes[0]}" if len(nodes) == 1 else f"{nodes[0]} to {nodes[-1]}"
    several = "" if len(found.error) == 1 else f" at most (example {explanation.indices[worst]})"
    percent = f"{100 * share:.2g} % of it" if len(found.error) == 1 else (
        f"{100 * share:.2g} % of it where that share is largest"
    )  # fmt: skip
    sentence = (
        "Integrated gradients add up to f(x) − f(baseline) with a completeness error of "
        f"{found.error[worst]:.2g} logits{several}, {percent}, by {most} Gauss-Legendre nodes"
    )
    value = {"error": found.error[worst], "share": share, "nodes": nodes[-1]}
    return Finding("completeness", sentence, {**value, "n": len(found.error)})


def _failures(explanation: Explanation) -> list[Finding]:
    """Say which attributions are not to be relied on, and what padding has to do with them."""
    found = explanation.found
    findings = []
    flat, open_ = found.without_gradient, ~found.converged & ~found.without_gradient
    if flat.any():
        sentence = (
            f"In {_of(flat)} all attributions are 0 although f(x) is not f(baseline): the model "
            "has no gradient there, as behind rounding or where it is saturated, and nothing is "
            "explained"
        )
        findings.append(Finding("without_gradient", sentence, int(flat.sum())))
    if open_.any():
        settings = found.settings
        sentence = (
            f"In {_of(open_)} the completeness error is above {100 * settings.tolerance:g} % of "
            "f(x) − f(baseline), and above 0.1 % of the range of the logits, even with "
            f"{counted(int(found.nodes.max()), 'node')}: do not rely on these attributions"
        )
        findings.append(Finding("not_converged", sentence, int(open_.sum())))
    if found.padding.any():
        sizes = np.abs(found.padding)
        sentence = (
            f"The model reads padding: {_mean_text(found.padding)} logits on average, "
            f"{sizes.max():.3f} at most, are attributed to steps that do not count; they are in "
            "the sum, but not in the table"
        )
        findings.append(Finding("padding", sentence, found.padding.mean()))
    return findings


def _of(flags: Array) -> str:
    return f"{int(flags.sum()):,} of {counted(len(flags), 'example')}"


def _concentration(explanation: Explanation) -> Finding:
    where = concentration(explanation.found)
    known = ~np.isnan(where.half)
    if not known.any():
        return Finding("concentration", "No step has any attribution", None)
    half, centre = where.half[known], where.centre[known]
    lengths = np.unique(where.lengths[known])
    value: dict[str, Any] = {"n": int(known.sum()), "centre": centre.mean()}
    if explanation.total is None:
        number, length = int(half[0]), int(lengths[0])
        shares = step_shares(explanation.found)[0][explanation.found.counted[0]]
        steps = sorted((1 + np.argsort(-shares, kind="stable")[:number]).tolist())
        named = f" ({', '.join(map(str, steps))})" if number <= _MOST_STEPS else ""
        sentence = (
            f"Half of the absolute attribution lies in {counted(number, 'step')} of "
            f"{length:,}{named}; its centre of mass is step {centre[0]:.1f}"
        )
        return Finding("concentration", sentence, {**value, "half": number, "steps": steps})
    median = median_of(half)
    value |= {"half": median.value, "length": lengths.tolist()}
    text = f"{median.value:g}"
    if median.interval is not None:
        text += f" [{median.interval.low:g}, {median.interval.high:g}]"
        value |= {"half_low": median.interval.low, "half_high": median.interval.high}
    of = f"{lengths[0]:,}" if len(lengths) == 1 else f"{lengths[0]:,} to {lengths[-1]:,}"
    sentence = (
        f"Half of a mistake's absolute attribution lies in {text} of its {of} steps (median over "
        f"{counted(len(half), 'mistake')}); its centre of mass is on average step "
        f"{_mean_text(centre, 1, float(lengths[-1]))}"
    )
    if len(lengths) > 1:
        sentence += "; steps are counted from the start, lengths are not taken into account"
    return Finding("concentration", sentence, value)
