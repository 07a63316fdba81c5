"""Worlds whose devices have an outbox on a disk, and crash before, between and after their writes.

A third of the worlds in `test_native_seeds` are such; here are those that found something, and what they must show.
"""

import pytest

from agt.chaos.sim import draw_profile_of, run_seed
from agt.chaos.sim._profile import with_overrides

DURABLE = {"durable": "1"}

FOUND = {
    2369: {"refuse": "0", "half_open": "0"},  # A receiver was told of numbers that no disk knew.
    792: {},  # A withdrawal while ends waited to be noted.
    1500: DURABLE | {"cancel": "0"},  # A verdict on one message was given to another with the same id().
    2850: DURABLE | {"half_open": "0", "jitter_s": "0"},
    973: DURABLE,
    1836: DURABLE,
    3581: DURABLE,
    24656: {},  # An older process got late what a newer one was past: no order is promised there, said the book then.
    55281: {},  # A message was called unsent while a copy of it was on its way to a busy receiver.
    58100: dict.fromkeys(("busy", "think_s", "latency_s", "payload_max"), "0") | {"channels": "1"},
}
"""Seeds that broke a promise, and what was set in their profiles."""


@pytest.mark.parametrize("seed", FOUND)
def test_what_a_seed_once_found_stays_mended(seed: int) -> None:
    """Every seed that found a bug becomes a test."""
    report = run_seed(seed, with_overrides(draw_profile_of(seed), FOUND[seed]))
    assert not report.broken, "\n" + report.summary()


def test_disks_fail_and_processes_end_in_the_middle_of_writes() -> None:
    """The worlds are hard enough: writes fail both ways, and messages come back after a crash."""
    seen: set[str] = set()
    for seed in range(40):
        profile = with_overrides(draw_profile_of(seed), DURABLE | {"crash_per_s": "0.5", "disk_fail": "0.1"})
        report = run_seed(seed, profile)
        assert not report.broken, "\n" + report.summary()
        for what in ("fails, undone", "fails, in doubt", "starts over its outbox with"):
            seen |= {what for line in report.trace if what in line}
    assert seen == {"fails, undone", "fails, in doubt", "starts over its outbox with"}
