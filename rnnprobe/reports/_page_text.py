"""Text of the page as HTML: sentences in Markdown, and names as they are."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from rnnprobe import _text

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline

_MARKS = re.compile(r"[\\`*&]")
_LEAD = re.compile(r"[A-Z][a-z][A-Za-z ,()-]{0,68}:(?= )")


def printable(text: str) -> str:
    r"""Return `text` on one line, characters that nobody sees written out.

    Example:
        >>> printable("a\nb \u202e")
        'a b \\u202e'
    """
    return _text.printable(text.replace("\n", " "))


def inline(text: str) -> Markup:
    """Return one line of Markdown as HTML: stars, code, escapes; links and tags stay text.

    Example:
        >>> str(inline("**best** of `a<b`, _as_ it is"))
        '<strong>best</strong> of <code>a&lt;b</code>, _as_ it is'
    """
    line = printable(text).replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
    if not _MARKS.search(line):
        return escape(line)
    return Markup(_parser().renderInline(line))  # noqa: S704 - the parser escapes


def sentence(text: str) -> Markup:
    """Return a finding as HTML, the plain words up to its first colon set off.

    Example:
        >>> str(sentence("Clean accuracy: 0.9"))
        '<strong class="lead">Clean accuracy:</strong> 0.9'
    """
    lead = _LEAD.match(text)
    if lead is None:
        return inline(text)
    head = Markup('<strong class="lead">{}</strong> ').format(lead[0])
    return head + inline(text[lead.end() + 1 :])


def blocks(text: str) -> Markup:
    """Return Markdown of several paragraphs as HTML."""
    return Markup(_parser().render(_text.printable(text, keep="\n")))  # noqa: S704 - the parser escapes


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False})
    # What our sentences never hold, a name in them may look like.
    parser.disable(["link", "image", "autolink", "html_inline", "html_block", "reference"])
    parser.disable(["heading", "lheading", "hr", "blockquote", "code"])
    parser.inline.ruler.at("emphasis", _stars)
    return parser


def _stars(state: StateInline, silent: bool) -> bool:
    """Take stars for emphasis and leave underscores, which `table.escape` leaves in names."""
    from markdown_it.rules_inline import emphasis

    return state.src[state.pos] == "*" and emphasis.tokenize(state, silent)
