"""Text that came from somewhere else: whether it can be written, and as what."""

from __future__ import annotations


def is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8; one with half a surrogate pair cannot.

    Example:
        >>> is_utf8("ü"), is_utf8(chr(0xDCFF))
        (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str, *, keep: str = "") -> str:
    r"""Return text that cannot move a terminal's cursor: what nobody sees is written out.

    Args:
        text: Any text; without `keep` one line comes of it.
        keep: Characters that stay as they are.

    Example:
        >>> printable("cafe\x1b[31m.keras")
        'cafe\\x1b[31m.keras'
        >>> printable("a\r\nb", keep="\n")
        'a\\r\nb'
    """
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)
