"""What became of every message, by runtime, as the routers count it."""

from typing import Final

from agt.supervisor.view import LedgerView, View
from agt.tui import _format
from agt.tui._glyphs import Glyphs
from agt.tui._text import MUTED, Line, left, right
from agt.tui.widgets._panel import Panel
from agt.tui.widgets._traffic import name_width, runtime_style

_HEADINGS: Final = ("accepted", "delivered", "written", "not_delivered", "indeterminate", "in_flight", "resends")
_LONG: Final = ("accepted", "delivered", "written", "not delivered", "indeterminate", "in flight", "resends")
_SHORT: Final = ("accept", "deliv", "written", "not del", "indet", "flight", "resent")
_BAD: Final = frozenset({"not_delivered", "indeterminate"})


class Ledger(Panel):
    """One row a runtime."""

    EMPTY = "no messages yet"
    SECTIONS = ("ledger", "runtimes")

    def on_mount(self) -> None:
        """Name the panel."""
        self.border_title = "ledger: what became of every message"

    def lines(self, view: View, width: int, height: int) -> list[Line]:
        """Draw heading and rows; headings are short where the table is narrow."""
        if not view.ledger:
            return []
        name = max(name_width(view), 8)
        long = width - name >= sum(len(word) + 2 for word in _LONG)
        words = _LONG if long else _SHORT
        spare = max(0, width - name - sum(len(word) + 2 for word in words)) // len(words)
        widths = [len(word) + 2 + min(4, spare) for word in words]
        heading = " " * name + "".join(right(word, column) for word, column in zip(words, widths, strict=True))
        rows = [_row(row, name, widths, runtime_style(view, row.runtime), self.glyphs) for row in view.ledger]
        lines: list[Line] = [[(heading, MUTED)], *rows]
        return lines[:height]


def _row(row: LedgerView, name: int, widths: list[int], style: str, glyphs: Glyphs) -> Line:
    line: Line = [(left(row.runtime, name, glyphs), style)]
    for key, column in zip(_HEADINGS, widths, strict=True):
        value = int(getattr(row, key))
        emphasis = "bold $warning" if value and key in _BAD else ("" if value else MUTED)
        line.append((right(_format.count(value), column), emphasis))
    return line
