"""What a rollout reads of mirrored messages: nothing before it is decided, and never the noise."""

import pytest

from agt.supervisor.measure import (
    Readings,
    RouterSample,
    ShadowCounters,
    Timeline,
    parse_exposition,
    read_sample,
)
from agt.supervisor.rollout import Verdict
from agt.supervisor.rollout._gates import compare


def readings(**counts: float) -> Readings:
    """What is read between two samples of one router."""
    timeline = Timeline()
    timeline.add("s", RouterSample(router="r", at=0.0))
    timeline.add("s", RouterSample(router="r", at=60.0, shadow=ShadowCounters(**counts)))
    return Readings(timeline=timeline, now=60.0, control="old", latency_limit_s=1.0)


def test_counts_are_read_from_every_runtime_that_was_tried() -> None:
    """One window, whichever direction the shadow had in it."""
    page = """
agt_shadow_compared_total{transport="new"} 5
agt_shadow_compared_total{transport="old"} 2
agt_shadow_errors_total{transport="new"} 1
agt_shadow_only_floor_total{transport="new"} 3
"""
    sample = read_sample(parse_exposition(page), router="r", at=1.0)
    assert sample.shadow == ShadowCounters(compared=7, errors=1, only_floor=3)


@pytest.mark.parametrize("metric", ["shadow_compared", "shadow_differences", "shadow_difference", "shadow_error_rate"])
def test_nothing_compared_is_nothing_known(metric: str) -> None:
    """No gate passes on it."""
    reading = readings().read(metric, "new", start=0.0)
    assert (reading.value, reading.why) == (None, "nothing compared yet")


@pytest.mark.parametrize("metric", ["shadow_compared", "shadow_error_rate"])
def test_a_shadow_without_a_twin_says_so_and_where_to_look(metric: str) -> None:
    """A gate that waits for comparisons which nobody makes would wait for ever without a word."""
    reading = readings(decided=212).read(metric, "new", start=0.0)
    assert reading.value is None
    assert "212 messages had no twin to go to (see `agt shadow` and docs/guides/shadow.md)" in reading.why
    page = read_sample(parse_exposition("agt_shadow_decided_total 4\n"), router="r", at=1.0)
    assert page.shadow == ShadowCounters(decided=4)


@pytest.mark.parametrize(
    ("errors", "compared", "value"),
    [(0, 999, None), (1, 999, None), (2, 999, 2 / 999), (0, 1000, 0.0), (1, 1000, 0.001)],
)
def test_an_error_rate_needs_as_many_comparisons_as_it_speaks_of(
    errors: int, compared: int, value: float | None
) -> None:
    """Document 003's limit is one in a thousand; two errors break it on any smaller number."""
    read = readings(compared=compared, errors=errors).read("shadow_error_rate", "new", start=0.0)
    assert read.value == value
    judged = compare("shadow_error_rate", "below", 0.001, read, samples=0)
    assert judged.verdict is {None: Verdict.PENDING, 0.0: Verdict.PASSED}.get(value, Verdict.FAILED)


def test_differences_count_above_the_noise_and_once_they_are_decided() -> None:
    """Pending with what is missing, passed when equal, failed with the size of the difference."""

    def judged(**counts: float) -> tuple[Verdict, str]:
        reading = readings(compared=counts["paired"], **counts).read("shadow_difference", "new", start=0.0)
        found = compare("shadow_difference", "at_most", 0.005, reading, samples=0)
        return found.verdict, found.reason

    verdict, reason = judged(paired=300, only_tried=3, only_floor=3)
    assert verdict is Verdict.PENDING
    assert "300 comparisons decide nothing yet, about" in reason
    assert judged(paired=40_000, only_tried=400, only_floor=400)[0] is Verdict.PASSED
    verdict, reason = judged(paired=40_000, only_tried=900, only_floor=400)
    assert verdict is Verdict.FAILED
    assert "1.25 %" in reason


def test_without_a_second_control_every_difference_counts() -> None:
    """Nobody has measured any noise that it could be."""
    read = readings(compared=5000, differences=1).read("shadow_difference", "new", start=0.0)
    assert read.value == 1 / 5000
    assert readings(compared=5000).read("shadow_difference", "new", start=0.0).value == 0.0


def test_windows_leave_out_what_was_compared_before() -> None:
    """A phase's gate doesn't pass on an older phase's mirrored messages; a restarted router counts from zero."""
    timeline = Timeline()
    for at, compared in ((0.0, 100), (10.0, 150), (20.0, 30)):
        timeline.add("s", RouterSample(router="r", at=at, shadow=ShadowCounters(compared=compared)))
    window = timeline.window(start=0.0)
    assert window is not None
    assert window.shadow.compared == 80
