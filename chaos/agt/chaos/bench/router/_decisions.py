"""Decisions at many known devices: how long each takes, and what a known device weighs.

The selector has all that a rollout has: a percentage, a cohort and overrides. Each decision is timed by itself, as a
caller sees it: device by name, clock read, rules, vetoes. Devices are asked for at random, so that no cache of the
processor flatters; much of such a time is finding the device in memory, so there is one more figure for devices in
the order in which they came, as a change of route asks them. Resident memory is taken with the names and the paths
made before, since they are not the router's.
"""

import gc
import random
import time
from collections.abc import Callable, Iterable, Sequence

from agt.chaos.bench._idle import rss_bytes
from agt.chaos.bench.router._tasks import Decided, DecideTask, Times
from agt.router import (
    MemorySelector,
    Message,
    Override,
    Route,
    Router,
    Runtimes,
    Selector,
    Withdrawn,
)
from agt.transport import Barrier, Delivery, MoveKind, Outcome

RUNTIMES = Runtimes(control="legacy", candidate="reliable")
COHORT = 100
"""Devices of the cohort."""
OVERRIDES = 20
"""Devices with an override."""
PERCENTAGE = 50.0
"""Half of the devices go through the vetoes too, so that the median is between both kinds."""
_SEED = 4


def decide(task: DecideTask) -> Decided:
    """Know the devices, weigh them, decide."""
    names = [f"device-{number:07}" for number in range(task.devices)]
    paths = {runtime: UpPath() for runtime in (RUNTIMES.control, RUNTIMES.candidate)}
    router = Router(MemorySelector(selector(names)), runtimes=RUNTIMES)
    gc.collect()
    gc.disable()  # A gateway keeps what stays for long out of the collector's way too (`keep_collections_short`).
    before = rss_bytes()
    started = time.perf_counter()
    for name in names:
        router.attach(name, paths)
    attach_s = time.perf_counter() - started
    known = rss_bytes()
    for name in names:
        router.send(Message(name, 1, b"on"))
    sent = rss_bytes()
    asked = random.Random(_SEED).choices(names, k=task.decisions)
    in_turn = _timed(router, names[: task.decisions])
    unsalted = _timed(router, asked)
    router.apply(selector(names, salt="second"))
    return Decided(
        attach_us=attach_s / task.devices * 1e6,
        rss_per_device_bytes=(known - before) / task.devices,
        rss_per_device_that_sent_bytes=(sent - before) / task.devices,
        timer_ns=_clock_ns(),
        in_turn=in_turn,
        unsalted=unsalted,
        salted=_timed(router, asked),
    )


def selector(names: Sequence[str], *, salt: str = "") -> Selector:
    """Return a selector with a percentage, a cohort and overrides."""
    route = Route(enabled=True, percentage=PERCENTAGE, cohort=tuple(names[:COHORT]), salt=salt)
    overrides = tuple(Override(device=name, runtime=RUNTIMES.control, owner="bench") for name in names[-OVERRIDES:])
    return Selector(runtimes=RUNTIMES, runtime=route, overrides=overrides)


class UpPath:
    """A path that is up and delivers at once; asking it costs what a session's path costs."""

    barrier = Barrier.SEQUENCE
    move = MoveKind.WARM
    in_flight = queued = 0

    def __init__(self) -> None:
        self._session = _UpSession()

    @property
    def ready(self) -> bool:
        """Up."""
        return self._session.connected

    def send(self, message: Message) -> Delivery:
        """Deliver at once."""
        delivery = Delivery()
        delivery.item = message
        delivery.settle(Outcome.DELIVERED)
        return delivery

    def withdraw(self) -> Withdrawn:
        """Give nothing back: nothing is open."""
        return Withdrawn((), ())

    def on_quiet(self, callback: Callable[[], None]) -> None:
        """Quiet already."""
        callback()


class _UpSession:
    _opened = True

    @property
    def connected(self) -> bool:
        return self._opened


def _timed(router: Router, asked: Iterable[str]) -> Times:
    clock, chosen = time.perf_counter_ns, router.chosen
    took = []
    for name in asked:
        started = clock()
        chosen(name)
        took.append(clock() - started)
    took.sort()
    return Times(p50=took[len(took) // 2], p99=took[len(took) * 99 // 100])


def _clock_ns() -> float:
    clock = time.perf_counter_ns
    took = []
    for _ in range(10_000):
        started = clock()
        took.append(clock() - started)
    return sorted(took)[len(took) // 2]
