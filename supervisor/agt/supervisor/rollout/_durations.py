"""Durations as plans write them (`3d`, `90s`, `500ms`) and as people read them (`2d 03h`)."""

import math
import re
from typing import Final

SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
"""Seconds in each unit that a plan may use."""

LONGEST_S: Final = 36_525 * SECONDS["d"]
"""The longest duration that is taken: a century, so that every sum of a plan's stays a number."""

_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_CHECKS: Final = re.compile(r"(\d{1,6}) checks?")


def parse_duration(text: str) -> float:
    """Return the seconds that `text` means; parts add up (`1h 30m`).

    Raises:
        ValueError: if it is no duration; the message shows what one looks like.
    """
    stripped = text.strip()
    parts = _PART.findall(stripped)
    if not parts or _PART.sub("", stripped).strip():
        raise ValueError(f"{text!r} is no duration; write a number and a unit, such as '3d', '24h', '90s' or '500ms'")
    seconds = math.fsum(float(number) * SECONDS[unit] for number, unit in parts)
    if seconds > LONGEST_S:
        raise ValueError(f"{text[:40]!r} is too long; at most {format_duration(LONGEST_S)}")
    return seconds


def parse_checks(text: str, *, check_interval_s: float) -> int:
    """Return the number of checks in a row that `3 checks` or `10m` means; at least 1.

    Raises:
        ValueError: if it is neither a count of checks nor a duration.
    """
    if match := _CHECKS.fullmatch(text.strip()):
        return max(1, int(match[1]))
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither a count nor a duration; write '3 checks' or '10m'") from None
    return max(1, math.ceil(seconds / check_interval_s))


def format_duration(seconds: float) -> str:
    """Return a short form for people: two units from a minute up, `3.2 s` below."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    days, rest = divmod(round(seconds), 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days}d {hours:02}h"
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {left:02}s"
