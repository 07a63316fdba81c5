"""The router's figures as Prometheus families, made when somebody scrapes; needs the `metrics` extra."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agt.router._mode_metrics import mode_families
from agt.router._router import Router
from agt.router._shadow_metrics import shadow_families
from agt.router._status import LedgerStatus, RouterStatus

_OUTCOMES = ("accepted", "delivered", "written", "not_delivered", "indeterminate", "taken_over", "given_up")


class RouterCollector(Collector):
    """Turns one router's status into metric families."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def collect(self) -> Iterator[Metric]:
        """Yield every family, from one status."""
        status = self._router.status()
        named = GaugeMetricFamily("agt_router_info", "1; `router` is what this instance is called.", labels=("router",))
        named.add_metric((status.router,), 1)
        yield named
        yield GaugeMetricFamily("agt_route_generation", "Generation of the selector applied.", status.generation)
        carried = GaugeMetricFamily(
            "agt_route_carried_seconds", "Seconds that a generation has been carried.", labels=("router", "generation")
        )
        for generation, seconds in status.carried_s.items():
            carried.add_metric((status.router, generation), seconds)
        yield carried
        yield GaugeMetricFamily("agt_loop_lag_seconds", "Worst recent delay of the event loop.", status.loop_lag_s)
        devices = GaugeMetricFamily("agt_devices", "Devices that a runtime carries.", labels=("transport",))
        for name, runtime in status.runtimes.items():
            devices.add_metric((name,), runtime.devices)
        yield devices
        yield from _sessions(status)
        yield from _ledger(status.ledger)
        yield from shadow_families(self._router.shadow_report())
        yield GaugeMetricFamily("agt_moves_in_progress", "Devices whose old path is draining.", status.moves.moving)
        yield from _last_move(status.moves.routed_ms, status.moves.settled_ms)
        yield from mode_families(status.mode)
        yield GaugeMetricFamily("agt_killed", "1 while everything is on control by the kill latch.", status.killed)


def _sessions(status: RouterStatus) -> Iterator[Metric]:
    """Yield the live sessions by runtime, and what became of those that moved."""
    live = GaugeMetricFamily("agt_router_sessions", "Live sessions by runtime.", labels=("runtime",))
    pinned = GaugeMetricFamily(
        "agt_router_sessions_pinned", "Sessions that only a pin keeps here.", labels=("runtime",)
    )
    for name, runtime in status.runtimes.items():
        live.add_metric((name,), runtime.sessions)
        pinned.add_metric((name,), runtime.pinned)
    yield live
    yield pinned
    counts = status.sessions
    yield CounterMetricFamily("agt_router_sessions_begun", "Sessions that have begun.", counts.begun)
    yield CounterMetricFamily("agt_router_sessions_restarted", "Sessions restarted on request.", counts.restarted)
    yield CounterMetricFamily(
        "agt_router_sessions_cut", "Drains that ended at their deadline with commands unanswered.", counts.cut
    )


def _ledger(ledger: dict[str, LedgerStatus]) -> Iterator[Metric]:
    messages = CounterMetricFamily(
        "agt_ledger_messages", "Messages by what became of them.", labels=("transport", "outcome")
    )
    resends = CounterMetricFamily("agt_ledger_resends", "Messages sent again.", labels=("transport",))
    for name, counts in ledger.items():
        for outcome in _OUTCOMES:
            messages.add_metric((name, outcome), getattr(counts, outcome))
        resends.add_metric((name,), counts.resends)
    yield messages
    yield resends


def _last_move(routed_ms: float | None, settled_ms: float | None) -> Iterator[Metric]:
    """Yield what is known: an unfinished move has no settled time, and no data is better than a wrong zero."""
    for name, value in (("routed", routed_ms), ("settled", settled_ms)):
        if value is not None:
            yield GaugeMetricFamily(
                f"agt_last_move_{name}_seconds", f"Seconds until the newest move was {name}.", value / 1000
            )
