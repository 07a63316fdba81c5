"""The Prometheus text that a scrape sees: names, labels, numbers, live gauges."""

import anyio
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from agt.transport import Outcome, ReliableListener, ReliableTransport, Session, TCPConnection, TransportMetrics
from agt.transport.metrics import TransportCollector
from agt.transport.testing import PlainLink

EXPECTED = [
    "tcp_comm_packet_sent_total",
    "tcp_comm_packet_latency_seconds_bucket",
    "tcp_comm_ack_received_total",
    "tcp_comm_ack_timeout_total",
    "tcp_comm_idempotent_drop_total",
    "tcp_comm_send_queue_size",
    "tcp_comm_recv_queue_size",
    "tcp_comm_queue_full_total",
    "tcp_comm_retry_attempts_total",
    "tcp_comm_message_abandoned_total",
    "tcp_comm_dedup_cache_size",
    "tcp_comm_dedup_cache_hits_total",
    "tcp_comm_dedup_cache_evictions_total",
    "tcp_comm_decode_errors_total",
    "tcp_comm_connection_state",
    "tcp_comm_reconnection_total",
    "tcp_comm_heartbeat_total",
    "agt_observed_replies_total",
    "agt_observed_missing_total",
    "agt_tag_failures_total",
    "agt_refused_connections_total",
    "agt_in_flight",
    "agt_in_flight_older_than",
]


def samples(*metrics: TransportMetrics) -> dict[str, float]:
    """Scrape and return every sample by its full name with labels."""
    registry = CollectorRegistry()
    registry.register(TransportCollector(*metrics))
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_every_name_of_the_dashboards_is_there_for_every_runtime():
    """Dashboards and rules were written against these names; a missing one is a blind panel."""
    text = samples(TransportMetrics("v4"), TransportMetrics("v5"))
    for name in EXPECTED:
        for runtime in ("v4", "v5"):
            assert any(sample.startswith(f"{name}{{") and f'transport="{runtime}"' in sample for sample in text), name


def test_the_histogram_is_cumulative_and_its_count_is_the_last_bucket():
    """Prometheus computes quantiles from cumulative buckets."""
    metrics = TransportMetrics("v5")
    for latency_s in (0.004, 0.2, 0.2, 99.0):
        metrics.observe_latency(latency_s)
    text = samples(metrics)
    bucket = 'tcp_comm_packet_latency_seconds_bucket{le="%s",transport="v5"}'
    assert [text[bucket % bound] for bound in ("0.005", "0.15", "0.2", "10.0", "+Inf")] == [1, 1, 3, 3, 4]
    assert text['tcp_comm_packet_latency_seconds_count{transport="v5"}'] == 4
    assert text['tcp_comm_packet_latency_seconds_sum{transport="v5"}'] == pytest.approx(99.404)


@pytest.mark.anyio
async def test_what_happened_on_a_real_connection_is_what_the_scrape_says():
    """Outcomes, acks and the connection gauge agree with what the sender was told."""
    metrics = TransportMetrics("v5")
    async with (
        ReliableListener(on_message=lambda _: None) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), metrics=metrics) as transport,
    ):
        for _ in range(5):
            assert await transport.send_reliable(b"x")
        text = samples(metrics)
    assert text['tcp_comm_packet_sent_total{outcome="delivered",transport="v5"}'] == 5
    assert text['tcp_comm_ack_received_total{transport="v5"}'] == 5
    assert text['tcp_comm_connection_state{transport="v5"}'] == 1
    assert text['agt_in_flight{transport="v5"}'] == 0
    assert listener.metrics.received == 5


@pytest.mark.anyio
async def test_a_message_that_waits_is_slow_now_and_not_only_when_it_ends():
    """The gauge counts by age at scrape time, over all live sessions."""
    metrics = TransportMetrics("v5")
    session = Session(PlainLink(), metrics=metrics)
    session.send_nowait(b"x")
    later = anyio.current_time() + 1.0
    session._clock = lambda: later
    text = samples(metrics)
    slow = 'agt_in_flight_older_than{seconds="%s",transport="v5"}'
    assert [text[slow % limit] for limit in ("0.5", "0.8", "1.5", "5")] == [1, 1, 0, 0]
    session.close()
    assert samples(metrics)['tcp_comm_packet_sent_total{outcome="not_delivered",transport="v5"}'] == 1
    assert metrics.outcomes[Outcome.NOT_DELIVERED] == 1


@pytest.mark.anyio
async def test_a_session_that_is_gone_leaves_the_gauges():
    """Gauges hold sessions weakly, so a controller that forgets one leaks nothing."""
    metrics = TransportMetrics("v5")
    session = Session(PlainLink(), metrics=metrics)
    assert len(metrics.sending) == 1
    del session
    assert len(metrics.sending) == 0
