"""The network mode as Prometheus families; needs the `metrics` extra."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from agt.router._mode import Mode
from agt.router._mode_status import ModeStatus


def mode_families(status: ModeStatus) -> Iterator[Metric]:
    """Yield the mode that counts, whether it is forced, and the averages as far as they are known."""
    mode = GaugeMetricFamily("agt_network_mode", "1 for the network mode that counts.", labels=("mode",))
    for name in Mode:
        mode.add_metric((name.value,), float(name.value == status.mode))
    yield mode
    yield GaugeMetricFamily(
        "agt_network_mode_forced", "1 while the network mode is forced by hand.", float(bool(status.forced_by))
    )
    measured = status.measured
    if measured.latency_s is not None:
        yield GaugeMetricFamily(
            "agt_network_latency_seconds", "Average of the last round trips to peers.", measured.latency_s
        )
    if measured.bandwidth is not None:
        yield GaugeMetricFamily(
            "agt_network_bandwidth_bits_per_second", "Average of the last bandwidths to peers.", measured.bandwidth
        )
