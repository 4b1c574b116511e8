"""What the page's script does, in headless Chromium; skipped where there is none.

A second script, let in by its hash beside the page's own, uses the page as a reader would and
leaves what it saw in the document, which `--dump-dom` prints.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from pages import confusions_chapter, page_of, sweep_chapter

from rnnprobe import SequenceDataset
from rnnprobe.reports.page import page_html

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

READER = """
const wide = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;

async function read(seen) {
  const of = (selector) => [...document.querySelectorAll(selector)];
  const tip = document.getElementById("tip");
  const press = (key) => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const point = (cell, what) => cell.dispatchEvent(new PointerEvent(what));

  seen.wide = wide();
  const sorted = of("table.heatmap[data-sortable]")[0];
  const heads = [...sorted.tHead.rows[0].cells];
  const place = heads.findIndex((head) => head.textContent.startsWith("validation accuracy"));
  const rows = () => [...sorted.tBodies[0].rows];
  const column = () => rows().map((row) => Number(row.cells[place].dataset.sort));
  const turns = () => {
    heads[place].querySelector("button").click();
    return [heads[place].getAttribute("aria-sort"), column(),
      document.querySelector("[role=status]").textContent];
  };
  seen.report = column();
  seen.turns = [turns(), turns(), turns()];

  const cells = of(".heatmap.pivot [data-details]");
  seen.stops = cells.map((cell) => cell.tabIndex);
  cells[0].focus();
  seen.focused = [tip.hidden, tip.textContent, cells[0].getAttribute("aria-describedby")];
  seen.details = document.getElementById(cells[0].dataset.details).textContent;
  press("ArrowRight");
  seen.right = cells.indexOf(document.activeElement);
  press("End");
  seen.end = cells.indexOf(document.activeElement);
  press("Escape");
  seen.escaped = [tip.hidden, of("[aria-describedby=tip]").length];
  document.activeElement.blur();
  point(cells[1], "pointerenter");
  seen.pointed = [tip.hidden, tip.textContent];
  point(cells[1], "pointerleave");
  await new Promise((later) => setTimeout(later, 400));
  seen.left = tip.hidden;

  const command = document.querySelector(".command");
  navigator.clipboard.writeText = async (text) => { seen.copied = text; };
  command.querySelector("button").click();
  await new Promise((later) => setTimeout(later, 50));
  seen.told = command.querySelector("button").textContent;
  seen.command = command.querySelector("code").textContent;
  navigator.clipboard.writeText = async () => { throw new Error("refused"); };
  command.querySelector("button").click();
  await new Promise((later) => setTimeout(later, 50));
  seen.selected = [command.querySelector("button").textContent, getSelection().toString()];

  seen.contents = document.querySelector(".contents details").open;
  const closed = () => of("details:not([open])").length;
  seen.closed = [closed()];
  for (const what of ["beforeprint", "afterprint"]) {
    dispatchEvent(new Event(what));
    seen.closed.push(closed());
    seen.wide = Math.max(seen.wide, wide());
  }
}

addEventListener("load", async () => {
  const seen = {};
  try {
    await read(seen);
  } catch (error) {
    seen.error = String(error);
  }
  const pre = document.createElement("pre");
  pre.id = "seen";
  pre.textContent = JSON.stringify(seen);
  document.body.append(pre);
});
"""


def use(html: str, folder: Path, *options: str) -> dict[str, Any]:
    """Open a page in Chromium, let READER use it, and return what it saw."""
    digest = base64.b64encode(hashlib.sha256(READER.encode()).digest()).decode()
    html = html.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    file = folder / "page.html"
    file.write_text(html.replace("</body>", f"<script>{READER}</script></body>"), "utf-8")
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=8000", "--dump-dom",
    ]  # fmt: skip
    done = subprocess.run(
        [*command, *options, file.as_uri()], capture_output=True, text=True, timeout=60
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stderr[-2000:]
    seen: dict[str, Any] = json.loads(unescape(found[1]))
    assert "error" not in seen, seen
    return seen


@pytest.fixture(scope="module")
def html(values: SequenceDataset) -> str:
    return page_html(page_of(sweep_chapter(values), confusions_chapter()))


@pytest.fixture(scope="module")
def seen(html: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return use(html, tmp_path_factory.mktemp("wide"), "--window-size=1400,900")


def test_a_head_sorts_up_down_and_back_and_says_so(seen: dict[str, Any]) -> None:
    report = seen["report"]
    assert report not in (sorted(report), sorted(report, reverse=True))
    wanted = [
        ("ascending", sorted(report)),
        ("descending", sorted(report, reverse=True)),
        (None, report),
    ]
    assert [(order, column) for order, column, _ in seen["turns"]] == wanted
    told = [text for *_, text in seen["turns"]]
    assert told[0].startswith("Table sorted by validation accuracy")
    assert [text.rpartition(", ")[2] for text in told[:2]] == ["ascending", "descending"]
    assert told[2] == "Table in the order of the report"


def test_details_of_a_cell_come_by_keyboard_and_pointer(seen: dict[str, Any]) -> None:
    assert seen["stops"] == [0, *[-1] * (len(seen["stops"]) - 1)]
    hidden, text, described = seen["focused"]
    assert (hidden, described) == (False, "tip")
    assert seen["details"].strip() and seen["details"].strip() in text
    assert seen["right"] == 1
    assert seen["end"] == len(seen["stops"]) - 1
    assert seen["escaped"] == [True, 0]
    assert seen["pointed"][0] is False and seen["pointed"][1].strip()
    assert seen["left"] is True


def test_a_command_is_copied_or_else_selected(seen: dict[str, Any]) -> None:
    assert seen["copied"] == seen["command"] != ""
    assert seen["told"] == "Copied"
    assert seen["selected"] == ["Selected", seen["command"]]


def test_all_is_open_on_paper(seen: dict[str, Any]) -> None:
    before, printed, after = seen["closed"]
    assert before == after > printed == 0


@pytest.mark.parametrize(("width", "opened"), [(500, False), (800, False), (1400, True)])
def test_no_width_scrolls_sideways(html: str, tmp_path: Path, width: int, opened: bool) -> None:
    found = use(html, tmp_path, f"--window-size={width},900")
    assert (found["wide"], found["contents"]) == (0, opened)
