"""Who carries what: the split as bars with device counts, and both runtimes' numbers one under the other."""

from typing import Final

from agt.supervisor.view import RuntimeView, View
from agt.tui import _format
from agt.tui._glyphs import Glyphs
from agt.tui._text import MUTED, Line, bar, left, right
from agt.tui.widgets._panel import Panel

ROLE_STYLES: Final = {"control": "$secondary", "candidate": "$primary"}
"""The colours of the two runtimes, the same in every panel."""

_NAME_MAX: Final = 12


def runtime_style(view: View, name: str) -> str:
    """Return a runtime's colour by its name."""
    return next((ROLE_STYLES[runtime.role] for runtime in view.runtimes if runtime.name == name), "")


def name_width(view: View) -> int:
    """Return the width that the runtimes' names take."""
    return min(_NAME_MAX, max((len(runtime.name) for runtime in view.runtimes), default=0))


class Traffic(Panel):
    """Split and numbers of both runtimes."""

    EMPTY = "no runtimes yet"
    SECTIONS = ("runtimes",)

    def lines(self, view: View, width: int, height: int) -> list[Line]:
        """Draw a bar each, then a table."""
        if not view.runtimes:
            return []
        name = name_width(view)
        split = [_split(runtime, name, width, self.glyphs) for runtime in view.runtimes]
        table = [_heading(name, width), *(_numbers(runtime, name, width, self.glyphs) for runtime in view.runtimes)]
        spaced: list[Line] = [[]] if height > len(split) + len(table) else []
        return [*split, *spaced, *table]


def _split(runtime: RuntimeView, name: int, width: int, glyphs: Glyphs) -> Line:
    share = right(_format.percent(runtime.share, glyphs.dash), 6)
    devices = right(_format.count(runtime.devices), 6)
    end = f"{share}{devices} dev"
    full, empty = bar(runtime.share, max(4, width - name - 1 - len(end)), glyphs)
    style = ROLE_STYLES[runtime.role]
    return [
        (left(runtime.name, name, glyphs) + " ", style),
        (full, style),
        (empty, MUTED),
        (share, "bold"),
        (devices, ""),
        (" dev", MUTED),
    ]


def _columns(width: int, name: int) -> tuple[int, ...]:
    """Return the widths of success, p50, p99, rate and in flight; spare room is shared out."""
    least = (8, 8, 8, 7, 10)
    spare = max(0, width - name - sum(least)) // len(least)
    return tuple(column + min(6, spare) for column in least)


def _heading(name: int, width: int) -> Line:
    words = ("success", "p50", "p99", "msg/s", "in flight")
    cells = "".join(right(word, column) for word, column in zip(words, _columns(width, name), strict=True))
    return [(" " * name + cells, MUTED)]


def _numbers(runtime: RuntimeView, name: int, width: int, glyphs: Glyphs) -> Line:
    dash = glyphs.dash
    values = (
        _format.ratio(runtime.success, dash),
        _format.latency(runtime.p50_s, dash),
        _format.latency(runtime.p99_s, dash),
        _format.count(runtime.rate),
        _format.count(runtime.in_flight),
    )
    styles = ("bold", "", "bold", "", "")
    line: Line = [(left(runtime.name, name, glyphs), ROLE_STYLES[runtime.role])]
    for value, style, column in zip(values, styles, _columns(width, name), strict=True):
        line.append((right(value, column), MUTED if value == dash else style))
    return line
