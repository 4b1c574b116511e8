"""The report of a reproduction, from runs written by hand, against numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reproduced import (
    DEAD,
    GRID,
    TWIN,
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
from rnnprobe.experiments._claims import (
    Bounded,
    Claim,
    ExplainsMore,
    Higher,
    NoBetter,
    Ordered,
)
from rnnprobe.experiments._limits import parse_limits
from rnnprobe.experiments._record import Measure
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
        ("16", "0.5100 ± 0.0100 [0.7000] ≠", "0.2500 ± 0.0707 (2/3, DNF oom) [DNF]"),
    )


def test_marks_are_explained_where_they_occur_and_nowhere_else() -> None:
    note = reproduce_report(three_runs()).sections[0].note
    assert "≈ is off by more" in note and "≠ differs" in note and "unstable" not in note
    assert "without a mark it agrees or is DNF." in note
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
        "agrees", "DNF here", "DNF here", "DNF in both",
    ]  # fmt: skip
    assert value(report, "did_not_finish") == {"oom": 2, "a|b": 1}
    assert "3 of 4 runs (a\\|b 1, oom 2)" in sentence(report, "did_not_finish")
    assert "a\\|b" in to_markdown(report) and "9 GB" not in to_markdown(report)


def test_a_cell_of_which_runs_died_agrees_with_nothing() -> None:
    part = [*accuracies(0.90, 0.91), run_of(2, message=DEAD)]
    runs = [accuracies(0.5, 0.5, 0.5), part, accuracies(0.7, 0.7, 0.7), []]
    report = reproduce_report(reproduction_of(GRID, runs))
    assert value(report, "agreement") == {"agrees": 2, "DNF in part": 1}
    assert sentence(report, "agreement").endswith("1 finished here in part of its runs")
    assert value(report, "distance")["cells"] == 2
    measured, verdict = table(report, "cells").rows[1][3], table(report, "cells").rows[1][-1]
    assert (measured, verdict) == ("0.9050 ± 0.0071 (2/3, DNF oom)", "DNF in part")


def test_runs_whose_saved_model_is_gone_are_counted() -> None:
    assert "missing_models" not in keys(reproduce_report(three_runs()))
    reproduction = three_runs()
    (part,) = reproduction.parts
    gone = [replace(one, activations=({"a_mean": 1.0}, {}, {})[: len(one.finished)])
            for one in part.cells]  # fmt: skip
    report = reproduce_report(replace(reproduction, parts=(replace(part, cells=tuple(gone)),)))
    assert value(report, "missing_models") == 2 + 2 + 2 + 1
    assert "The saved model of 7 runs is gone" in sentence(report, "missing_models")


def test_one_cell_is_no_average() -> None:
    report = reproduce_report(reproduction_of(GRID, [accuracies(0.52), [], [], []]))
    assert sentence(report, "distance") == (
        "Measured less published: 0.0200 in size (units 8, learning rate 0.001)"
    )


def test_a_broken_reproduction_shows_dashes_and_counts_what_is_missing() -> None:
    reproduction = reproduction_of(GRID, [accuracies(0.5), [], accuracies(0.7), []], repeats=2)
    report = reproduce_report(replace(reproduction, unreadable=1, folder=Path("my runs")))
    assert table(report, "report_table").rows == (
        ("8", "0.5000 (1/2) [0.5000]", "– [0.9000]"),
        ("16", "0.7000 (1/2) [0.7000]", "– [DNF]"),
    )
    assert value(report, "missing") == 6
    assert sentence(report, "missing") == (
        "Not complete: 6 of 8 runs are missing; cells without any show a dash; "
        "to make them: rnnprobe reproduce --run-dir 'my runs' --resume"
    )
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
    assert sentence(report, "few_runs").startswith("1 run a cell: verdicts of cells know the noise")
    assert "one run a cell, seed 0" in report.caption
    two = reproduce_report(reproduction_of(GRID, [accuracies(v, v) for v in (0.5, 0.9, 0.7, 0.1)]))
    assert sentence(two, "few_runs").startswith("2 runs a cell")
    several = reproduce_report(three_runs())
    assert "few_runs" not in keys(several) and "n = 3 runs a cell (seeds 0 to 2)" in several.caption


def test_the_note_says_how_far_the_noise_of_the_examples_reaches() -> None:
    large = dataset_of(sizes=(30, 20, 10_000))
    report = reproduce_report(reproduction_of(GRID, [accuracies(0.5)] * 4, datasets=[large]))
    assert "(of 10,000 in test: up to 0.014) and, from 3 runs of a cell on" in (
        report.sections[0].note
    )
    assert "(of 100 in test: up to 0.14)" in reproduce_report(three_runs()).sections[0].note


def test_cells_behind_the_limit_are_left_out_and_named() -> None:
    reproduction = reproduction_of(
        GRID, [accuracies(0.5), accuracies(0.9)], limits=parse_limits("units<=8")
    )
    report = reproduce_report(reproduction)
    assert len(table(report, "report_table").rows) == 1
    assert sentence(report, "left_out") == (
        "Left out by the limit units&lt;=8: 2 of 4 cells "
        "(units 16, learning rate 0.001; units 16, learning rate 0.1)"
    )
    assert value(report, "left_out") == [
        {"units": 16, "learning_rate": 0.001}, {"units": 16, "learning_rate": 0.1},
    ]  # fmt: skip


def test_of_many_cells_left_out_the_first_are_named() -> None:
    odd = replace(GRID, cells=(*GRID.cells, *TWIN.cells))
    limits = parse_limits("units<=8,learning_rate<=0.01")
    report = reproduce_report(reproduction_of(odd, [accuracies(0.5)] * 2, limits=limits))
    assert "6 of 8 cells (units 8, learning rate 0.1; " in sentence(report, "left_out")
    assert sentence(report, "left_out").endswith(" and 3 more)")
    assert len(value(report, "left_out")) == 6


def test_a_twin_makes_cells_unstable_and_gives_a_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rnnprobe.experiments.EXPERIMENTS, "twin", "reproduced:TWIN")
    mine = replace(GRID, twin="twin")
    reproduction = reproduction_of(mine, [accuracies(v) for v in (0.50, 0.70, 0.73, 0.12)])
    report = reproduce_report(reproduction)
    found = value(report, "twin")
    sizes = [abs(0.50 - 0.51), abs(0.73 - 0.705)]
    assert found["mean"] == pytest.approx(np.mean(sizes)) and found["cells"] == 2
    assert found["largest"] == pytest.approx(max(sizes))
    assert value(report, "agreement") == {"agrees": 2, "unstable": 1, "DNF there": 1}
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
    assert table(report, "cells").title == "Test accuracy"
    assert len(table(report, "cells").rows) == 4 and len(report.main.rows) == 64
    assert len(table(report, "report_table").columns) == 2 + 16


def test_claims_have_verdict_evidence_interval_and_remark() -> None:
    report = reproduce_report(three_runs())
    records = table(report, "claims").records()
    assert records[0]["evidence"] == "0.3800 against 0.5200: -0.1400"
    assert records[0]["verdict"] == "within noise", "two runs tell little"
    assert "of the drawn tables" in records[0]["remark"]
    assert [row["whose"] for row in records] == ["the report's", "read off its table"]
    assert report.sections[2].title == "Conclusions"
    assert "Large is \\| better" in to_markdown(report)
    single = reproduce_report(reproduction_of(GRID, [accuracies(v) for v in (0.5, 0.9, 0.3, 0.1)]))
    held = table(single, "claims").records()
    assert [row["verdict"] for row in held] == ["does not hold", "holds"]
    assert held[1]["remark"] is None
    low, high = map(float, held[1]["interval"].removeprefix("lead ").split(" to "))
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
    assert held["remark"] is None
    assert "11 s of training in 4 runs, 1 s to 5 s each" in sentence(report, "seconds")


def test_a_claim_about_cells_that_were_left_out_in_part_says_of_how_many_it_is_asked() -> None:
    claim = Higher("Fast is better", over={"learning_rate": 1e-1}, under={"learning_rate": 1e-3})
    runs, limits = [accuracies(0.5), accuracies(0.9)], parse_limits("units<=8")
    report = reproduce_report(reproduction_of(replace(GRID, claims=(claim,)), runs, limits=limits))
    (asked,) = table(report, "claims").records()
    assert (asked["verdict"], asked["remark"]) == ("holds (asked of 2 of 4 cells)", None)
    (judged,) = report.sections[2].findings[0].value
    assert (judged["asked"], judged["whole"], judged["read_off"]) == (2, 4, False)


@pytest.mark.parametrize(
    ("claim", "number"),
    [
        (Bounded("", where={}, lower=0.2), "smallest value 0.1"),
        (Bounded("", where={"units": 8}, upper=0.95), "largest value 0."),
        (Ordered("", "units", rises=True), "smallest step -0."),
        (ExplainsMore("", "units", "learning_rate"), "difference of shares "),
        (NoBetter("", cells={"units": 16}, than={"units": 8}, by=0.0), "difference -0."),
    ],
)
def test_an_interval_names_its_number(claim: Claim, number: str) -> None:
    runs = [accuracies(v) for v in (0.5, 0.9, 0.7, 0.2)]
    report = reproduce_report(reproduction_of(replace(GRID, claims=(claim,)), runs))
    assert table(report, "claims").records()[0]["interval"].startswith(number)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "; the experiment's own data."),
        ({"data": "mnist"}, "; the experiment's own data."),
        ({"data": "mnist-5k"}, "; not the experiment's data, which is mnist: a quick look."),
        ({"data": "/home/me/a.npz"}, "; no digest tells that it is the experiment's data, which"),
        ({"data": "my.module:load"}, "; no digest tells that it is the experiment's data, which"),
        (
            {"limit_examples": 1000},
            "own data; cut to at most 1,000 examples a part: a quick look.",
        ),
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
    report = reproduce_report(reproduction)
    assert "; the experiment's own data, as its digest tells." in report.caption
    assert "followed here" in report.sections[-2].title


@pytest.mark.parametrize("settings", [{"data": "mnist-5k"}, {"limit_examples": 1000}])
def test_the_protocol_of_a_quick_look_is_headed_as_another_s(settings: Mapping[str, Any]) -> None:
    report = reproduce_report(reproduction_of(GRID, [accuracies(0.5)] * 4, **settings))
    for section in report.sections[-2:]:
        assert section.title.startswith("Protocol: what ")
        assert "see above" in section.title and "here" not in section.title


def test_the_protocol_is_listed_and_escaped() -> None:
    report = reproduce_report(three_runs())
    text = to_markdown(report)
    assert "- Some &lt;b&gt;bold&lt;/b&gt; words" in text and "- Adam." in text
    assert report.sections[-2].findings[0].value == "Some <b>bold</b> words"
    assert [part.title for part in reproduce_report(two_splits()).sections] == [
        "The report's table", "Cell by cell",
    ]  # fmt: skip


def test_other_data_are_no_reproduction_before_anything_else() -> None:
    runs = [accuracies(v) for v in (0.5, 0.9, 0.7, 0.1)]
    assert "quick_look" not in keys(reproduce_report(reproduction_of(GRID, runs)))
    other = reproduce_report(reproduction_of(GRID, runs, data="fashion-mnist"))
    assert other.findings[0].sentence.startswith("**No reproduction: other data")
    fewer = reproduce_report(reproduction_of(GRID, runs, limit_examples=7))
    assert fewer.findings[0].sentence == "**No reproduction: at most 7 examples of each part**"
    assert fewer.facts["quick_look"] == "no reproduction: at most 7 examples of each part"


def test_the_same_again_is_one_command() -> None:
    report = reproduce_report(three_runs())
    assert value(report, "again") == "rnnprobe reproduce grid --repeats 3"
    limited = reproduction_of(
        GRID,
        [accuracies(0.5), accuracies(0.9)],
        limits=parse_limits("units<=8"),
        seed=2,
        data="/a b/own.npz",
    )
    assert value(reproduce_report(limited), "again") == (
        "rnnprobe reproduce grid --limit 'units<=8' --seed 2 --data own.npz"
    )
