"""The first line: which plan, which phase and how far, how much squeezed, whether this is live, and the time."""

from typing import Final

from textual.content import Content
from textual.reactive import reactive

from agt.supervisor.view import PhaseView, View
from agt.tui import _format
from agt.tui._text import MUTED, Line, Part, clip, length, spread, to_content
from agt.tui.messages import Connection
from agt.tui.widgets._panel import Panel

_STATUS: Final[dict[str, Part]] = {
    "starting": ("STARTING", "bold $warning"),
    "held": ("HELD", "bold $warning"),
    "rolled-back": ("ROLLED BACK", "bold $error"),
    "killed": ("KILLED", "bold $error"),
    "complete": ("COMPLETE", "bold $success"),
}
_GAP: Final = "  "
_LEAST_PLAN: Final = 8
"""Cells that the plan's name keeps; the squeeze gives way first."""


def active_phase(view: View) -> PhaseView | None:
    """Return the phase that the view calls active."""
    return next((phase for phase in view.phases if phase.name == view.phase), None)


class Header(Panel):
    """One line over everything."""

    DEFAULT_CSS = """
    Header { height: 1; padding: 0 1; }
    """

    SECTIONS = ("plan", "status", "phase", "phases", "squeeze")

    connection: reactive[Connection] = reactive(Connection("starting"))
    """Whether what is shown is live."""

    now: reactive[float] = reactive(0.0)
    """The time of day, in seconds since the epoch."""

    read_only: reactive[bool] = reactive(False)  # noqa: FBT003 - a reactive's default has no name.
    """Whether the acting keys are off."""

    def render(self) -> Content:
        """Draw the line, also before anything has arrived."""
        width = self.content_size.width
        end = self._end()
        start: Line = [("agt", "bold $primary"), (_GAP, "")]
        if self.view is None:
            return to_content([spread(start, end, width)])
        middle = self._middle(self.view)
        spare = width - length(start) - length(end) - 2 * len(_GAP) - _LEAST_PLAN
        squeeze = f"squeeze {_format.factor(self.view.squeeze)}"
        if self.view.squeeze != 1 and length(middle) + len(squeeze) <= spare:
            middle.append((squeeze, MUTED))
        room = max(_LEAST_PLAN, spare + _LEAST_PLAN - length(middle))
        start.append((clip(self.view.plan, room, self.glyphs), "bold"))
        return to_content([spread([*start, (_GAP + " ", ""), *middle], end, width)])

    def _middle(self, view: View) -> Line:
        line: Line = []
        if view.status in _STATUS:
            line += [_STATUS[view.status], (_GAP, "")]
        if (phase := active_phase(view)) is not None and view.status in {"running", "held"}:
            line += [(phase.name, "bold"), (_GAP, "")]
            line.append((f"{_format.duration(phase.carried_s)} of {_format.duration(phase.soak_s)}", ""))
            line.append((_GAP, ""))
        return line

    def _end(self) -> Line:
        state = self.connection.state
        style = {"live": "$success", "lost": "bold $error", "ended": "bold $error", "starting": "$warning"}[state]
        mark = self.glyphs.bullet if state == "live" else self.glyphs.hollow
        line: Line = [("read-only", MUTED), (_GAP, "")] if self.read_only else []
        return [*line, (f"{mark} {state}", style), (_GAP, ""), (_format.clock(self.now), "")]
