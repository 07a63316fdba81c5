"""Lines of text made of styled parts, fitted to a width: what all panels are drawn with.

A line is a list of (text, style) parts; styles are Textual's (`$error`, `bold $primary`), so that the theme decides.
Words may be cut short, numbers never: columns that hold numbers are given their whole width first.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from rich.cells import cell_len
from textual.content import Content

from agt.tui._glyphs import Glyphs

Part = tuple[str, str]
Line = list[Part]

MUTED: Final = "$muted"
"""The colour of what may step back; a variable of our own, because Textual's `$text-muted` is white inside content."""


def clip(text: str, width: int, glyphs: Glyphs) -> str:
    """Return the text in at most `width` cells, cut at a word where that keeps at least half of it."""
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return glyphs.ellipsis[:width]
    kept = ""
    for character in text:
        if cell_len(kept + character) > width - 1:
            break
        kept += character
    if not text[len(kept)].isspace() and (space := kept.rfind(" ")) >= len(kept) // 2:
        kept = kept[:space]
    return kept.rstrip() + glyphs.ellipsis


def left(text: str, width: int, glyphs: Glyphs) -> str:
    """Return the text at the left of exactly `width` cells."""
    clipped = clip(text, width, glyphs)
    return clipped + " " * (width - cell_len(clipped))


def right(text: str, width: int) -> str:
    """Return a number at the right of at least `width` cells; it is never cut."""
    return " " * (width - cell_len(text)) + text


def bar(share: float, width: int, glyphs: Glyphs) -> tuple[str, str]:
    """Return the filled and the empty part of a bar; a share above nothing shows at least one cell."""
    share = min(1.0, max(0.0, share))
    filled = round(share * width)
    if share > 0:
        filled = max(1, filled)
    if share < 1:
        filled = min(width - 1, filled)
    return glyphs.full * filled, glyphs.empty * (width - filled)


def wrap(text: str, width: int, lines: int, glyphs: Glyphs) -> list[str]:
    """Return the text in at most `lines` lines of at most `width` cells; only the last may be cut."""
    wrapped: list[str] = []
    rest = text
    while rest and len(wrapped) < lines - 1 and cell_len(rest) > width:
        head = rest[: width + 1]
        space = head.rfind(" ")
        cut = space if space > 0 else width
        wrapped.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    if rest:
        wrapped.append(clip(rest, width, glyphs))
    return wrapped


def length(line: Iterable[Part]) -> int:
    """Return a line's width in cells."""
    return sum(cell_len(text) for text, _ in line)


def spread(start: Line, end: Line, width: int) -> Line:
    """Return a line with one part at its left and one at its right end."""
    return [*start, (" " * max(1, width - length(start) - length(end)), ""), *end]


def to_content(lines: Sequence[Line]) -> Content:
    """Return lines as what a widget renders."""
    contents = [Content.assemble(*((text, style) if style else text for text, style in line)) for line in lines]
    return Content("\n").join(contents)
