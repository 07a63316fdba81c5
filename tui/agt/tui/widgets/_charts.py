"""Latency and throughput of both runtimes over time, side by side on one scale."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from agt.supervisor.view import View
from agt.tui import _format
from agt.tui._chart import Points, draw, scale_top
from agt.tui._glyphs import Glyphs
from agt.tui._text import MUTED, Line, Part, left, spread
from agt.tui.widgets._panel import Panel
from agt.tui.widgets._traffic import runtime_style

_LABEL: Final = 6
_GAP: Final = 2
_ASCII_BODY: Final = ":"


def _latency(value: float) -> str:
    return _format.latency(value, "")


_MEASURES: Final[tuple[tuple[str, str, Callable[[float], str]], ...]] = (
    ("p99", "p99", _latency),
    ("rate", "msg/s", _format.count),
)
"""The series' name in the view, its label, and how its values are written."""


class Charts(Panel):
    """Two measures, each with one chart a runtime."""

    EMPTY = ""
    SECTIONS = ("history", "runtimes")

    def lines(self, view: View, width: int, height: int) -> list[Line]:
        """Draw one-line charts where there is no room, else tall ones with their scale."""
        series = {history.series: history.points for history in view.history}
        names = [runtime.name for runtime in view.runtimes]
        if not names:
            return []
        styles = [runtime_style(view, name) for name in names]
        tall = height // len(_MEASURES)
        lines: list[Line] = []
        for key, label, written in _MEASURES:
            points = [series.get(f"{name} {key}", ()) for name in names]
            if tall < 3:
                lines.append(_row(label, points, styles, width, self.glyphs))
            else:
                lines += _block(label, names, points, styles, (width, tall), written, self.glyphs)
        return lines


def _chart_width(width: int, charts: int) -> int:
    return max(1, (width - _GAP * (charts - 1)) // charts)


def _row(label: str, points: Sequence[Points], styles: list[str], width: int, glyphs: Glyphs) -> Line:
    chart = _chart_width(width - _LABEL, len(points))
    top = scale_top(*(series[-chart:] for series in points))
    line: Line = [(left(label, _LABEL, glyphs), MUTED)]
    for index, (series, style) in enumerate(zip(points, styles, strict=True)):
        line += [(" " * (_GAP if index else 0), ""), (draw(series, chart, 1, top, glyphs)[0], style)]
    return line


def _block(
    label: str,
    names: list[str],
    points: Sequence[Points],
    styles: list[str],
    size: tuple[int, int],
    written: Callable[[float], str],
    glyphs: Glyphs,
) -> list[Line]:
    """Return a title line with the scale's top, then the charts, then nothing: the next title separates."""
    width, height = size
    chart = _chart_width(width, len(points))
    top = scale_top(*(series[-chart:] for series in points))
    title: Line = []
    rows: list[Line] = [[] for _ in range(height - 1)]
    for index, (name, series, style) in enumerate(zip(names, points, styles, strict=True)):
        gap = " " * (_GAP if index else 0)
        scale = f"0 to {written(top)}" if top else ""
        head: Line = [(f"{name} ", style), (label, MUTED)]
        title += [(gap, ""), *spread(head, [(scale, MUTED)], chart)]
        for row, parts in zip(rows, _shaded(draw(series, chart, height - 1, top, glyphs), style, glyphs), strict=True):
            row += [(gap, ""), *parts]
    return [title, *rows]


def _run(text: str, quiet: bool, style: str, glyphs: Glyphs) -> Part:  # noqa: FBT001 - private, and named by its caller.
    if not quiet:
        return text, style
    return (_ASCII_BODY * len(text) if glyphs.ascii_only else text), f"{style} 35%"


def _shaded(drawn: list[str], style: str, glyphs: Glyphs) -> list[Line]:
    """Return a tall chart with its edge in full colour and what lies under it in a quieter one."""
    above = " " * len(drawn[0])
    rows: list[Line] = []
    for text in drawn:
        inside = [cell == glyphs.ramp[-1] and over != " " for cell, over in zip(text, above, strict=True)]
        runs = groupby(zip(text, inside, strict=True), key=lambda cell: cell[1])
        rows.append([_run("".join(cell for cell, _ in run), quiet, style, glyphs) for quiet, run in runs])
        above = text
    return rows
