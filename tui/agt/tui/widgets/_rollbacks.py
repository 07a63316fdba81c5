"""Every way back that was taken: why, from where to where, how fast, and what it did to messages."""

from agt.supervisor.view import RollbackView, View
from agt.tui import _format
from agt.tui._glyphs import Glyphs
from agt.tui._text import MUTED, Line, clip
from agt.tui.widgets._panel import Panel


class Rollbacks(Panel):
    """Three lines a rollback, the newest first."""

    EMPTY = "none: nothing has gone back"
    SECTIONS = ("rollbacks",)

    def on_mount(self) -> None:
        """Name the panel."""
        self.border_title = "rollbacks"

    def lines(self, view: View, width: int, height: int) -> list[Line]:
        """Draw as many whole entries as fit."""
        newest = sorted(view.rollbacks, key=lambda rollback: -rollback.at)
        lines = [line for rollback in newest for line in _entry(rollback, width, self.glyphs)]
        return lines[:height]


def _entry(rollback: RollbackView, width: int, glyphs: Glyphs) -> list[Line]:
    routed, settled = (_format.milliseconds(value, glyphs.dash) for value in (rollback.routed_ms, rollback.settled_ms))
    route = f"{rollback.from_phase} {glyphs.arrow} {rollback.to_phase}"
    return [
        [(f"{_format.clock(rollback.at)} ", MUTED), (clip(rollback.rule, width - 9, glyphs), "bold $error")],
        [("  " + clip(f"{route}, {rollback.moved} moved", width - 2, glyphs), "")],
        [(f"  routed {routed}, settled {settled}", "")],
        [(clip(f"  {rollback.resent} sent again, {rollback.indeterminate} in doubt", width, glyphs), MUTED)],
    ]
