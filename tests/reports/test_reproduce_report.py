"""The report of a reproduction, from runs written by hand, against numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from reproduced import (
    DEAD,
    GRID,
    accuracies,
    dataset_of,
    keys,
    reproduction_of,
    run_of,
    sentence,
    table,
    three_runs,
    two_splits,
    value,
)

import rnnprobe.experiments
from rnnprobe.experiments._claims import Higher
from rnnprobe.experiments._limits import parse_limits
from rnnprobe.experiments._record import Cell, Measure
from rnnprobe.reports.reproduce import reproduce_report
from rnnprobe.table import to_csv, to_json, to_markdown


def test_the_pivot_has_mean_deviation_published_value_and_mark() -> None:
    shown = table(reproduce_report(three_runs()), "report_table")
    deviation = np.std([0.70, 0.95, 0.70], ddof=1)
    assert [column.title for column in shown.columns] == [
        "units", "learning rate 0.001", "learning rate 0.1",
    ]  # fmt: skip
    assert shown.rows == (
        ("8", "0.5200 ± 0.0265 [0.5000]", f"0.7833 ± {deviation:.4f} [0.9000] ≈"),
        ("16", "0.5100 ± 0.0100 [0.7000] ≠", "0.2500 ± 0.0707 (2/3) [DNF]"),
    )


def test_marks_are_explained_where_they_occur_and_nowhere_else() -> None:
    note = reproduce_report(three_runs()).sections[0].note
    assert "≈ is off by more" in note and "≠ differs" in note and "unstable" not in note
    agreeing = reproduction_of(GRID, [accuracies(v) for v in (0.5, 0.9, 0.7, 0.1)])
    assert "Marks" not in reproduce_report(agreeing).sections[0].note


def test_agreement_is_counted_and_the_largest_difference_has_its_cell() -> None:
    report = reproduce_report(three_runs())
    assert value(report, "agreement") == {
        "agrees": 1, "within noise": 1, "differs": 1, "DNF there": 1,
    }  # fmt: skip
    assert sentence(report, "agreement").startswith(
        "Of 4 published cells compared in test accuracy: 1 agrees within 0.03, 1 is off by more, "
        "but within noise, 1 differs, 1 finished here and not in the report"
    )
    sizes = [0.02, 0.9 - (0.7 + 0.95 + 0.7) / 3, 0.19]
    found = value(report, "distance")
    assert found["mean"] == pytest.approx(np.mean(sizes)) and found["cells"] == 3
    assert found["largest"] == pytest.approx(0.19)
    assert found["cell"] == {"units": 16, "learning_rate": 0.001}


def test_what_finished_nowhere_says_why() -> None:
    dead = [run_of(0, message=DEAD)]
    reproduction = reproduction_of(
        GRID, [accuracies(0.5), dead, [run_of(0, message="a|b: x")], dead]
    )
    report = reproduce_report(reproduction)
    assert table(report, "report_table").rows == (
        ("8", "0.5000 [0.5000]", "DNF oom [0.9000]"),
        ("16", "DNF a\\|b [0.7000]", "DNF oom [DNF]"),
    )
    assert [row["verdict"] for row in table(report, "cells").records()] == [
        "agrees", "DNF here (oom)", "DNF here (a|b)", "DNF in both (oom)",
    ]  # fmt: skip
    assert value(report, "did_not_finish") == {"oom": 2, "a|b": 1}
    assert "3 of 4 runs (a\\|b 1, oom 2)" in sentence(report, "did_not_finish")
    assert "a\\|b" in to_markdown(report) and "9 GB" not in to_markdown(report)


def test_a_broken_reproduction_shows_dashes_and_counts_what_is_missing() -> None:
    reproduction = reproduction_of(GRID, [accuracies(0.5), [], accuracies(0.7), []], repeats=2)
    report = reproduce_report(replace(reproduction, unreadable=1))
    assert table(report, "report_table").rows == (
        ("8", "0.5000 (1/2) [0.5000]", "– [0.9000]"),
        ("16", "0.7000 (1/2) [0.7000]", "– [DNF]"),
    )
    assert value(report, "missing") == 6
    assert "6 of 8 runs are missing" in sentence(report, "missing")
    assert "1 line that cannot be read" in sentence(report, "unreadable")
    assert "Of 2 published cells" in sentence(report, "agreement")


def test_without_any_run_nothing_is_compared() -> None:
    report = reproduce_report(reproduction_of(GRID, [[], [], [], []]))
    assert sentence(report, "agreement").startswith("Nothing is compared yet")
    assert "distance" not in keys(report) and "seconds" not in keys(report)
    assert {row["verdict"] for row in table(report, "claims").records()} == {"not measured"}
    to_markdown(report), to_json(report), to_csv(report)


def test_one_run_says_that_seeds_are_unknown_and_three_do_not() -> None:
    one = reproduction_of(GRID, [accuracies(v) for v in (0.5, 0.9, 0.7, 0.1)])
    report = reproduce_report(one)
    assert (
        "--repeats 3" in sentence(report, "one_run") and "one run a cell, seed 0" in report.caption
    )
    assert "sd" not in [column.key for column in table(report, "cells").columns]
    several = reproduce_report(three_runs())
    assert "one_run" not in keys(several) and "n = 3 runs a cell (seeds 0 to 2)" in several.caption
    assert {"sd", "finished"} <= {column.key for column in table(several, "cells").columns}


def test_cells_behind_the_limit_are_left_out_and_named() -> None:
    reproduction = reproduction_of(
        GRID, [accuracies(0.5), accuracies(0.9)], limits=parse_limits("units<=8")
    )
    report = reproduce_report(reproduction)
    assert len(table(report, "report_table").rows) == 1
    assert sentence(report, "left_out") == (
        "Left out by the limit units&lt;=8: 2 of 4 cells (units 16)"
    )
    assert value(report, "left_out") == [
        {"units": 16, "learning_rate": 0.001}, {"units": 16, "learning_rate": 0.1},
    ]  # fmt: skip


def test_cells_that_no_level_tells_are_left_out_by_name() -> None:
    cells = (*GRID.cells[:3], Cell({"units": 16, "learning_rate": 0.1}, {"test_accuracy": 0.4}))
    odd = replace(GRID, cells=(cells[0], cells[3], cells[1], cells[2]))
    limits = parse_limits("units<=8,learning_rate<=0.01")
    report = reproduce_report(reproduction_of(odd, [accuracies(0.5)], limits=limits))
    assert "3 of 4 cells (units 16; learning rate 0.1)" in sentence(report, "left_out")


def test_a_twin_makes_cells_unstable_and_gives_a_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rnnprobe.experiments.EXPERIMENTS, "twin", "reproduced:TWIN")
    mine = replace(GRID, twin="twin")
    reproduction = reproduction_of(mine, [accuracies(v) for v in (0.50, 0.70, 0.73, 0.12)])
    report = reproduce_report(reproduction)
    found = value(report, "twin")
    sizes = [abs(0.50 - 0.51), abs(0.73 - 0.705)]
    assert found["mean"] == pytest.approx(np.mean(sizes)) and found["cells"] == 2
    assert found["largest"] == pytest.approx(max(sizes)) and found["reports_differ"] == 1
    assert found["cell"] == {"units": 16, "learning_rate": 0.001}
    assert value(report, "distance")["cells"] == 2, "unstable cells are not compared"
    shown = table(report, "report_table").rows[0]
    assert shown[2] == "0.7000 [0.9000] ~"
    assert "two reports of this protocol differ" in report.sections[0].note
    assert [row["other"] for row in table(report, "cells").records()][:2] == ["0.5200", "0.4000"]


def test_many_values_show_the_first_measure_alone() -> None:
    measures = tuple(Measure(f"train_{n}", f"Train {n}") for n in range(1, 16))
    wide = replace(GRID, columns=(), rows=("units", "learning_rate"),
                   measures=(*GRID.measures, *measures))  # fmt: skip
    report = reproduce_report(reproduction_of(wide, [accuracies(0.5)] * 4))
    assert table(report, "cells").title == "Test accuracy; 15 more measures in CSV and JSON"
    assert len(table(report, "cells").rows) == 4 and len(report.main.rows) == 64


def test_claims_have_verdict_evidence_interval_and_remark() -> None:
    report = reproduce_report(three_runs())
    records = table(report, "claims").records()
    assert records[0]["evidence"] == "0.3800 against 0.5200: -0.1400"
    assert records[0]["verdict"] == "within noise", "two runs tell little"
    assert "of the drawn tables" in records[0]["remark"]
    assert "Large is \\| better" in to_markdown(report)
    single = reproduce_report(reproduction_of(GRID, [accuracies(v) for v in (0.5, 0.9, 0.3, 0.1)]))
    held = table(single, "claims").records()
    assert [row["verdict"] for row in held] == ["does not hold", "holds"]
    low, high = map(float, held[1]["interval"].split(" to "))
    half = 1.96 * math.sqrt((0.9 * 0.1 + 0.5 * 0.5) / 100)
    assert (low, high) == pytest.approx((0.4 - half, 0.4 + half), abs=0.01)


def test_a_claim_about_time_brings_a_column_of_seconds_and_no_interval() -> None:
    claim = Higher("Size costs", over={"units": 16}, under={"units": 8}, metric="seconds")
    timed = replace(GRID, claims=(claim,))
    runs = [[run_of(0, seconds, test_accuracy=0.5)] for seconds in (1.0, 2.0, 3.0, 5.0)]
    report = reproduce_report(reproduction_of(timed, runs))
    assert [row["seconds"] for row in table(report, "cells").records()] == [1.0, 2.0, 3.0, 5.0]
    (held,) = table(report, "claims").records()
    assert held["interval"] is None
    assert held["verdict"] == "noise unknown"
    assert held["remark"] == "the report's table cannot tell"
    assert "11.0 s of training in 4 runs, 1.0 s to 5.0 s each" in sentence(report, "seconds")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "; the experiment's own data."),
        ({"data": "mnist"}, "; the experiment's own data."),
        ({"data": "mnist-5k"}, "; a quick look: 30 training examples, not the report's data."),
        ({"data": "fashion-mnist"}, "fashion-mnist in the place of mnist; nothing shows that it"),
        ({"data": "/home/me/a|b.npz"}, "; the path a\\|b.npz in the place of mnist; nothing shows"),
        ({"limit_examples": 1000}, "own data, cut to at most 1,000 examples a part."),
    ],
)
def test_the_caption_says_whose_data_it_is(settings: Mapping[str, Any], said: str) -> None:
    report = reproduce_report(reproduction_of(GRID, [accuracies(0.5)] * 4, **settings))
    assert said in report.caption
    assert "/home" not in to_markdown(report)
    assert "digest digest-of-digits-0" in report.caption


def test_a_file_of_the_known_digest_is_the_experiment_s_own_data() -> None:
    known = replace(dataset_of(), digest="a4d19829abbf22a4")
    reproduction = reproduction_of(
        GRID, [accuracies(0.5)] * 4, datasets=[known], data="/data/mnist.npz"
    )
    said = "the path mnist.npz in the place of mnist, with the same digest, so the experiment's own"
    assert said in reproduce_report(reproduction).caption


def test_the_protocol_is_listed_and_escaped() -> None:
    report = reproduce_report(three_runs())
    text = to_markdown(report)
    assert "- Some &lt;b&gt;bold&lt;/b&gt; words" in text and "- Adam." in text
    assert report.sections[-2].findings[0].value == "Some <b>bold</b> words"
    assert [part.title for part in reproduce_report(two_splits()).sections] == [
        "The report's table", "Cell by cell",
    ]  # fmt: skip
