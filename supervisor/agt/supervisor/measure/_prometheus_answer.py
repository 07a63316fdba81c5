"""Reading what a Prometheus server answers, and making of it what a scrape of each router would have given.

A series belongs to the router whose `agt_router_info` comes from the same target. What a router said too long ago is
no data, whatever the server still answers for it: its lookback of five minutes would keep a dead router's figures.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from agt.supervisor.measure._exposition import ExpositionError, Sample
from agt.supervisor.measure._groups import SLOW_DEFAULT_S
from agt.supervisor.measure._promql import CARRIED
from agt.supervisor.measure._sample import RouterSample, read_sample

SERIES_MAX: Final = 40_000
"""More than this in one answer is refused: a label per device is the usual cause."""
ROUTERS_MAX: Final = 64
"""Routers that one server knows; a plan names at most 16."""


class AnswerUnusable(ValueError):
    """Raised when a server refuses a query, or answers what is no instant vector."""


class _Series(msgspec.Struct, frozen=True):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct, frozen=True, rename="camel"):
    result_type: str
    result: list[Any] = []


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    status: str
    data: _Data | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class RouterMeasured:
    """What a server knows of one router."""

    age_s: float
    """Seconds since the server scraped it."""
    sample: RouterSample
    carried_s: dict[str, float] = field(default_factory=dict)
    """Seconds that each generation was carried, as far as the server has seen."""


def read_vector(body: bytes) -> list[Sample]:
    """Read an answer to an instant query.

    Raises:
        AnswerUnusable: when it is no vector, or has more than `SERIES_MAX` series.
    """
    try:
        answer = msgspec.json.decode(body, type=_Answer)
        if answer.status != "success" or answer.data is None:
            raise AnswerUnusable(f"refuses the query: {answer.error[:200] or 'without a reason'}")
        if answer.data.result_type != "vector":
            raise AnswerUnusable(f"answers a {answer.data.result_type[:20]} where a vector was asked for")
        if len(answer.data.result) > SERIES_MAX:
            raise AnswerUnusable(f"answers more than {SERIES_MAX} series; is there a label per device?")
        series = msgspec.convert(answer.data.result, list[_Series])
        return [Sample(one.metric.get("__name__", ""), one.metric, float(one.value[1])) for one in series]
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        if isinstance(error, AnswerUnusable):
            raise
        raise AnswerUnusable(f"answers what can't be read: {error}") from error


def routers_measured(
    known: Sequence[Sample], series: Iterable[Sample], *, now: float, slow_s: float = SLOW_DEFAULT_S
) -> dict[str, RouterMeasured]:
    """Put each router's series together, by what the router calls itself.

    A router's own page was scraped at one moment, `age_s` ago; that is when its counts are true. Where several targets
    claim to be one router (a target that was renamed, say) the youngest counts.

    Args:
        known: The answer to `router_query`.
        series: The answer to `series_query`.
        now: Seconds since the epoch, by our own clock; the server's is never compared with it.
        slow_s: Slower than this is bad in the counts by group.

    Raises:
        AnswerUnusable: when there are too many routers, or a series lacks the bound that it is about.
    """
    if len(known) > ROUTERS_MAX:
        raise AnswerUnusable(f"knows {len(known)} routers; narrow `matchers` down to those of this plan")
    targets = {_target(one): one for one in sorted(known, key=lambda one: -one.value)}
    youngest = {one.labels["router"]: target for target, one in targets.items() if one.labels.get("router")}
    pages: dict[tuple[str, str], list[Sample]] = {target: [] for target in youngest.values()}
    for one in series:
        page = pages.get(_target(one))
        if page is not None:
            page.append(one)
    found = {}
    for router, target in youngest.items():
        age_s = max(0.0, targets[target].value)
        try:
            sample = read_sample(pages[target], router=router, at=now - age_s, slow_s=slow_s)
        except ExpositionError as error:
            raise AnswerUnusable(f"has series that can't be read: {error}") from error
        carried = {
            one.labels.get("generation", ""): one.value
            for one in pages[target]
            if one.name == CARRIED and one.labels.get("router", router) == router
        }
        found[router] = RouterMeasured(age_s, sample, carried)
    return found


def _target(sample: Sample) -> tuple[str, str]:
    return sample.labels.get("job", ""), sample.labels.get("instance", "")
