"""What the adapter says about itself beside the router: the body of `GET /http`, and its Prometheus families."""

from collections.abc import Iterator

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agt.router.http._adapter import HttpAdapter

_CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")


class HttpStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The adapter at one instant."""

    under_way: dict[str, int]
    """Requests without their whole answer, by runtime."""
    answers: dict[str, dict[str, int]]
    """Requests that have ended, by runtime and class of status; `none` had no answer."""
    callers: int
    """Keys that are remembered."""
    unremembered: int
    """Requests placed by the decision alone, because no more keys could be remembered."""
    callers_gone: dict[str, int]
    """Requests whose caller left before the whole answer had come, by runtime."""
    crossings: int
    """Requests that went over to the other runtime before they were answered."""
    retired: dict[str, int]
    """Requests to endpoints on their way out: `deprecated` (answered with headers) and `gone` (410)."""
    mirror_waiting: int
    """Requests that wait to be mirrored."""
    mirror_held_bytes: int
    """What their copies hold."""


def http_status(adapter: HttpAdapter) -> HttpStatus:
    """Return the adapter's own figures."""
    books = adapter.books
    return HttpStatus(
        under_way={name: traffic.in_flight for name, traffic in books.traffic.items()},
        answers={
            name: {label: count for label, count in zip(_CLASSES, counts, strict=True) if count}
            for name, counts in books.statuses.items()
        },
        callers=len(adapter.callers),
        unremembered=adapter.callers.unremembered,
        callers_gone=dict(books.callers_gone),
        crossings=books.crossings,
        retired=dict(adapter.retired),
        mirror_waiting=adapter.mirror.waiting,
        mirror_held_bytes=adapter.mirror.held_bytes,
    )


def http_routes(adapter: HttpAdapter) -> tuple[Route, ...]:
    """Return the routes that the router's own socket gets beside its others."""

    async def status(_: Request) -> Response:
        return Response(msgspec.json.encode(http_status(adapter)), media_type="application/json")

    return (Route("/http", status),)


class HttpCollector(Collector):
    """Turns the adapter's figures into metric families; requests and latency are the transports' own."""

    def __init__(self, adapter: HttpAdapter) -> None:
        self._adapter = adapter

    def collect(self) -> Iterator[Metric]:
        """Yield every family, from one status."""
        status = http_status(self._adapter)
        answers = CounterMetricFamily(
            "agt_http_answers", "Requests that have ended, by class of status.", labels=("transport", "status")
        )
        for name, classes in status.answers.items():
            for label, count in classes.items():
                answers.add_metric((name, label), count)
        yield answers
        gone = CounterMetricFamily(
            "agt_http_callers_gone", "Requests whose caller left before the whole answer.", labels=("transport",)
        )
        for name, count in status.callers_gone.items():
            gone.add_metric((name,), count)
        yield gone
        retired = CounterMetricFamily("agt_http_retired", "Requests to endpoints on their way out.", labels=("state",))
        for state, count in status.retired.items():
            retired.add_metric((state,), count)
        yield retired
        yield CounterMetricFamily("agt_http_crossings", "Requests sent to the other runtime.", status.crossings)
        yield GaugeMetricFamily("agt_http_callers", "Keys that are remembered.", status.callers)
        yield GaugeMetricFamily("agt_http_mirror_waiting", "Requests that wait to be mirrored.", status.mirror_waiting)
