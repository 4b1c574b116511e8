"""Pictures inside the page: curves as SVG, what holds images as PNG."""

from __future__ import annotations

import base64
import io
import warnings
from typing import TYPE_CHECKING, NamedTuple

from rnnprobe import __version__
from rnnprobe.reports._page_text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rnnprobe.reports.page import Picture

_LARGEST_SVG = 150_000
_PIXELS_PER_INCH = 96
_PNG_PER_INCH = 160


class PictureView(NamedTuple):
    """What the template needs of a picture: its data, its size in CSS pixels, and the words."""

    source: str
    width: int
    height: int
    caption: str


def inlined(picture: Picture) -> PictureView:
    """Return a picture as a data URL, the same for the same figure."""
    figure = picture.figure
    kind, data = _drawn(figure)
    width, height = (round(float(inches) * _PIXELS_PER_INCH) for inches in figure.get_size_inches())
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return PictureView(source, width, height, printable(picture.caption))


def _drawn(figure: Figure) -> tuple[str, bytes]:
    import matplotlib as mpl

    made_with = f"rnnprobe {__version__}"
    with warnings.catch_warnings():
        # A character that no font has is drawn as a box; the tables hold it as it is.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        if not any(axes.images for axes in figure.axes):
            with mpl.rc_context({"svg.hashsalt": "rnnprobe", "svg.fonttype": "path"}):
                text = io.BytesIO()
                known = {"Date": None, "Creator": made_with}
                figure.savefig(text, format="svg", metadata=known)
            if text.tell() <= _LARGEST_SVG:
                return "svg+xml", text.getvalue()
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=_PNG_PER_INCH, metadata={"Software": made_with})
    return "png", _with_palette(image.getvalue())


def _with_palette(png: bytes) -> bytes:
    """Return the picture in at most 256 colours, a third of the size and the same to the eye."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        small = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    data = io.BytesIO()
    small.save(data, format="png", optimize=True)
    return min(data.getvalue(), png, key=len)
