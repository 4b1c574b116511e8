"""The report of `rnnprobe confusions` on several models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnprobe._versions import made_by
from rnnprobe.confusions.stability import Stability, StablePair
from rnnprobe.datasets._conflicts import split_keys
from rnnprobe.records import SequenceDataset
from rnnprobe.reports._common import counted, data_phrase, repeats_findings
from rnnprobe.statistics import wilson_interval
from rnnprobe.table import Column, Finding, Report, Table, escape

_PAIR_COLUMNS = (
    Column("rank", "#", "integer"),
    Column("true", "true"),
    Column("predicted", "predicted"),
    Column("counts", "count by model"),
    Column("mean", "mean", "decimal", 1),
    Column("sd", "sd", "decimal", 1),
    Column("support", "of", "integer"),
    Column("share", "mean share", "decimal", 3),
    Column("low", "95 % from", "decimal", 3),
    Column("high", "to", "decimal", 3),
    Column("models", "models with it", "integer"),
    Column("distinct", "distinct examples", "integer"),
    Column("distinct_by_chance", "by chance", "decimal", 1),
    Column("every_model", "in every model", "integer"),
    Column("every_model_by_chance", "by chance", "decimal", 1),
    Column("more_than_half", "in more than half", "integer"),
    Column("one_model", "in one alone", "integer"),
    Column("one_model_by_chance", "by chance", "decimal", 1),
    Column("discordant", "discordant examples", "integer"),
    Column("q", "Cochran's Q", "general"),
    Column("method", "method"),
    Column("p_rate", "p, equally often", "p_value"),
    Column("p_rate_holm", "p (Holm), equally often", "p_value"),
    Column("p_examples", "p, any examples", "p_value"),
    Column("p_examples_holm", "p (Holm), any examples", "p_value"),
    Column("verdict", "verdict"),
    Column("examples", "most often mistaken"),
)
_SHOWN_EXAMPLES = 5


def confusions_models_report(
    stability: Stability,
    *,
    names: Sequence[str],
    same_settings: bool,
    dataset: SequenceDataset,
    part: str = "test",
    top: int = 10,
) -> Report:
    """Return the pairs that several models confuse: which they share, and which they do not.

    Args:
        stability: What was found.
        names: The models' names, as the user writes them.
        same_settings: Whether the models are known to differ in nothing but the seed. If so the
            intervals of three or more cover other seeds too, and a difference is called one
            between runs.
        dataset: The data of all.
        part: The part of the data.
        top: How many pairs and examples to list.
    """
    rows = [
        _row(rank, pair, stability.predictions[0].class_names, same_settings)
        for rank, pair in enumerate(stability.pairs[:top], start=1)
    ]
    table = Table(_PAIR_COLUMNS, tuple(rows))
    differ = "alike but for the seed" if same_settings else "not known to be alike but for the seed"
    findings = [
        _accuracy(stability, same_settings),
        *_overlap(stability, same_settings),
        *_verdicts(stability, same_settings, min(top, len(stability.pairs))),
        _tests(stability),
        _intervals(same_settings, len(names)),
        *_copies(stability, names),
        *repeats_findings(len(set(split_keys(dataset.splits[part]))), stability.total),
    ]
    return Report(
        command="confusions-models",
        caption=f"**Confusions** of {len(names)} models, {differ}, on {data_phrase(dataset)}, "
        f"{part} part (n = {stability.total:,}): pairs by mean count",
        main=table,
        shown=_compact(table, len(names)),
        findings=tuple(findings),
        tables={
            "models": _models_table(stability, names),
            "times_wrong": _times_table(stability),
            "wrong_in_every_model": _examples_table(stability, dataset, part, top),
        },
        made_by=made_by(),
        facts={
            "digest": dataset.digest,
            "classes": list(dataset.class_names),
            "models": list(names),
            "same_settings": same_settings,
        },
    )


def _row(
    rank: int, pair: StablePair, classes: Sequence[str], same_settings: bool
) -> tuple[Any, ...]:
    rates, chance = pair.homogeneity, pair.by_chance
    return (
        rank,
        classes[pair.true],
        classes[pair.predicted],
        pair.counts,
        pair.mean,
        pair.deviation,
        pair.support,
        pair.share,
        *((same_settings and pair.interval_over_models) or pair.interval),
        pair.num_models,
        len(pair.examples),
        sum(chance),
        pair.recurrence[-1],
        chance[-1],
        pair.in_more_than_half,
        pair.recurrence[0],
        chance[0],
        rates.discordant,
        rates.statistic,
        rates.method,
        rates.p_value,
        pair.homogeneity_adjusted,
        pair.same_examples.p_value,
        pair.same_examples_adjusted,
        pair.verdict,
        pair.examples[:_SHOWN_EXAMPLES],
    )


def _compact(table: Table, num_models: int) -> Table:
    """Return what of the wide table fits into a page."""
    columns = (
        *_PAIR_COLUMNS[:4],
        Column("support", "of", "integer"),
        Column("share", "mean share", "markdown"),
        Column("models", "models", "markdown"),
        Column("distinct", "distinct examples (by chance)", "markdown"),
        Column("every_model", "in every model (by chance)", "markdown"),
        Column("one_model", "in one alone (by chance)", "markdown"),
        Column("p_rate_holm", "p: equally often", "p_value"),
        Column("p_examples_holm", "p: any examples", "p_value"),
        Column("verdict", "verdict", "markdown"),
    )
    rows = []
    for record in table.records():
        record["share"] = f"{record['share']:.3f} [{record['low']:.3f}, {record['high']:.3f}]"
        record["models"] = f"{record['models']} of {num_models}"
        for key in ("distinct", "every_model", "one_model"):
            record[key] = f"{record[key]:,} ({_rounded(record[f'{key}_by_chance'])})"
        if record["verdict"] in ("stable", "mixed", "differs"):
            record["verdict"] = f"**{record['verdict']}**"
        rows.append(tuple(record[column.key] for column in columns))
    return Table(columns, tuple(rows))


def _rounded(expected: float) -> str:
    return f"{expected:.1f}" if expected >= 0.05 else "< 0.1"


def _models_table(stability: Stability, names: Sequence[str]) -> Table:
    columns = (
        Column("model", "model"),
        Column("correct", "correct", "integer"),
        Column("accuracy", "accuracy", "decimal"),
        Column("low", "95 % from", "decimal"),
        Column("high", "to", "decimal"),
    )
    total = stability.total
    rows = [
        (name, correct, correct / total, *wilson_interval(correct, total))
        for name, correct in zip(names, stability.correct, strict=True)
    ]
    return Table(columns, tuple(rows), "The models, in the order of the counts")


def _times_table(stability: Stability) -> Table:
    columns = (
        Column("models", "models that are wrong", "integer"),
        Column("examples", "examples", "integer"),
        Column("by_chance", "by chance", "decimal", 1),
    )
    rows = enumerate(zip(stability.distribution, stability.by_chance, strict=True))
    title = "Examples by the number of models that get them wrong"
    return Table(columns, tuple((wrong, *counts) for wrong, counts in rows), title)


def _examples_table(stability: Stability, dataset: SequenceDataset, part: str, top: int) -> Table:
    classes = stability.predictions[0].class_names
    predicted = np.stack([one.predicted for one in stability.predictions])
    confidence = np.mean([one.confidence for one in stability.predictions], axis=0)
    right = np.mean([one.probabilities for one in stability.predictions], axis=0)
    tokens = dataset.kind == "tokens"
    columns = (
        Column("example", "example", "integer"),
        Column("true", "true"),
        Column("predicted", "predicted, by model"),
        Column("confidence", "mean confidence", "decimal", 3),
        Column("true_probability", "mean probability of true", "decimal", 3),
        *([Column("text", "text")] if tokens else []),
    )
    rows = []
    for index in stability.wrong_in_all[:top]:
        said = [classes[label] for label in predicted[:, index]]
        true = int(stability.predictions[0].y[index])
        text = (dataset.text(dataset.splits[part].x[index]),) if tokens else ()
        row = (index, classes[true], said, float(confidence[index]), float(right[index, true]))
        rows.append((*row, *text))
    title = "Wrong in every model, the most confident first"
    if len(stability.wrong_in_all) > top:
        title += f", {top} of {len(stability.wrong_in_all)} (--top)"
    return Table(columns, tuple(rows), title)


def _accuracy(stability: Stability, same_settings: bool) -> Finding:
    shares = np.array(stability.correct) / stability.total
    mean, deviation = float(shares.mean()), float(shares.std(ddof=1))
    what = "seeds" if same_settings else "models"
    sentence = (
        f"Accuracy: {mean:.4f} ± {deviation:.4f} (mean and standard deviation over "
        f"{len(shares)} {what}; from {shares.min():.4f} to {shares.max():.4f})"
    )
    return Finding("accuracy", sentence, {"mean": mean, "sd": deviation, "of": shares.tolist()})


def _overlap(stability: Stability, same_settings: bool) -> list[Finding]:
    """Say how many examples all models get wrong, and how many one alone."""
    number, total = len(stability.predictions), stability.total
    observed, chance = stability.distribution, stability.by_chance
    everywhere, once = observed[-1], observed[1]
    any_model = total - observed[0]
    all_models = "both models" if number == 2 else f"all {number} models"
    low, high = stability.interval
    other = "seeds" if same_settings else "models"
    sentence = (
        f"Wrong in {all_models}: {everywhere / total:.4f} [{low:.4f}, {high:.4f}] "
        f"({everywhere:,} of {total:,}; {_rounded(chance[-1])} if each model's mistakes fell on "
        f"any examples); {stability.num_same_class:,} of them taken for the same class by "
        f"{all_models}"
    )
    value = {
        "examples": everywhere,
        "share": everywhere / total,
        "low": low,
        "high": high,
        "by_chance": chance[-1],
        "same_class": stability.num_same_class,
    }
    findings = [Finding("wrong_in_every_model", sentence, value)]
    if any_model:
        sentence = (
            f"Of the {counted(any_model, 'example')} that any model gets wrong, {once:,} "
            f"({once / any_model:.1%}) are wrong in one model alone, {everywhere:,} "
            f"({everywhere / any_model:.1%}) in every one; more {other} would lower the latter "
            "share and raise the number of examples"
        )
        share = {"any_model": any_model, "one_model": once, "every_model": everywhere}
        findings.append(Finding("overlap", sentence, share))
    return findings


def _verdicts(stability: Stability, same_settings: bool, shown: int) -> list[Finding]:
    """Count the verdicts, and say what they mean."""
    verdicts: list[str] = [pair.verdict for pair in stability.pairs]
    count = {name: verdicts.count(name) for name in _MEANING}
    whose, own = "between the models", "the model's"
    if same_settings:
        whose, own = "from run to run", "the run's"
    said = "; ".join(
        f"**{name}** {count[name]:,} ({meaning.format(whose=whose, own=own)})"
        for name, meaning in _MEANING.items()
        if count[name]
    )
    note = f"; the {shown} with the largest mean are above (--top)" if shown < len(verdicts) else ""
    found = f"Confused pairs: {len(verdicts):,}{note}"
    findings = [Finding("num_pairs", found, len(verdicts))]
    if said:
        findings.append(Finding("verdicts", f"Verdicts: {said}", count))
    if count["differs"] + count["mixed"] and not same_settings:
        sentence = (
            "The models are not known to share their settings: a pair that differs may do so by "
            "the settings or by the seed. Give several seeds of one setting to tell these apart"
        )
        findings.append(Finding("settings", sentence, False))
    return findings


_MEANING = {
    "stable": "in every model, on more of the same examples than by chance, and no difference in "
    "how often was measured, where it could be: the data's, as far as can be told",
    "mixed": "on more of the same examples than by chance, yet how often differs {whose}",
    "differs": "how often differs {whose}, and they are no more the same examples than by chance, "
    "as far as can be told: {own} rather than the data's",
    "unclear": "neither a difference in how often, nor the same examples in every model, was "
    "measured",
    "too few": "too few mistakes for either test",
}


def _tests(stability: Stability) -> Finding:
    rates = [pair for pair in stability.pairs if pair.homogeneity_adjusted is not None]
    methods = Counter(pair.homogeneity.method for pair in rates)
    said = "; ".join(f"{_METHODS[name]}: {methods[name]:,}" for name in _METHODS if methods[name])
    same = sum(pair.same_examples_adjusted is not None for pair in stability.pairs)
    if len(stability.predictions) == 2:
        said = "McNemar's exact test"
    sentence = (
        "Tests, on the examples of the true class: that all models make the mistake equally often, "
        f"Cochran's Q{f' ({said})' if said else ''}, {counted(len(rates), 'pair')}; "
        "that each model's mistakes of the pair fall on any examples of the class, exact, by the "
        f"number of distinct ones, {counted(same, 'pair')}. p-values are after Holm's correction "
        "over these pairs, for each test by itself; of a dash, the mistakes are too few for the "
        "test to reject at 5 %. Not to reject is no proof"
    )
    value = {"equally_often": len(rates), "any_examples": same, "methods": dict(methods)}
    return Finding("tests", sentence, value)


_METHODS = {
    "exact": "exact",
    "permutation": "9,999 permutations, no p-value below 0.0001",
    "chi-square": "chi-square distribution",
}


def _intervals(same_settings: bool, num_models: int) -> Finding:
    covers, note = "other examples for these very models, not other models", ""
    if same_settings and num_models > 2:
        covers = "other examples and other seeds together"
        note = ". Where seeds differ very much the former may hold in a little less than 95 %"
    elif same_settings:
        covers = "other examples for these very models, not other seeds"
        note = ". Two seeds do not tell how much seeds differ: give three or more"
    sentence = (
        f"The 95 % intervals of the mean share cover {covers} (Wilson's, with the effective number "
        "of examples); that of the share wrong in every model covers other examples alone" + note
    )
    return Finding("intervals", sentence, covers)


def _copies(stability: Stability, names: Sequence[str]) -> list[Finding]:
    """Warn of models that are equal: they would count as agreement."""
    probabilities = [one.probabilities for one in stability.predictions]
    pairs = [
        (names[first], names[second])
        for second in range(len(names))
        for first in range(second)
        if np.array_equal(probabilities[first], probabilities[second])
    ]
    if not pairs:
        return []
    text = "; ".join(f"{escape(first)} and {escape(second)}" for first, second in pairs)
    sentence = (
        f"**Copies**: the same probabilities for every example, {text}. They agree by being one "
        "model: leave one of each out"
    )
    return [Finding("copies", sentence, pairs)]
