"""Prometheus families out of `TransportMetrics`, made at scrape time.

The names are those that the dashboards of the reliable layer already use; the label `transport` is the runtime's
name. There is no label per device: with 100,000 of them it would be a trap. Needs the extra `metrics`; nothing else
in `agt.transport` imports `prometheus_client`. Scrape on the event loop's thread: live sessions are read as they are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

try:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "agt.transport.metrics needs prometheus-client: pip install 'agt-migrate[metrics]'", name=error.name
    ) from error

from agt.transport._ack_level import AckLevel
from agt.transport._metrics import LATENCY_BUCKETS_S, SLOW_LIMITS_S, TransportMetrics
from agt.transport._outcome import Outcome

_Read = Callable[[TransportMetrics], float]
_FAILED = (Outcome.NOT_DELIVERED, Outcome.INDETERMINATE)

COUNTERS: tuple[tuple[str, str, _Read], ...] = (
    ("tcp_comm_ack_received", "Messages that the peer confirmed", lambda m: m.acks_received),
    ("tcp_comm_ack_timeout", "Confirmations that did not come in time", lambda m: m.ack_timeouts),
    ("tcp_comm_idempotent_drop", "Messages received again and not handed over twice", lambda m: m.duplicates_dropped),
    ("tcp_comm_queue_full", "Messages that met a full queue", lambda m: m.queue_full),
    ("tcp_comm_retry_attempts", "Messages sent again", lambda m: m.resends),
    (
        "tcp_comm_message_abandoned",
        "Messages written and given up without an answer",
        lambda m: m.outcomes[Outcome.INDETERMINATE],
    ),
    ("tcp_comm_decode_errors", "Bytes that made no sense", lambda m: m.decode_errors),
    ("agt_tag_failures", "Connections dropped for bytes changed under a key", lambda m: m.tag_failures),
    ("tcp_comm_reconnection", "Connections after a session's first", lambda m: m.reconnections),
    ("tcp_comm_heartbeat", "Heartbeats exchanged", lambda m: m.heartbeats),
    ("tcp_comm_dedup_cache_hits", "Messages recognised by their own id", lambda m: m.dedup_hits),
    ("tcp_comm_dedup_cache_evictions", "Remembered ids that made room for newer ones", lambda m: m.dedup_evictions),
    ("agt_messages_accepted", "Messages taken for sending", lambda m: m.accepted),
    ("agt_messages_received", "Messages handed to the application", lambda m: m.received),
    ("agt_observed_replies", "Replies matched to messages that were only written", lambda m: m.observed_replies),
    ("agt_observed_missing", "Written messages whose reply did not come in time", lambda m: m.observed_missing),
)
"""Name without `_total`, help, and where the number comes from."""

GAUGES: tuple[tuple[str, str, _Read], ...] = (
    ("tcp_comm_send_queue_size", "Messages accepted and not written", lambda m: sum(s.queued for s in m.sending)),
    ("tcp_comm_recv_queue_size", "Messages received and not taken", lambda m: sum(s.waiting for s in m.sending)),
    ("tcp_comm_connection_state", "Connections on which messages flow", lambda m: sum(s.connected for s in m.sending)),
    ("tcp_comm_dedup_cache_size", "Remembered ids of messages that bring their own", lambda m: m.dedup_size),
    ("agt_in_flight", "Messages on the wire and unanswered", lambda m: m.in_flight),
)
"""Name, help, and where the number comes from."""


class TransportCollector(Collector):
    """Reads any number of runtimes' metrics; register it with a `CollectorRegistry`.

    Metrics in groups (`MetricGroups`) are added up, and shown by group as well where runtimes are compared.
    """

    def __init__(self, *metrics: TransportMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Yield one family per name, with one sample per runtime."""
        for name, help_text, read in COUNTERS:
            counter = CounterMetricFamily(name, help_text, labels=["transport"])
            for metrics in self._metrics:
                counter.add_metric([metrics.runtime], sum(map(read, metrics.parts)))
            yield counter
        for name, help_text, read in GAUGES:
            gauge = GaugeMetricFamily(name, help_text, labels=["transport"])
            for metrics in self._metrics:
                gauge.add_metric([metrics.runtime], sum(map(read, metrics.parts)))
            yield gauge
        yield self._sent()
        yield self._delivered()
        yield self._refused()
        yield self._latency()
        yield self._slow()
        yield from self._groups()

    def _sent(self) -> Metric:
        family = CounterMetricFamily(
            "tcp_comm_packet_sent", "Messages by how they ended", labels=["transport", "outcome"]
        )
        for metrics in self._metrics:
            for outcome in metrics.outcomes:
                count = sum(part.outcomes[outcome] for part in metrics.parts)
                family.add_metric([metrics.runtime, outcome.value], count)
        return family

    def _delivered(self) -> Metric:
        family = CounterMetricFamily(
            "agt_messages_delivered", "Deliveries by what the peer had done", labels=["transport", "ack_level"]
        )
        for metrics in self._metrics:
            durable = sum(part.delivered_durable for part in metrics.parts)
            family.add_metric([metrics.runtime, AckLevel.DURABLE.value], durable)
            processed = sum(part.outcomes[Outcome.DELIVERED] for part in metrics.parts) - durable
            family.add_metric([metrics.runtime, AckLevel.PROCESSED.value], processed)
        return family

    def _refused(self) -> Metric:
        family = CounterMetricFamily(
            "agt_refused_connections", "Connections that were not let in, by reason", labels=["transport", "reason"]
        )
        for metrics in self._metrics:
            for reason in metrics.refused:
                count = sum(part.refused[reason] for part in metrics.parts)
                family.add_metric([metrics.runtime, reason.value], count)
        return family

    def _latency(self) -> Metric:
        family = HistogramMetricFamily(
            "tcp_comm_packet_latency_seconds", "From send to the peer's answer", labels=["transport"]
        )
        for metrics in self._metrics:
            buckets: list[tuple[str, float]] = []
            total = 0
            bounds = (*map(str, LATENCY_BUCKETS_S), "+Inf")
            for bound, count in zip(bounds, _added(part.latency_counts for part in metrics.parts), strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric([metrics.runtime], buckets, sum(part.latency_sum_s for part in metrics.parts))
        return family

    def _slow(self) -> Metric:
        family = GaugeMetricFamily(
            "agt_in_flight_older_than", "Messages on their way for longer than this", labels=["transport", "seconds"]
        )
        for metrics in self._metrics:
            counts = _added(part.in_flight_older_than() for part in metrics.parts)
            for limit_s, count in zip(SLOW_LIMITS_S, counts, strict=True):
                family.add_metric([metrics.runtime, f"{limit_s:g}"], count)
        return family

    def _groups(self) -> Iterator[Metric]:
        """Yield what comparisons need, by group of devices: how many ended, failed, and were slow."""
        labels = ["transport", "group"]
        ended = CounterMetricFamily("agt_group_ended", "Messages whose end is known, by group", labels=labels)
        failed = CounterMetricFamily("agt_group_failed", "Of these, those that failed", labels=labels)
        slow = CounterMetricFamily(
            "agt_group_slow", "Of these, those answered later than the limit", labels=[*labels, "seconds"]
        )
        for metrics in self._metrics:
            for number, group in enumerate(metrics.parts[1:]):
                name = str(number)
                lost = sum(group.outcomes[outcome] for outcome in _FAILED) + group.observed_missing
                ended.add_metric(
                    [metrics.runtime, name], group.outcomes[Outcome.DELIVERED] + group.observed_replies + lost
                )
                failed.add_metric([metrics.runtime, name], lost)
                for limit_s in SLOW_LIMITS_S:
                    later = sum(group.latency_counts[LATENCY_BUCKETS_S.index(limit_s) + 1 :])
                    slow.add_metric([metrics.runtime, name, f"{limit_s:g}"], later)
        yield from (ended, failed, slow)


def _added(rows: Iterable[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*rows, strict=True)]


__all__ = ("TransportCollector",)
