"""Numbers as people read them: short, aligned by the caller, never rounded up to something better than it is."""

import math
import time
from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: `18s`, `2m 05s`, `3h 20m`, `2d 03h`."""
    whole = max(0, math.ceil(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE:02d}m"
    return f"{whole // _DAY}d {whole % _DAY // _HOUR:02d}h"


def ratio(value: float | None, dash: str) -> str:
    """Return a share as a percentage with one decimal, cut and not rounded: 0.99996 is `99.9 %`."""
    if value is None:
        return dash
    return f"{math.floor(value * 1000 + 1e-9) / 10:.1f} %"


def percent(value: float | None, dash: str) -> str:
    """Return a share as a whole percentage."""
    return dash if value is None else f"{round(value * 100)} %"


def budget(value: float | None, dash: str) -> str:
    """Return what is left of an error budget; how far it is overspent beyond its double is nothing to read off."""
    return "spent" if value is not None and value < -1 else percent(value, dash)


def percentage(value: float) -> str:
    """Return a percentage that is one already: `25 %`, `0.5 %`."""
    return f"{value:g} %"


def latency(seconds: float | None, dash: str) -> str:
    """Return a latency: `91 ms`, `1.25 s`."""
    if seconds is None:
        return dash
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"


def milliseconds(value: float | None, dash: str) -> str:
    """Return what is in milliseconds already."""
    return dash if value is None else latency(value / 1000, dash)


def count(value: float) -> str:
    """Return a count with thousands: `1,234`, from ten million on `12.3 M`."""
    return f"{value / 1e6:.1f} M" if value >= 1e7 else f"{value:,.0f}"


def factor(value: float) -> str:
    """Return a squeeze factor: `1x`, `14,400x`."""
    return f"{value:,.0f}x" if value >= 10 else f"{value:g}x"


def clock(at: float) -> str:
    """Return the local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(at))
