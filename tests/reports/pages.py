"""Pages to render in tests, and what reads them back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import numpy as np

from rnnprobe import SequenceDataset
from rnnprobe.confusions.study import study_predictions
from rnnprobe.records import Predictions
from rnnprobe.reports._figures import curves_figure, gallery
from rnnprobe.reports._probe_figures import confusions_figures
from rnnprobe.reports.confusions import confusions_report
from rnnprobe.reports.page import Chapter, Page, Picture
from rnnprobe.reports.sweep import sweep_report
from rnnprobe.search.results import CellRun, SweepResult
from rnnprobe.search.space import SearchSpace
from rnnprobe.specs import ModelSpec, Run, TrainSpec
from rnnprobe.table import Column, Finding, Report, Section, Table, escape, interval_columns

VOID = {"meta", "img", "path", "circle", "br"}
LOST = "oom: the child took 3 GB <b>& more</b>"


class Node:
    """An element of a parsed page."""

    def __init__(self, tag: str, attributes: Mapping[str, str | None]) -> None:
        self.tag, self.attributes = tag, attributes
        self.children: list[Node] = []
        self.pieces: list[str | Node] = []

    def __iter__(self) -> Any:
        yield self
        for child in self.children:
            yield from child

    def all(self, *tags: str) -> list[Node]:
        return [node for node in self if node.tag in tags]

    def has_class(self, name: str) -> bool:
        return name in (self.attributes.get("class") or "").split()

    @property
    def text(self) -> str:
        whole = "".join(p if isinstance(p, str) else p.text for p in self.pieces)
        return re.sub(r"\s+", " ", whole).strip()

    def shape(self) -> tuple[Any, ...]:
        return self.tag, sorted(self.attributes), tuple(child.shape() for child in self.children)


class Reader(HTMLParser):
    """Builds the tree of a page and refuses tags that do not match."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack = [Node("document", {})]
        self.comments: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        node = Node(tag, dict(attrs))
        self.stack[-1].children.append(node)
        self.stack[-1].pieces.append(node)
        if tag not in VOID:
            self.stack.append(node)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.stack.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.stack[-1].pieces.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def parse(html: str) -> Node:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert [node.tag for node in reader.stack] == ["document"]
    assert reader.comments == [" Written by rnnprobe "]
    return reader.stack[0]


def swept(
    values: SequenceDataset, axes: Mapping[str, tuple[Any, ...]], lost: int = 1
) -> SweepResult:
    """Two runs of each configuration; of the last `lost` of them the first did not finish."""
    rng = np.random.default_rng(3)
    space = SearchSpace(**axes)
    runs = []
    for repeat in (1, 2):
        for place, configuration in enumerate(space.configurations):
            dead = repeat == 1 and place >= len(space.configurations) - lost
            right = rng.random(len(values.validation)) < 0.4 + 0.1 * place
            train = TrainSpec(learning_rate=configuration["learning_rate"], seed=repeat - 1)
            metrics = {"val_accuracy": right.mean(), "val_loss": 1.0, "test_loss": 1.0}
            metrics |= {"test_accuracy": 0.987654 - place / 100, "test_correct": 9.0}
            metrics |= {"accuracy": 0.5, "loss": 1.0}
            run = Run(
                dataset_digest=values.digest,
                model=ModelSpec(cell="lstm", units=configuration["units"]),
                train=train,
                status="dnf" if dead else "ok",
                history={},
                metrics={} if dead else {name: float(v) for name, v in metrics.items()},
                seconds=1.25 * (place + 1) + repeat / 8,
                peak_memory=None,
                parameters=1000 + place,
                versions={},
                message=LOST if dead else "",
            )
            hits = "" if dead else np.packbits(right).tobytes().hex()
            runs.append(CellRun(configuration, repeat, run, hits))
    return SweepResult(space, 2, 0, {"epochs": 3}, tuple(runs))


AXES = {"cell": ("lstm",), "units": (4, 8, 16), "learning_rate": (0.001, 0.01)}


def sweep_chapter(values: SequenceDataset, axes: Mapping[str, tuple[Any, ...]] = AXES) -> Chapter:
    result = swept(values, axes)
    return Chapter("Which settings", "rnnprobe sweep", sweep_report(result, values), {}, result)


def confusions_chapter(names: tuple[str, ...] = ("a", "b_c", "d e")) -> Chapter:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 90)
    logits = rng.normal(size=(90, 3)) + 1.5 * np.eye(3)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    study = study_predictions(Predictions(labels, probabilities, names))
    figures = {
        name: Picture(figure, f"Picture {name} of {names[0]}.")
        for name, figure in confusions_figures(study, names[0]).items()
    }
    report = confusions_report(study, title=escape(names[0]))
    return Chapter(names[1], f"rnnprobe confusions --predictions '{names[2]}'", report, figures)


def section_chapter(name: str, pictures: Mapping[str, Picture] | None = None) -> Chapter:
    """A report in sections, with every kind of column and a name in every place."""
    columns = (
        Column("name", "name"),
        Column("n", f"of {escape(name)}", "integer"),
        *interval_columns("share", "share"),
        Column("p", "p", "p_value"),
        Column("rate", "rate", "general"),
        Column("size", "size", "significant", 3),
        Column("cell", "cell", "markdown"),
    )
    rows = (
        (name, 12, 0.25, 0.125, 0.5, 2e-9, 1e-4, 12345.678, "**0.5000 ± 0.0100**"),
        ("b", 7, float("nan"), None, None, None, float("inf"), 0.0, "DNF oom"),
        ("c", 1000, 1 / 3, 0.1, 0.9, 0.04, 3.0, -2.5, "0.2500 ± 0.0100 ≈"),
    )
    table = Table(columns, rows, f"Table of {escape(name)}")
    finding = Finding("best", f"Best of all: {escape(name)}, **0.5** by `train`", 0.5)
    note = f"How {escape(name)} is read.\n\n" + "Words that say it at length. " * 12
    sections = (
        Section(f"About {escape(name)}", {"first": table}, (finding,), note),
        Section("Short", {"second": table}, (), f"A word on {escape(name)}."),
    )
    report = Report("inspect", f"**Inside** {escape(name)}", table, sections=sections)
    return Chapter(f"On {name}", f"rnnprobe inspect {name}", report, pictures or {})


def page_of(*chapters: Chapter, name: str = "model.keras") -> Page:
    facts = Table((Column("what", "what"), Column("value", "value")), (("data", name), ("n", 3)))
    return Page(name, facts, chapters, f"rnnprobe report {name}", "Made by rnnprobe 0.1.0")


def pictures(values: SequenceDataset) -> dict[str, Picture]:
    history = {key: [0.5, 0.25, 0.1] for key in ("loss", "accuracy", "val_loss", "val_accuracy")}
    texts = {index: f"{index}" for index in range(6)}
    return {
        "curves.png": Picture(curves_figure(history, "x"), "Curves.", "Short"),
        "gallery.png": Picture(gallery(values, "test", texts, "h", empty="-"), "Examples."),
    }
