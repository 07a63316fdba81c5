"""The conditions for leaving the active phase: verdict, measured value, and what is missing."""

from typing import Final

from rich.cells import cell_len

from agt.supervisor.view import GateView, View
from agt.tui._glyphs import Glyphs
from agt.tui._text import MUTED, Line, Part, left, right, wrap
from agt.tui.widgets._panel import Panel

VERDICT_STYLES: Final = {
    "passed": "$success",
    "pending": "$primary",
    "inconclusive": "$warning",
    "error": "bold $error",
    "failed": "bold $error",
}
_ROOMY: Final = 90
_WORD: Final = 14
"""Cells of the verdict's word, where there is room for it."""

_LEAST_NAME: Final = 20
_URGENCY: Final = ("failed", "error", "inconclusive", "pending", "passed")


def verdict_mark(verdict: str, glyphs: Glyphs) -> str:
    """Return a verdict's character; the word is never told by colour alone."""
    return {
        "passed": glyphs.done,
        "pending": glyphs.pending,
        "inconclusive": glyphs.unsure,
        "error": glyphs.error,
        "failed": glyphs.failed,
    }[verdict]


class Gates(Panel):
    """The gates of the active phase; when there is no room for all, those that are in the way come first."""

    EMPTY = "no gates: the soak alone decides"
    SECTIONS = ("gates", "phase")

    def on_mount(self) -> None:
        """Name the panel."""
        self.border_title = "gates"

    def view_changed(self, view: View) -> None:
        """Say whose gates these are."""
        self.border_title = f"gates of {view.phase}" if view.phase else "gates"

    def lines(self, view: View, width: int, height: int) -> list[Line]:
        """Draw a line a gate, more for a reason that needs them where there is room."""
        gates = list(view.gates)
        if len(gates) > height:
            hidden = len(gates) - height + 1
            gates = sorted(gates, key=lambda gate: _URGENCY.index(gate.verdict))[: height - 1]
            return [*self._rows(gates, width, spare=0), [(f"  and {hidden} more", MUTED)]]
        return self._rows(gates, width, spare=height - len(gates))

    def _rows(self, gates: list[GateView], width: int, *, spare: int) -> list[Line]:
        roomy = width >= _ROOMY
        value_width = max((cell_len(gate.value) for gate in gates), default=0)
        room = width - 6 - value_width - (_WORD if roomy else 0)
        name_width = _name_width(gates, room)
        reason_width = max(8, room - name_width)
        lines: list[Line] = []
        for gate in gates:
            reasons = wrap(gate.reason, reason_width, 1 + spare, self.glyphs) or [""]
            spare -= len(reasons) - 1
            style = VERDICT_STYLES[gate.verdict]
            start: Line = [(f"{verdict_mark(gate.verdict, self.glyphs)} ", style)]
            word: list[Part] = [(left(gate.verdict, _WORD, self.glyphs), style)] if roomy else []
            lines.append(
                [
                    *start,
                    *word,
                    (left(gate.name, name_width, self.glyphs), ""),
                    ("  " + right(gate.value, value_width) + "  ", "bold"),
                    (reasons[0], MUTED if gate.verdict == "passed" else ""),
                ]
            )
            lines += [[(" " * (width - reason_width) + reason, "")] for reason in reasons[1:]]
        return lines


def _name_width(gates: list[GateView], room: int) -> int:
    """Return what names get: all they need where reasons are short, else at least `_LEAST_NAME`; reasons can wrap."""
    names = max((cell_len(gate.name) for gate in gates), default=0)
    reasons = max((cell_len(gate.reason) for gate in gates), default=0)
    return min(names, max(_LEAST_NAME, room - reasons))
