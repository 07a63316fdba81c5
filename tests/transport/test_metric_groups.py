"""Counts by groups of devices: they add up to what was counted without groups, and cost no label for each device."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from agt.transport import (
    MetricGroups,
    Outcome,
    ReliableListener,
    ReliableTransport,
    TCPConnection,
    TransportMetrics,
)
from agt.transport.metrics import TransportCollector


def scraped(metrics: TransportMetrics) -> dict[str, float]:
    """Scrape and return every sample by its full name with labels."""
    registry = CollectorRegistry()
    registry.register(TransportCollector(metrics))
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_messages_count_in_the_group_of_their_device(anyio_backend) -> None:
    """Devices say who they are; what the gateway sends them counts in their groups and once in the whole."""
    groups, names = MetricGroups("v5"), [f"device-{number}" for number in range(6)]
    async with ReliableListener(host="127.0.0.1", port=0, name="gateway", metrics=groups) as listener:
        for name in names:
            async with ReliableTransport(TCPConnection("127.0.0.1", listener.port), name=name) as device:
                await device.wait_connected()
                session = listener.sessions[name]
                sent = [session.send_nowait(b"%d" % number) for number in range(3)]
                for _ in sent:
                    (await device.recv_reliable()).ack()
                assert [(await delivery.wait()).outcome for delivery in sent] == [Outcome.DELIVERED] * 3
                assert groups.for_peer(name).outcomes[Outcome.DELIVERED] >= 3
    text = scraped(groups)
    assert text['tcp_comm_packet_sent_total{outcome="delivered",transport="v5"}'] == 18
    assert text['tcp_comm_packet_latency_seconds_count{transport="v5"}'] == 18
    by_group = {name: value for name, value in text.items() if name.startswith("agt_group_ended_total")}
    assert len(by_group) == len(groups.groups) == 32
    assert sum(by_group.values()) == 18
    assert sum(value for name, value in text.items() if name.startswith("agt_group_failed_total")) == 0


def test_failed_and_slow_messages_show_in_their_group() -> None:
    """Both ways of sending: what ended badly, what was not answered, what was answered late."""
    groups = MetricGroups("v4", count=4)
    here = groups.for_peer("a")
    here.outcomes[Outcome.DELIVERED] += 5
    here.outcomes[Outcome.WRITTEN] += 9
    here.outcomes[Outcome.NOT_DELIVERED] += 1
    here.outcomes[Outcome.INDETERMINATE] += 2
    here.observed_replies += 7
    here.observed_missing += 2
    for latency_s in (0.79, 0.81, 1.6, 99.0):
        here.observe_latency(latency_s)
    group = groups.groups.index(here)
    text = scraped(groups)
    assert text[f'agt_group_ended_total{{group="{group}",transport="v4"}}'] == 17
    assert text[f'agt_group_failed_total{{group="{group}",transport="v4"}}'] == 5
    assert text[f'agt_group_slow_total{{group="{group}",seconds="0.8",transport="v4"}}'] == 3
    assert text[f'agt_group_slow_total{{group="{group}",seconds="1.5",transport="v4"}}'] == 2
    other = (group + 1) % 4
    assert text[f'agt_group_ended_total{{group="{other}",transport="v4"}}'] == 0


def test_groups_are_the_same_in_every_process_and_even() -> None:
    """A name's group is no matter of a process's own hash, and thousands of names fill all groups alike."""
    groups = MetricGroups(count=32)
    assert groups.groups.index(groups.for_peer("lamp-17")) == 30
    counts = [0] * 32
    for number in range(6400):
        counts[groups.groups.index(groups.for_peer(f"session-{number}"))] += 1
    assert min(counts) > 120
    assert max(counts) < 280
    plain = TransportMetrics("v4")
    assert plain.for_peer("a") is plain
