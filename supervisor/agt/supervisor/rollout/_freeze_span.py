"""When a plan's frozen days begin and end. Pure."""

import datetime
from zoneinfo import ZoneInfo

from agt.supervisor.rollout._plan_file import FreezeSpan


def span_of(span: FreezeSpan) -> tuple[float, float]:
    """Return when a plan's frozen days begin and end, in seconds since the epoch; a last day is frozen whole.

    Raises:
        ValueError: when one of them is neither a date nor a time.
        zoneinfo.ZoneInfoNotFoundError: when there is no such time zone.
    """
    zone = ZoneInfo(span.zone)
    end = _parsed(span.end, zone)
    if len(span.end) == len("2026-12-20"):
        end += datetime.timedelta(days=1)
    return _parsed(span.start, zone).timestamp(), end.timestamp()


def _parsed(text: str, zone: ZoneInfo) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
