from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import (
    AXES,
    LOST,
    Node,
    confusions_chapter,
    page_of,
    parse,
    pictures,
    section_chapter,
    sweep_chapter,
    swept,
)

from rnnprobe import SequenceDataset
from rnnprobe.reports._page_tables import sort_key
from rnnprobe.reports.page import Chapter, Page, page_html, page_markdown
from rnnprobe.reports.sweep import sweep_report
from rnnprobe.table import Column, column_groups, format_cell

HOSTILE = "<script>alert(1)</script>]]>\"'`*_|[x](y)&amp;\\ \u202e\x00--></table>"


@pytest.fixture(scope="module")
def page(values: SequenceDataset) -> Page:
    chapters = sweep_chapter(values), confusions_chapter(), section_chapter("x", pictures(values))
    return page_of(*chapters)


@pytest.fixture(scope="module")
def html(page: Page) -> str:
    return page_html(page)


@pytest.fixture(scope="module")
def tree(html: str) -> Node:
    return parse(html)


def visible(text: str) -> str:
    """Return a name as a reader must see it: what no eye sees, written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def test_ids_are_unique_and_all_that_is_referred_to_exists(tree: Node) -> None:
    ids = [node.attributes["id"] for node in tree if "id" in node.attributes]
    assert len(ids) == len(set(ids)) > 20
    referred = {node.attributes.get("aria-labelledby") for node in tree}
    referred |= {node.attributes.get("data-details") for node in tree}
    referred |= {str(node.attributes["href"]).removeprefix("#") for node in tree.all("a")}
    assert referred - {None} <= set(ids)


def test_nothing_is_loaded_from_anywhere(tree: Node, html: str) -> None:
    loading = {"src", "srcset", "data", "action", "poster", "background", "formaction"}
    sources = [node.attributes[name] for node in tree for name in loading & set(node.attributes)]
    assert len(sources) == 4
    assert all(str(source).startswith("data:image/") for source in sources)
    assert all(str(node.attributes["href"]).startswith("#") for node in tree.all("a"))
    assert not tree.all("link", "iframe", "object", "embed", "form", "base")
    assert "url(" not in html
    assert "@import" not in html


def test_the_policy_allows_our_style_and_script_alone(tree: Node) -> None:
    metas = {m.attributes.get("http-equiv"): m.attributes["content"] for m in tree.all("meta")
             if "content" in m.attributes}  # fmt: skip
    policy = dict(
        part.strip().split(" ", 1) for part in metas["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == "data:"
    for kind, directive in (("style", "style-src"), ("script", "script-src")):
        [node] = tree.all(kind)
        text = "".join(piece for piece in node.pieces if isinstance(piece, str))
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[directive] == f"'sha256-{digest}'"
    assert not [n for node in tree for n in node.attributes if n.startswith("on") or n == "style"]


def test_the_outline_begins_with_the_title_and_skips_no_level(tree: Node) -> None:
    levels = [int(node.tag[1]) for node in tree.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    assert [n.text for n in tree.all("h3")] == ["About x", "Short"]
    assert tree.all("html")[0].attributes["lang"] == "en"


def test_tables_have_captions_and_scopes_and_pictures_have_words_and_sizes(tree: Node) -> None:
    assert all(th.attributes.get("scope") for th in tree.all("th"))
    assert all(len(table.all("caption")) == 1 for table in tree.all("table"))
    frames = [node for node in tree if node.attributes.get("role") == "group"]
    assert sum(len(frame.all("table", "img")) for frame in frames) == len(frames)
    assert all("tabindex" in frame.attributes for frame in frames)
    for image in tree.all("img"):
        assert image.attributes["alt"]
        assert {"width", "height"} <= set(image.attributes)


def test_every_table_of_the_report_is_there_cell_by_cell(page: Page, tree: Node) -> None:
    shown = {table.all("caption")[0].text: table for table in tree.all("table")}
    for section in page.chapters[2].report.sections:
        for table in section.tables.values():
            rows = shown[table.title].all("tbody")[0].all("tr")
            for values, row in zip(table.rows, rows, strict=True):
                groups = column_groups(table.columns)
                for group, cell in zip(groups, row.all("th", "td"), strict=True):
                    column, *more = table.columns[group]
                    first, *ends = values[group]
                    expected = format_cell(first, column).replace("**", "")
                    if more and ends[0] is not None:
                        expected += f" [{ends[0]:.3f}, {ends[1]:.3f}]"
                    assert cell.text.replace("\xa0", " ") == expected
                    assert cell.attributes.get("data-sort") == sort_key(first, column)
    heads = next(iter(shown.values())).all("th")
    assert [th.text for th in heads if th.attributes["scope"] == "row"] == ["data", "n"]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1 / 3, "decimal", "0.3333333333333333"),
        (12, "integer", "12"),
        (float("nan"), "general", None),
        (float("-inf"), "general", "-Infinity"),
        (None, "p_value", None),
        (True, "text", None),
        ("1.5", "text", None),
        ("**1,234.5 ± 0.1** ≈", "markdown", "1234.5"),
        ("−0.5 to 1", "markdown", "-0.5"),
        ("1e-05", "markdown", "1e-05"),
        ("DNF oom 3", "markdown", None),
    ],
)
def test_a_column_is_sorted_by_the_raw_value(value: object, kind: str, expected: str) -> None:
    assert sort_key(value, Column("key", "title", kind)) == expected  # type: ignore[arg-type]


def hostile_page(name: str) -> Page:
    return page_of(section_chapter(name), confusions_chapter((name, "b", "c")), name=name)


@cache
def tame_page() -> str:
    return page_html(hostile_page("tame"))


@pytest.mark.parametrize("name", [HOSTILE, "_x_ __y__ ~~z~~", "<!-- --> {{ 7 * 7 }} {% raw %}"])
def test_hostile_names_change_no_element(values: SequenceDataset, name: str) -> None:
    wild = parse(page_html(hostile_page(name)))
    assert wild.shape() == parse(tame_page()).shape()
    assert wild.all("h1")[0].text == visible(name)
    assert wild.all("title")[0].text == f"{visible(name)} – rnnprobe report"
    assert wild.all("img")[0].attributes["alt"].endswith(f" of {visible(name)}.")  # type: ignore[union-attr]


@cache
def tame() -> Node:
    return parse(page_html(page_of(section_chapter("tame"), name="tame")))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=20).map(str.strip).filter(lambda text: len(text.split()) == 1))
def test_any_name_is_read_as_it_is_and_is_never_markup(name: str) -> None:
    tree = parse(page_html(page_of(section_chapter(name), name=name)))
    assert tree.shape() == tame().shape()
    assert tree.all("h1")[0].text == visible(name)
    assert tree.all("tbody")[1].all("th")[0].text == visible(name)
    assert tree.all("h3")[0].text == f"About {visible(name)}"
    [best] = [li.text for li in tree.all("li") if li.text.startswith("Best of all: ")]
    assert best == f"Best of all: {visible(name)}, 0.5 by train"


def test_the_same_page_has_the_same_bytes_and_is_not_large(
    values: SequenceDataset, page: Page, html: str
) -> None:
    chapters = sweep_chapter(values), confusions_chapter(), section_chapter("x", pictures(values))
    assert page_html(page_of(*chapters)) == html
    assert len(html) < 400_000
    assert html.startswith('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n')


def test_a_headline_or_a_section_that_is_not_there_is_refused(values: SequenceDataset) -> None:
    chapter = section_chapter("x")
    with pytest.raises(ValueError, match="No finding 'worst' in 'On x'"):
        page_html(page_of(dataclasses.replace(chapter, headline="worst")))
    with pytest.raises(ValueError, match="No finding 'worst' in 'On x'"):
        page_markdown(page_of(dataclasses.replace(chapter, headline="worst")))
    lost = {name: dataclasses.replace(p, section="No") for name, p in pictures(values).items()}
    with pytest.raises(ValueError, match="No section 'No' in 'On x'"):
        page_html(page_of(dataclasses.replace(chapter, pictures=lost)))


def test_a_picture_that_is_for_markdown_alone_is_not_drawn(values: SequenceDataset) -> None:
    kept = pictures(values)
    kept["curves.png"] = dataclasses.replace(kept["curves.png"], in_html=False)
    page = page_of(section_chapter("x", kept))
    assert [one.attributes["alt"] for one in parse(page_html(page)).all("img")] == ["Examples."]
    assert "![Curves.](<a.png>)" in page_markdown(page, {"curves.png": "a.png"})


def test_the_top_says_what_was_found(page: Page, tree: Node) -> None:
    [short] = [node for node in tree.all("ul") if node.has_class("short")]
    assert "Did not finish: 1 of 12 runs (oom 1); the first: oom" in short.text
    assert "Best of all: x, 0.5 by train" in short.text
    named = dataclasses.replace(page.chapters[0], headline="test")
    [short] = [n for n in parse(page_html(page_of(named))).all("ul") if n.has_class("short")]
    assert "Its test accuracy" in short.text


def heatmaps(tree: Node) -> tuple[Node, Node]:
    pivot, cells = (node for node in tree.all("table") if node.has_class("heatmap"))
    return pivot, cells


def test_the_heatmap_has_a_row_a_cell_and_its_runs(page: Page, tree: Node) -> None:
    result = page.chapters[0].sweep
    assert result is not None
    _, cells = heatmaps(tree)
    ranking = result.ranking()
    rows = cells.all("tbody")[0].all("tr")
    assert len(rows) == len(result.cells) == 6
    details = {node.attributes["id"]: node for node in tree.all("dl")}
    for cell, row in zip(ranking, rows, strict=False):
        units, rate, heat, runs, finished, seconds, parameters = row.all("th", "td")
        assert units.attributes["data-sort"] == repr(cell.configuration["units"])
        assert rate.attributes["data-sort"] == repr(cell.configuration["learning_rate"])
        assert heat.attributes["data-sort"] == repr(cell.mean("val_accuracy"))
        assert (
            f"{cell.mean('val_accuracy'):.4f} ± {cell.deviation('val_accuracy'):.4f}" in heat.text
        )
        assert len(runs.all("circle")) == 2
        assert runs.text == ", ".join(f"{value:.4f}" for value in cell.values("val_accuracy"))
        assert finished.text == "2 of 2"
        assert seconds.attributes["data-sort"] == repr(cell.seconds)
        assert parameters.text == f"{cell.parameters:,}"
        told = details[heat.attributes["data-details"]].text
        assert "standard deviation, n = 2" in told
    dead = rows[-1]
    assert dead.all("td")[3].text == "1 of 2 (DNF oom)"
    assert visible(LOST) in details[dead.all("td")[1].attributes["data-details"]].text


def test_test_accuracy_is_told_of_the_chosen_cell_alone(page: Page, tree: Node) -> None:
    result = page.chapters[0].sweep
    assert result is not None
    best, *others = result.ranking()
    told = [node.text for node in tree.all("dl") if "test accuracy" in node.text]
    assert len(told) == 1
    whole = tree.all("main")[0].text
    assert f"{best.mean('test_accuracy'):.4f}" in told[0]
    assert not any(f"{cell.mean('test_accuracy'):.4f}" in whole for cell in others)


def test_colours_follow_the_mean_and_the_best_is_marked(page: Page, tree: Node) -> None:
    pivot, cells = heatmaps(tree)
    heats = [node for node in cells.all("td") if node.has_class("heat")]
    ordered = sorted(heats, key=lambda node: float(node.attributes["data-sort"] or "nan"))
    steps = [int(re.findall(r"heat-(\d+)", n.attributes["class"] or "")[0]) for n in ordered]
    assert steps == sorted(steps)
    assert {0, 15} <= set(steps)
    assert heats[0].text.endswith("best")
    assert [" best ± " in node.text for node in pivot.all("td")].count(True) == 1
    assert [node.text.endswith("1 of 2") for node in pivot.all("td")].count(True) == 1
    marked = {r["cannot_be_told_from_best"] for r in page.chapters[0].report.main.records()}
    assert (True in marked) == ("≈" in cells.text + "".join(n.text for n in heats))


def test_a_pivot_is_for_two_axes_or_more(values: SequenceDataset) -> None:
    one = {**AXES, "learning_rate": (0.001,)}
    single = parse(page_html(page_of(sweep_chapter(values, one))))
    assert len([node for node in single.all("table") if node.has_class("heatmap")]) == 1
    alone = parse(page_html(page_of(sweep_chapter(values, {**one, "units": (4,)}))))
    [table] = [node for node in alone.all("table") if node.has_class("heatmap")]
    assert table.all("tbody")[0].all("th")[0].text == "lstm"


def test_a_sweep_of_which_nothing_finished_is_drawn(values: SequenceDataset) -> None:
    result = swept(values, {**AXES, "units": (4, 8)}, lost=4)
    dead = dataclasses.replace(result, runs=result.runs[:3])
    tree = parse(page_html(page_of(Chapter("S", "", sweep_report(dead, values), {}, dead))))
    pivot, cells = heatmaps(tree)
    assert [node.text for node in pivot.all("td")] == ["DNF oom", "DNF oom", "DNF oom", "not run"]
    assert all(node.has_class("heat-none") for node in pivot.all("td"))
    assert not cells.all("svg")
    assert not [node for node in tree.all("p") if node.has_class("key")]


def test_a_bar_is_explained_where_there_is_one(values: SequenceDataset) -> None:
    result = swept(values, AXES, lost=0)
    once = dataclasses.replace(result, repeats=1, runs=result.runs[: len(result.cells)])
    for swept_as, bar in ((result, True), (once, False)):
        page = page_of(Chapter("S", "", sweep_report(swept_as, values), {}, swept_as))
        [key] = [p.text for p in parse(page_html(page)).all("p") if p.has_class("key")]
        assert key.startswith("In the line of each cell a dot is a run, the tall stroke the mean")
        assert ("the bar one standard deviation" in key) == bar


def test_every_cell_is_told_without_javascript(tree: Node) -> None:
    [told] = [node for node in tree.all("details") if node.has_class("each")]
    assert len(told.all("dl")) == 6
    assert visible(LOST) in told.text
    assert not [node for node in tree if "hidden" in node.attributes]


def test_a_table_by_another_metric_stays_beside_the_heatmap(values: SequenceDataset) -> None:
    chapter = sweep_chapter(values)
    assert chapter.sweep is not None
    by_time = sweep_report(chapter.sweep, values, metric="seconds")
    count = len(parse(page_html(page_of(chapter))).all("table"))
    more = page_of(dataclasses.replace(chapter, report=by_time))
    assert len(parse(page_html(more)).all("table")) == count + 1
