from __future__ import annotations

import dataclasses
import re

import pytest
from markdown_it import MarkdownIt
from pages import confusions_chapter, page_of, pictures, section_chapter, sweep_chapter

from rnnprobe import SequenceDataset
from rnnprobe.reports.page import page_html, page_markdown
from rnnprobe.table import markdown_table


def test_the_outline_and_the_tables_are_those_of_the_reports(values: SequenceDataset) -> None:
    page = page_of(sweep_chapter(values), confusions_chapter(), section_chapter("x"))
    text = page_markdown(page)
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads == ["# model.keras", "## Which settings", "## b_c",
                     "## On x", "### About x", "### Short"]  # fmt: skip
    assert markdown_table(page.facts) in text
    shown = page.chapters[0].report.shown
    assert shown is not None
    assert markdown_table(shown) in text
    assert text.count("_Made by rnnprobe") == 1
    assert text.endswith("\n_Made by rnnprobe 0.1.0_\n")
    assert "![" not in text


def test_pictures_are_linked_by_the_paths_that_are_given(values: SequenceDataset) -> None:
    chapter = section_chapter("x", pictures(values))
    text = page_markdown(page_of(chapter), {"curves.png": "my plots/cur[ves>.png"})
    assert "![Curves.](<my plots/cur%5Bves%3E.png>)" in text
    assert "Examples." not in text
    with pytest.raises(
        ValueError, match=r"Two chapters have a picture 'curves.png', 'gallery.png'"
    ):
        page_markdown(page_of(chapter, chapter), {"curves.png": "curves.png"})


def test_names_and_commands_stay_in_their_places() -> None:
    name = "a```b\n# not a heading <i> *x*"
    text = page_markdown(page_of(section_chapter(name), name=name))
    html = MarkdownIt("commonmark").render(text)
    assert html.count("<h1>") == 1
    assert html.count("<h2>") == 1
    assert "<i>" not in html
    assert re.findall(r"<code[^>]*>(.*)\n</code>", html)[0].startswith("rnnprobe report a```b")


def test_a_chapter_without_a_command_has_none(values: SequenceDataset) -> None:
    chapter = dataclasses.replace(section_chapter("x"), command="")
    assert page_markdown(page_of(chapter)).count("```sh") == 1


def test_a_command_is_said_to_print_the_chapter_or_to_go_on_with_the_run() -> None:
    chapter = section_chapter("x")
    assert "This chapter alone:\n\n```sh\n" in page_markdown(page_of(chapter))
    going = page_of(dataclasses.replace(chapter, resumes=True))
    assert "Goes on with this run:\n\n```sh\n" in page_markdown(going)
    html = page_html(going)
    assert "<p>Goes on with this run</p>" in html
    assert "This chapter alone" not in html


def test_the_top_says_what_was_found() -> None:
    text = page_markdown(page_of(section_chapter("x"), name="*m*"))
    top, _, _ = text.partition("\n## ")
    assert "**In short**\n\n- **On x**: Best of all: x, **0.5** by `train`\n\nThis page:\n" in top
    assert "In short" not in page_markdown(page_of())
