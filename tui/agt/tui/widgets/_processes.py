"""The components: state, restarts, and what one waits for."""

from typing import Final

from rich.cells import cell_len

from agt.supervisor.view import ProcessView, View
from agt.tui._glyphs import Glyphs
from agt.tui._text import MUTED, Line, left, right, wrap
from agt.tui.widgets._panel import Panel

_STYLES: Final = {
    "ready": "$success",
    "waiting": "$warning",
    "starting": "$warning",
    "stopping": "$warning",
    "stopped": MUTED,
    "backoff": "bold $error",
    "held-down": "bold $error",
}
_STATE: Final = 9
"""Cells of the longest state, `held-down`."""

_RESTARTS: Final = 3
"""Cells of `r99`; more restarts than that push the line out, they are never cut."""

_ROOMY: Final = 38


class Processes(Panel):
    """One line a component, and what is wrong with it below where there is room."""

    EMPTY = "no components"
    SECTIONS = ("processes",)

    def on_mount(self) -> None:
        """Name the panel."""
        self.border_title = "processes"

    def lines(self, view: View, width: int, height: int) -> list[Line]:
        """Draw the components, those that are not ready first when there is no room for all."""
        processes = list(view.processes)
        if len(processes) > height:
            processes = sorted(processes, key=lambda process: process.state == "ready")[:height]
        spare = height - len(processes)
        lines: list[Line] = []
        for process in processes:
            lines.append(_row(process, width, self.glyphs))
            if process.detail and process.state != "ready":
                details = wrap(process.detail, width - 2, spare, self.glyphs) if spare else []
                spare -= len(details)
                lines += [[("  " + detail, MUTED)] for detail in details]
        return lines


def _row(process: ProcessView, width: int, glyphs: Glyphs) -> Line:
    style = _STYLES[process.state]
    roomy = width >= _ROOMY
    state_width = _STATE + (2 if roomy else 0)
    mark = glyphs.bullet if process.state == "ready" else glyphs.hollow
    pid = left(f"pid {process.pid}" if process.pid else "", 13, glyphs) if roomy else ""
    restarts = f"r{process.restarts}" if process.restarts else ""
    name = left(process.name, max(4, width - 2 - 1 - state_width - cell_len(pid) - _RESTARTS), glyphs)
    return [
        (f"{mark} ", style),
        (name + " ", ""),
        (left(process.state, state_width, glyphs), style),
        (pid, MUTED),
        (right(restarts, _RESTARTS), "$warning"),
    ]
