"""Several splits and several measures in the report of a reproduction."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from reproduced import (
    LONG,
    accuracies,
    reproduction_of,
    seed_runs,
    sentence,
    table,
    three_runs,
    two_splits,
    value,
)

from rnnprobe.reports.reproduce import reproduce_report
from rnnprobe.table import to_csv, to_json


def test_splits_stand_below_each_other_in_the_report_s_own_order_of_columns() -> None:
    report = reproduce_report(two_splits())
    shown = table(report, "report_table")
    assert [column.title for column in shown.columns] == [
        "batch size", "optimizer", "split", "val. loss", "test",
    ]  # fmt: skip
    assert [row[:3] for row in shown.rows[:3]] == [
        ("16", "adam", "split lines (the report's)"),
        ("16", "adam", "equal inputs together"),
        ("16", "adam", "difference"),
    ]
    assert shown.rows[0][3:] == ("0.610 ± 0.014 [0.600]", "0.82 ± 0.03 [0.80]")
    assert shown.rows[1][3:] == ("0.725 ± 0.035", "0.74 ± 0.06")
    assert shown.rows[3][3] == "0.505 ± 0.0071", "not published, so no brackets"


def welch(parts: Sequence[tuple[float, float]], difference: float) -> tuple[float, float]:
    total = sum(variance for variance, _ in parts)
    freedom = total**2 / sum(variance**2 / freedom for variance, freedom in parts)
    half = scipy.stats.t.ppf(0.975, freedom) * math.sqrt(total)
    return difference - half, difference + half


def test_the_difference_of_splits_counts_examples_and_seeds() -> None:
    shown = table(reproduce_report(two_splits()), "report_table")
    seeds = [(np.var(v, ddof=1) / 2, 1.0) for v in ((0.80, 0.84), (0.70, 0.78))]
    examples = [(p * (1 - p) / 100, math.inf) for p in (0.82, 0.74)]
    low, high = welch([*seeds, *examples], -0.08)
    assert shown.rows[2][4] == f"-0.08 ({low:.2f} to +{high:.2f})"
    result = scipy.stats.ttest_ind((0.7, 0.75), (0.6, 0.62), equal_var=False)
    low, high = result.confidence_interval()
    assert shown.rows[2][3] == f"+0.115 ({low:#.3g} to +{high:#.3g})", "a loss has seeds alone"


def test_the_mean_difference_takes_examples_as_common_and_seeds_as_independent() -> None:
    report = reproduce_report(two_splits())
    found = value(report, "split_own")
    assert found["mean"] == pytest.approx(np.mean([-0.08, -0.11])) and found["cells"] == 2
    cells = (((0.80, 0.84), (0.70, 0.78)), ((0.70, 0.72), (0.60, 0.60)))
    errors = [math.sqrt(sum(np.mean(v) * (1 - np.mean(v)) / 100 for v in pair)) for pair in cells]
    parts = [(float(np.mean(errors)) ** 2, math.inf)]
    parts += [(np.var(v, ddof=1) / 2 / 4, 1.0) for pair in cells for v in pair]
    low, high = welch(parts, found["mean"])
    assert (found["low"], found["high"]) == pytest.approx((low, high))
    assert sentence(report, "split_own").startswith(
        "Equal inputs together, less the report's split: test accuracy -0.10 on average over 2 "
        "cells, from -0.11 to -0.08, 95 % interval"
    )
    assert sentence(report, "split_own").endswith(", which takes all cells to be wrong on the same "
                                                  "examples")  # fmt: skip


def test_the_difference_of_one_cell_is_no_average() -> None:
    one = [[seed_runs((0.6,), (0.8,)), []], [seed_runs((0.7,), (0.6,)), []]]
    said = sentence(reproduce_report(reproduction_of(LONG, *one)), "split_own")
    half = scipy.stats.norm.ppf(0.975) * math.sqrt((0.8 * 0.2 + 0.6 * 0.4) / 100)
    assert said == (
        "Equal inputs together, less the report's split: test accuracy -0.20, 95 % interval "
        f"{-0.2 - half:.2f} to {-0.2 + half:.2f}"
    )


def test_of_one_run_a_loss_has_no_interval_and_an_accuracy_that_of_its_examples() -> None:
    one = [[seed_runs((0.6,), (0.8,)), seed_runs((0.5,), (0.7,))],
           [seed_runs((0.7,), (0.6,)), seed_runs((0.9,), (0.6,))]]  # fmt: skip
    shown = table(reproduce_report(reproduction_of(LONG, *one)), "report_table")
    half = scipy.stats.norm.ppf(0.975) * math.sqrt((0.8 * 0.2 + 0.6 * 0.4) / 100)
    assert shown.rows[2][3:] == ("+0.100", f"-0.20 ({-0.2 - half:.2f} to {-0.2 + half:.2f})")


def test_each_measure_has_its_line_and_relative_ones_are_shares() -> None:
    records = table(reproduce_report(two_splits()), "by_measure").records()
    assert [row["measure"] for row in records] == ["val. loss", "test"]
    assert records[0]["compared"] == 1 and records[0]["agrees"] == 1
    assert records[0]["tolerance"] == "10%" and records[0]["mean"] == "2%"
    assert records[1]["compared"] == 2 and records[1]["mean"] == "0.02"
    assert records[1]["largest"] == "0.02", "of 0.02 and 0.01"
    assert not table(reproduce_report(three_runs()), "by_measure").rows


def test_csv_and_json_hold_every_measure_of_every_cell_and_split() -> None:
    report = reproduce_report(two_splits())
    read = list(csv.DictReader(io.StringIO(to_csv(report))))
    document = json.loads(to_json(report))
    assert len(read) == len(document["rows"]) == 2 * 2 * 2
    for line, row in zip(read, document["rows"], strict=True):
        assert line["measure"] == row["measure"] and line["split"] == row["split"]
        assert float(line["measured"]) == row["measured"]
    first = document["rows"][1]
    assert first["split"] == "lines" and first["batch_size"] == 16 and first["finished"] == 2
    assert first["measured"] == np.mean([0.80, 0.84]) and first["published"] == 0.8
    assert first["sd"] == pytest.approx(np.std([0.80, 0.84], ddof=1))
    assert first["difference"] == pytest.approx(0.02) and first["verdict"] == "agrees"
    assert document["rows"][2]["published_status"] == "none"
    assert document["rows"][5]["verdict"] is None, "the other split is not the report's"
    assert len(document["runs"]) == 8 and document["runs"][0]["metrics"]["test_accuracy"] == 0.8
    dead = json.loads(to_json(reproduce_report(three_runs())))["rows"][3]
    assert dead["published_status"] == "DNF" and dead["published"] is None
    assert (dead["finished"], dead["wanted"], dead["reasons"]) == (2, 3, ["oom"])


def test_a_diverged_loss_is_written_as_no_number() -> None:
    (diverged,) = accuracies(0.8)
    diverged = replace(diverged, history={"val_loss": [math.nan] * 3})
    one = [[diverged], seed_runs((0.5,), (0.7,))]
    report = reproduce_report(reproduction_of(LONG, one, one))
    assert table(report, "report_table").rows[0][3] == "NaN [0.600] ≠"
    assert json.loads(to_json(report))["rows"][0]["measured"] is None
    assert table(report, "by_measure").rows[0][-2:] == (None, None)
