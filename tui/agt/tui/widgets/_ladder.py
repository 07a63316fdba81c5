"""The phases of the plan from top to bottom: done, active with its time left, still to come."""

from typing import Final

from agt.supervisor.view import PhaseView, View
from agt.tui import _format
from agt.tui._glyphs import Glyphs
from agt.tui._text import MUTED, Line, bar, left, length, right
from agt.tui.widgets._panel import Panel

ROOMY: Final = 38
"""Cells from which a rung has room for its percentage and a longer bar."""

_STYLES: Final = {"done": "$success", "active": "bold $primary", "pending": MUTED, "rolled-back": "$error"}


def window_start(count: int, active: int, height: int) -> int:
    """Return the first rung to show so that the active one is in sight, with what comes next."""
    return max(0, min(active - height // 3, count - height))


class Ladder(Panel):
    """The phase ladder."""

    EMPTY = "no phases"
    SECTIONS = ("phases",)

    def on_mount(self) -> None:
        """Name the panel."""
        self.border_title = "phases"

    def lines(self, view: View, width: int, height: int) -> list[Line]:
        """Draw one rung a line."""
        active = next((index for index, phase in enumerate(view.phases) if phase.state == "active"), 0)
        start = window_start(len(view.phases), active, height)
        return [_rung(phase, width, self.glyphs) for phase in view.phases[start : start + height]]


def _rung(phase: PhaseView, width: int, glyphs: Glyphs) -> Line:
    style = _STYLES[phase.state]
    mark = {
        "done": glyphs.done,
        "active": glyphs.active,
        "pending": glyphs.pending,
        "rolled-back": glyphs.rolled_back,
    }[phase.state]
    end = _end(phase, width, glyphs)
    name_width = max(4, width - 2 - length(end))
    name_style = "bold" if phase.state == "active" else ("" if phase.state != "pending" else MUTED)
    return [(f"{mark} ", style), (left(phase.name, name_width, glyphs), name_style), *end]


def _end(phase: PhaseView, width: int, glyphs: Glyphs) -> Line:
    """Return what stands at a rung's right: a bar and the time left while active, else the time as planned."""
    planned = phase.planned or _format.duration(phase.soak_s)
    roomy = width >= ROOMY
    middle, last = (14, 8) if roomy else (4, 4)
    line: Line = [(right(_format.percentage(phase.percent), 6), MUTED), ("  ", "")] if roomy else [(" ", "")]
    if phase.state == "active" and phase.soak_s > 0:
        full, empty = bar(phase.carried_s / phase.soak_s, middle, glyphs)
        time_left = _format.duration(phase.soak_s - phase.carried_s)
        return [*line, (full, "$primary"), (empty, MUTED), (right(time_left, last), "bold")]
    note = left(phase.note, middle, glyphs) if roomy else " " * middle
    return [*line, (note, MUTED), (right(planned, last), MUTED)]
