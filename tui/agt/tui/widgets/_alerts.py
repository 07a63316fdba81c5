"""The newest alerts: open ones stand out, resolved ones step back."""

from typing import Final

from agt.supervisor.view import AlertView, View
from agt.tui import _format
from agt.tui._glyphs import Glyphs
from agt.tui._text import MUTED, Line, left, wrap
from agt.tui.widgets._panel import Panel

_STYLES: Final = {"info": "$primary", "warn": "$warning", "degraded": "bold $warning", "escalate": "bold $error"}
_TIME: Final = 8


class Alerts(Panel):
    """The top of the alert ledger."""

    EMPTY = "no alerts"
    SECTIONS = ("alerts",)

    def on_mount(self) -> None:
        """Name the panel."""
        self.border_title = "alerts"

    def view_changed(self, view: View) -> None:
        """Count the open ones in the title."""
        still_open = sum(alert.open for alert in view.alerts)
        self.border_title = f"alerts ({still_open} open)" if still_open else "alerts"

    def lines(self, view: View, width: int, height: int) -> list[Line]:
        """Draw the newest, wrapped where there is room."""
        shown = view.alerts[:height]
        spare = height - len(shown)
        widths = (
            max((len(alert.severity) for alert in shown), default=0),
            min(10, max((len(alert.source) for alert in shown), default=0)),
        )
        lines: list[Line] = []
        for alert in shown:
            rows = _rows(alert, width, widths, 1 + min(1, spare), self.glyphs)
            spare -= len(rows) - 1
            lines += rows
        return lines


def _rows(alert: AlertView, width: int, widths: tuple[int, int], most: int, glyphs: Glyphs) -> list[Line]:
    severity, source = widths
    indent = _TIME + 1 + severity + 1 + source + 1
    style = _STYLES[alert.severity] if alert.open else MUTED
    messages = wrap(alert.message, max(8, width - indent), most, glyphs) or [""]
    first: Line = [
        (f"{_format.clock(alert.at)} ", MUTED),
        (left(alert.severity, severity, glyphs) + " ", style),
        (left(alert.source, source, glyphs) + " ", MUTED),
        (messages[0], "" if alert.open else MUTED),
    ]
    return [first, *([(" " * indent + message, "" if alert.open else MUTED)] for message in messages[1:])]
