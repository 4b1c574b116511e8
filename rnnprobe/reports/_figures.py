"""Pictures: matplotlib figures made without pyplot, saved with rnnprobe's mark."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnprobe import __version__
from rnnprobe._files import atomic_path, check_output
from rnnprobe.datasets._layout import to_picture
from rnnprobe.errors import OutputError
from rnnprobe.records import Array, Bounds, SequenceDataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8C8C8C"  # Okabe and Ito, safe for colour-blind eyes


def check_folder(folder: Path, names: Sequence[str], *, force: bool) -> None:
    """Make the folder and refuse what could not be written into it, before the work begins.

    Raises:
        OutputError: The folder cannot be made or written, or holds a picture of somebody else's.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"Cannot make the folder '{folder}': {exc.strerror or exc}.") from exc
    for name in names:
        check_output(folder / name, force=force)


def save_figures(folder: Path, figures: Mapping[str, Figure]) -> list[Path]:
    """Write the figures by file name and return their paths."""
    paths = []
    for name, figure in figures.items():
        with atomic_path(folder / name) as temporary, warnings.catch_warnings():
            # A character that no font has is drawn as a box; the tables hold it as it is.
            warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
            figure.savefig(temporary, dpi=150, metadata={"Software": f"rnnprobe {__version__}"})
        paths.append(folder / name)
    return paths


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, its size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def plain(text: str, longest: int = 24) -> str:
    """Return a name as matplotlib shows it literally, on one line, not too long."""
    printable = "".join(c if c.isprintable() else "·" for c in text)
    shown = printable if len(printable) <= longest else printable[: longest - 1] + "…"
    return shown.replace("$", r"\$")


def examples_figure(dataset: SequenceDataset, part: str, top: int) -> Figure:
    """Draw the first examples of a part."""
    y = dataset.splits[part].y[:top]
    names = [plain(name) for name in dataset.class_names]
    captions = {index: f"{index}: {names[label]}" for index, label in enumerate(y)}
    return gallery(dataset, part, captions, "example: class", empty="no examples")


def gallery(
    dataset: SequenceDataset, part: str, captions: Mapping[int, str], heading: str, *, empty: str
) -> Figure:
    """Draw examples of a part by index, each with its caption: pictures, texts, or curves."""
    x = dataset.splits[part].x
    if not captions:
        figure = new_figure(5, 1.5)
        figure.text(0.5, 0.5, empty, ha="center", va="center")
        return figure
    if dataset.kind == "tokens":
        texts = [dataset.text(x[index]) for index in captions]
        return _text_gallery(texts, list(captions.values()), heading)
    columns = min(6 if dataset.image_shape else 3, len(captions))
    rows = -(-len(captions) // columns)
    width = 1.9 if dataset.image_shape else 3.2
    figure = new_figure(width * columns, 2.15 * rows)
    for position, (index, caption) in enumerate(captions.items(), start=1):
        axes = figure.add_subplot(rows, columns, position)
        _draw_example(axes, dataset, part, index)
        axes.set_title(caption.replace(" taken for ", "\ntaken for ", 1), fontsize=7)
    figure.suptitle(heading, fontsize=9)
    return figure


def draw_values(axes: Axes, x: Array, mask: Array | None = None) -> None:
    """Draw values (num_steps, num_features) over the steps, which count from 1.

    Args:
        axes: Where.
        x: float32 (num_steps, num_features).
        mask: bool (num_steps,): which are drawn; None draws all.
    """
    shown = x if mask is None else np.where(mask[:, None], x, np.nan)
    axes.plot(np.arange(1, len(x) + 1), shown, linewidth=1)
    axes.set_xlabel("step", fontsize=7)
    axes.tick_params(labelsize=6)


def _draw_example(axes: Axes, dataset: SequenceDataset, part: str, index: int) -> None:
    split = dataset.splits[part]
    x: Array = split.x[index]
    if dataset.image_shape is None or dataset.layout is None:
        draw_values(axes, x, None if split.mask is None else split.mask[index])
        return
    draw_picture(axes, x, dataset, dataset.bounds or Bounds(0, 1))


def draw_picture(
    axes: Axes, x: Array, dataset: SequenceDataset, bounds: Bounds, *, signed: bool = False
) -> Any:
    """Draw one sequence of a data set of pictures; return what a colour bar needs.

    Args:
        axes: Where.
        x: float32 (num_steps, num_features).
        dataset: Says how pictures were laid out.
        bounds: The values that are white and black.
        signed: It is a change: from blue to red; in several colours the mean over them.
    """
    picture = to_picture(x, dataset.image_shape or (0, 0, 0), dataset.layout or "")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#D0D0D0")
    if signed or picture.shape[2] == 1:
        colours = "RdBu_r" if signed else "gray_r"
        shown = picture.mean(axis=2)
        return axes.imshow(shown, cmap=colours, vmin=bounds.lower, vmax=bounds.upper)
    extent = bounds.upper - bounds.lower or 1.0
    return axes.imshow(np.clip((picture - bounds.lower) / extent, 0, 1))


def _text_gallery(texts: Sequence[str], captions: Sequence[str], heading: str) -> Figure:
    figure = new_figure(7, 0.6 + 0.28 * len(texts))
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_ylim(len(texts), -1)
    axes.set_xlim(0, 1)
    axes.text(0, -0.6, "text", color=GREY, fontsize=9)
    axes.text(0.4, -0.6, heading, color=GREY, fontsize=9)
    for row, (text, caption) in enumerate(zip(texts, captions, strict=True)):
        axes.text(0, row, plain(text), family="monospace", va="center", fontsize=10)
        axes.text(0.4, row, caption, va="center", fontsize=9)
    return figure


def curves_figure(history: Mapping[str, list[float]], title: str) -> Figure:
    """Draw loss and accuracy on the training and validation part, over the epochs."""
    figure = new_figure(8, 3.4)
    epochs = range(1, len(history["loss"]) + 1)
    for position, name in enumerate(("loss", "accuracy"), start=1):
        axes = figure.add_subplot(1, 2, position)
        axes.plot(epochs, history[name], color=BLUE, marker="o", markersize=3, label="training")
        axes.plot(
            epochs,
            history[f"val_{name}"],
            color=ORANGE,
            marker="s",
            markersize=3,
            linestyle="--",
            label="validation",
        )
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        whole_ticks(axes)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.suptitle(plain(title), fontsize=10)
    return figure


def whole_ticks(axes: Axes) -> None:
    """Mark whole numbers alone across, such as epochs."""
    from matplotlib.ticker import MaxNLocator

    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.8), max(high, 1.2))  # one epoch alone has no width
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def trials_figure(curves: Mapping[int, list[float]], best: int) -> Figure:
    """Draw the validation accuracy of every trial over its epochs, the best one in colour."""
    figure = new_figure(6.5, 4)
    axes = figure.add_subplot()
    for number, values in curves.items():
        chosen = number == best
        epochs = range(1, len(values) + 1)
        colour, width = (ORANGE, 2.2) if chosen else (GREY, 1)
        axes.plot(epochs, values, color=colour, linewidth=width, marker="o", markersize=3)
        if values:
            axes.annotate(f" {number}", (len(values), values[-1]), fontsize=8, color=colour)
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation accuracy")
    axes.set_title(f"Trials by number; the best is {best}", fontsize=10)
    whole_ticks(axes)
    axes.grid(alpha=0.3)
    return figure
