"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const status = make("p", { className: "unseen" });
  status.setAttribute("role", "status");
  document.body.append(status);

  // Sorting: up, down, and back to the order of the report.
  const turns = { none: "ascending", ascending: "descending", descending: "none" };
  const text = (cell) => cell.textContent.trim();

  function compare(first, second, numeric) {
    if (numeric) return Number(first.dataset.sort) - Number(second.dataset.sort);
    return text(first).localeCompare(text(second), "en", { numeric: true });
  }

  function sort(table, column, order) {
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((a, b) => a.dataset.place - b.dataset.place);
    const cells = rows.map((row) => row.cells[column]);
    const numeric = cells.some((cell) => "sort" in cell.dataset);
    const absent = (row) => {
      const cell = row.cells[column];
      return numeric ? !("sort" in cell.dataset) : text(cell) === "–";
    };
    const sign = order === "descending" ? -1 : 1;
    if (order !== "none") {
      rows.sort((a, b) => absent(a) - absent(b)
        || (absent(a) ? 0 : sign * compare(a.cells[column], b.cells[column], numeric)));
    }
    body.append(...rows);
  }

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    [...table.tBodies[0].rows].forEach((row, place) => { row.dataset.place = place; });
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = make("button", { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const order = turns[head.getAttribute("aria-sort") || "none"];
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (order !== "none") head.setAttribute("aria-sort", order);
        sort(table, column, order);
        const told = order === "none" ? "in the order of the report" : `sorted by ${text(button)}, ${order}`;
        status.textContent = `Table ${told}`;
      });
    });
  }

  // What does not scroll is no stop of the tab key.
  const frames = document.querySelectorAll(".frame");
  const reach = () => frames.forEach((frame) => {
    const scrolls = frame.scrollWidth > frame.clientWidth || frame.scrollHeight > frame.clientHeight + 1;
    frame.tabIndex = scrolls ? 0 : -1;
  });
  addEventListener("load", reach);
  addEventListener("resize", reach);

  // Copying commands; a browser that refuses the clipboard has the command selected instead.
  for (const block of document.querySelectorAll(".command")) {
    const code = block.querySelector("code");
    const button = make("button", { type: "button", textContent: "Copy" });
    button.setAttribute("aria-label", `Copy the command of ${text(block.querySelector("p")).toLowerCase()}`);
    button.addEventListener("click", async () => {
      let done = "Copied";
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code);
        done = "Selected";
      }
      button.textContent = done;
      status.textContent = done;
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    block.append(button);
  }

  // Details of a heatmap's cell, by pointer or keyboard; Escape hides them.
  const tip = make("div", { className: "tip", id: "tip", hidden: true });
  tip.setAttribute("role", "tooltip");
  document.body.append(tip);
  let told = null;
  let leaving = 0;

  function hide() {
    tip.hidden = true;
    if (told) told.removeAttribute("aria-describedby");
    told = null;
  }

  function show(cell) {
    clearTimeout(leaving);
    if (cell === told) return;
    hide();
    const details = document.getElementById(cell.dataset.details).cloneNode(true);
    details.removeAttribute("id");
    const strip = document.querySelector(`.runs [data-of="${cell.dataset.details}"]`);
    tip.replaceChildren(...(strip ? [strip.cloneNode(true)] : []), details);
    tip.hidden = false;
    told = cell;
    cell.setAttribute("aria-describedby", "tip");
    const at = cell.getBoundingClientRect();
    const below = at.bottom + 6 + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(8, Math.min(at.left, root.clientWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(8, below ? at.bottom + 6 : at.top - 6 - tip.offsetHeight)}px`;
  }

  function leave() {
    clearTimeout(leaving);
    leaving = setTimeout(hide, 150);
  }

  tip.addEventListener("pointerenter", () => clearTimeout(leaving));
  tip.addEventListener("pointerleave", leave);
  addEventListener("scroll", () => { if (told !== document.activeElement) hide(); }, { capture: true, passive: true });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  // One stop of the tab key a heatmap; arrows move inside it.
  function move(event, table) {
    const rows = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll("[data-details]")]);
    const row = rows.findIndex((cells) => cells.includes(event.target));
    if (row < 0) return;
    const column = rows[row].indexOf(event.target);
    const to = {
      ArrowUp: () => rows[row - 1]?.[column],
      ArrowDown: () => rows[row + 1]?.[column],
      ArrowLeft: () => rows[row][column - 1],
      ArrowRight: () => rows[row][column + 1],
      Home: () => rows[0]?.[column],
      End: () => rows[rows.length - 1]?.[column],
    }[event.key]?.();
    if (!to) return;
    event.preventDefault();
    to.focus();
  }

  for (const table of document.querySelectorAll(".heatmap")) {
    const cells = [...table.querySelectorAll("[data-details]")];
    cells.forEach((cell, place) => {
      cell.tabIndex = place ? -1 : 0;
      cell.addEventListener("pointerenter", () => show(cell));
      cell.addEventListener("pointerleave", leave);
      cell.addEventListener("blur", hide);
      cell.addEventListener("focus", () => {
        cells.forEach((other) => { other.tabIndex = other === cell ? 0 : -1; });
        show(cell);
      });
    });
    table.addEventListener("keydown", (event) => move(event, table));
  }

  // On paper everything is open; on a narrow screen the contents begin closed.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
  if (matchMedia("(max-width: 69.99rem)").matches) {
    document.querySelector(".contents details").open = false;
  }
})();
