"""Keeps a router's network mode measured: a loop around `Rounds`, and nothing else."""

from collections.abc import Callable, Iterable

import anyio

from agt.router._mode_rounds import MeasuredWay, RoundLimits, Rounds
from agt.router._router import Router


async def watch_mode(
    router: Router,
    *,
    ways: Callable[[], Iterable[MeasuredWay]] | None = None,
    limits: RoundLimits | None = None,
) -> None:
    """Measure the network of a router's peers, and tell it the mode, until cancelled.

    Args:
        router: Who is told.
        ways: The ways to measure, asked anew each round; those of the attached devices' sessions when not given.
        limits: How often is measured, what a probe may cost, and where the modes' borders are.
    """
    rounds = Rounds(limits)
    found = ways or router.ways
    while True:
        rounds.play(found(), now=anyio.current_time(), wall=router.wall())
        router.set_mode(rounds.detector.mode.value if rounds.detector.since else None, rounds.detector.report())
        await anyio.sleep(rounds.pause_s())
