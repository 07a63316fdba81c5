"""A chart in characters: one column a point, newest at the right, gaps where nothing was measured.

Textual's own Sparkline scales each series to itself and draws block characters only. Here two runtimes are compared,
so both share one scale, a gap stays a gap, and there is an ASCII form.
"""

from collections.abc import Sequence

from agt.tui._glyphs import Glyphs

Points = Sequence[float | None]


def scale_top(*series: Points) -> float:
    """Return the value at the upper edge of a scale that starts at 0 and holds every series."""
    return max((point for points in series for point in points if point is not None), default=0.0)


def draw(points: Points, width: int, height: int, top: float, glyphs: Glyphs) -> list[str]:
    """Return `height` lines of exactly `width` characters; 0 is the lower edge, `top` the upper one."""
    shown = list(points[-width:]) if width > 0 else []
    columns = [None] * (width - len(shown)) + [_levels(point, height, top, glyphs) for point in shown]
    return ["".join(_cell(column, row, glyphs) for column in columns) for row in range(height - 1, -1, -1)]


def _levels(point: float | None, height: int, top: float, glyphs: Glyphs) -> int | None:
    """Return how many eighths of a cell are filled: at least one where something was measured."""
    if point is None:
        return None
    steps = height * len(glyphs.ramp)
    return min(steps, max(1, round(point / top * steps))) if top > 0 else 1


def _cell(level: int | None, row: int, glyphs: Glyphs) -> str:
    if level is None:
        return " "
    over = level - row * len(glyphs.ramp)
    return " " if over <= 0 else glyphs.ramp[min(over, len(glyphs.ramp)) - 1]
