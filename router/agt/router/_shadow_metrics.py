"""The shadow's figures as Prometheus families; the number of labels is bounded, whatever replies hold."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agt.router.shadow import FieldReport, ShadowReport, ShadowVerdict

FIELDS_MAX: Final = 20
"""Fields with a label of their own; the rest is added up as `(more)`."""
_COUNTS: Final = {
    "compared": "Mirrored messages with two answers.",
    "differences": "Of these, how many differ in a field that no rule ignores.",
    "errors": "Of these, how many ended well where they were carried and not where they were mirrored.",
    "paired": "Of these, how many the second control answered too.",
    "floor_differences": "Of the paired, how many the second control differed on: noise.",
    "only_tried": "Of the paired, how many only the tried runtime differed on.",
    "only_floor": "Of the paired, how many only the second control differed on.",
}
"""Counters by runtime that is tried out, as `TriedReport` has them."""


def shadow_families(shadow: ShadowReport) -> Iterator[Metric]:
    """Yield every family of one report."""
    for name, says in _COUNTS.items():
        family = CounterMetricFamily(f"agt_shadow_{name}", says, labels=("transport",))
        for tried in shadow.runtimes:
            family.add_metric((tried.runtime,), getattr(tried, name))
        yield family
    yield from _work(shadow)
    yield from _verdicts(shadow)
    fields = CounterMetricFamily(
        "agt_shadow_field_differences", "Mirrored messages that differ, by field.", labels=("transport", "field")
    )
    for tried in shadow.runtimes:
        for name, count in _by_field(tried.fields):
            fields.add_metric((tried.runtime, name), count)
    yield fields


def _work(shadow: ShadowReport) -> Iterator[Metric]:
    mirrored = CounterMetricFamily("agt_shadow_mirrored", "Messages handed to a twin.", labels=("act",))
    mirrored.add_metric(("read",), shadow.reads)
    mirrored.add_metric(("write",), shadow.writes)
    yield mirrored
    shed = CounterMetricFamily("agt_shadow_shed", "Messages not mirrored, and why.", labels=("reason",))
    for reason, count in shadow.shed.items():
        shed.add_metric((reason,), count)
    yield shed
    yield CounterMetricFamily("agt_shadow_decided", "Messages without a twin, only decided.", shadow.decided)
    yield CounterMetricFamily("agt_shadow_timed_out", "Comparisons ended by their time.", shadow.timed_out)
    yield GaugeMetricFamily("agt_shadow_held", "Messages that wait or are being compared.", shadow.held)
    yield GaugeMetricFamily(
        "agt_shadow_rules_expired", "Ignore rules that have ended and ignore nothing.", len(shadow.expired)
    )


def _verdicts(shadow: ShadowReport) -> Iterator[Metric]:
    verdicts = GaugeMetricFamily("agt_shadow_verdict", "1 for the verdict that holds.", labels=("transport", "verdict"))
    excess = GaugeMetricFamily(
        "agt_shadow_excess_ratio",
        "Differences above the floor as a share of the messages, and the bounds on it.",
        labels=("transport", "bound"),
    )
    for tried in shadow.runtimes:
        for verdict in ShadowVerdict:
            verdicts.add_metric((tried.runtime, verdict.value), verdict is tried.verdict)
        for bound, value in (("low", tried.excess_low), ("seen", tried.excess), ("high", tried.excess_high)):
            excess.add_metric((tried.runtime, bound), value)
    yield verdicts
    yield excess


def _by_field(fields: tuple[FieldReport, ...]) -> Iterator[tuple[str, int]]:
    """Yield counts by the fields that came first: a counter must not change its label when another overtakes it."""
    rows = sorted((row for row in fields if row.place), key=lambda row: row.place)
    for row in rows[:FIELDS_MAX]:
        yield row.field, row.differences
    rest = sum(row.differences for row in rows[FIELDS_MAX:])
    if rest:
        yield "(more)", rest
