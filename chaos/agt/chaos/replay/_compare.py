"""What a run was worth: what each end says it sent and received, held against the capture byte for byte.

Pure arithmetic over logs. Repeats count as a multiset: a message is lost when its bytes were sent more often than
they arrived. Bytes that arrived more often are `redelivered` as far as our own resends explain them (this wire can't
always recognise one), else `duplicated`. Order is held per connection, direction and type.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from agt.chaos.replay._play import Exchange, Run
from agt.chaos.replay._script import Script
from agt.transport import Outcome


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """From sending to the ack, in milliseconds; None where nothing was answered."""

    p50: float | None
    p99: float | None


class RunReport(msgspec.Struct, kw_only=True):
    """One path's figures."""

    sent: int = 0
    delivered: int = 0
    """Answered, as far as the sender knows: settled by its ack, or its reply observed."""
    not_delivered: int = 0
    """Provably never written."""
    indeterminate: int = 0
    """Written, and never answered."""
    lost: int = 0
    """Written and never received."""
    duplicated: int = 0
    """Received more often than sent, by nobody's resend."""
    out_of_order: int = 0
    retransmits: int = 0
    mismatched: int = 0
    """Packets that arrived and are not in the capture."""
    latency_ms: Latency = Latency(p50=None, p99=None)
    unmatched_acks: int = 0
    redelivered: int = 0
    """Received more often than sent, because we sent them again."""

    @property
    def sound(self) -> bool:
        """Whether nothing was lost and everything is as captured."""
        return self.lost == 0 and self.mismatched == 0


def compare(run: Run, script: Script) -> RunReport:
    """Turn the log of a run into its report."""
    report = RunReport()
    latencies_s: list[float] = []
    for exchange in run.exchanges:
        _count_outcomes(exchange, report, latencies_s)
        _count_arrivals(exchange, report)
        report.mismatched += sum(
            count
            for answer, count in exchange.sender.answers.items()
            if answer[0] in script.answer_types and answer not in script.answers
        )
        report.retransmits += exchange.sender.link.resends
        report.unmatched_acks += exchange.sender.link.unmatched_acks
    report.latency_ms = Latency(p50=percentile_ms(latencies_s, 0.50), p99=percentile_ms(latencies_s, 0.99))
    return report


def percentile_ms(seconds: Sequence[float], share: float) -> float | None:
    """Return the value at index ceil(share n) - 1 of the sorted samples, in milliseconds; None without samples."""
    if not seconds:
        return None
    return round(sorted(seconds)[math.ceil(share * len(seconds)) - 1] * 1000, 3)


def out_of_order(sent: Sequence[bytes], received: Sequence[bytes]) -> int:
    """Count messages that arrived and would have to be moved for the order to be right; repeats cost nothing."""
    arrived = (Counter(sent) & Counter(received)).total()
    return arrived - common_subsequence(sent, received)


def common_subsequence(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    """Return the length of the longest common subsequence.

    Bit-parallel (Crochemore et al. 2001): a set bit is a place in `one` that doesn't lengthen it yet.
    """
    places: dict[bytes, int] = defaultdict(int)
    for place, data in enumerate(one):
        places[data] |= 1 << place
    everything = row = (1 << len(one)) - 1
    for data in other:
        matches = row & places.get(data, 0)
        row = ((row + matches) | (row - matches)) & everything
    return len(one) - row.bit_count()


def _count_outcomes(exchange: Exchange, report: RunReport, latencies_s: list[float]) -> None:
    outcomes = Counter(delivery.outcome for _, delivery in exchange.deliveries)
    observed_s = exchange.sender.observed_latency_s
    report.sent += len(exchange.deliveries)
    report.delivered += outcomes[Outcome.DELIVERED] + len(observed_s)
    report.not_delivered += outcomes[Outcome.NOT_DELIVERED]
    report.indeterminate += outcomes[Outcome.INDETERMINATE] + outcomes[Outcome.WRITTEN] - len(observed_s)
    latencies_s += observed_s
    latencies_s += [delivery.latency_s for _, delivery in exchange.deliveries if delivery]


def _count_arrivals(exchange: Exchange, report: RunReport) -> None:
    offered = {line.data for line in exchange.lines}
    sent = [line.data for line, delivery in exchange.deliveries if delivery.outcome is not Outcome.NOT_DELIVERED]
    received = [data for data in exchange.receiver.received if data in offered]
    resends: Counter[bytes] = Counter()
    for line, delivery in exchange.deliveries:
        resends[line.data] += delivery.resends
    report.mismatched += len(exchange.receiver.received) - len(received)
    report.lost += (Counter(sent) - Counter(received)).total()
    for data, extra in (Counter(received) - Counter(sent)).items():
        explained = min(extra, resends[data])
        report.redelivered += explained
        report.duplicated += extra - explained
    for code in sorted({data[0] for data in sent}):
        report.out_of_order += out_of_order(
            [data for data in sent if data[0] == code], [data for data in received if data[0] == code]
        )
