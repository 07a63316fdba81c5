"""Many trials over processes, and their rates with confidence limits."""

import math
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from agt.chaos.trials._fleet import FleetShape
from agt.chaos.trials._plan import TrialPlan, TrialResult, run_trial

CHUNK = 25
"""Trials that a process runs before it reports."""
Work = tuple[TrialPlan, int, int, float, int, int]
"""What a process runs: plan, first seed, trials, effect, devices, devices in a house."""


@dataclass(slots=True)
class Tally:
    """Counts over trials."""

    trials: int = 0
    worse: int = 0
    """Sent back by the statistical rule."""
    literal: int = 0
    """Sent back by the literal rule."""
    phases_passed: int = 0
    """Phases shown to be not worse."""

    def add(self, result: TrialResult) -> None:
        """Count one."""
        self.trials += 1
        self.worse += result.worse_at is not None
        self.literal += result.literal_at is not None
        self.phases_passed += result.not_worse

    def merge(self, other: "Tally") -> None:
        """Count those of another."""
        self.trials += other.trials
        self.worse += other.worse
        self.literal += other.literal
        self.phases_passed += other.phases_passed

    @property
    def worse_share(self) -> float:
        """Share of rollouts that the statistical rule sent back."""
        return self.worse / max(1, self.trials)

    @property
    def worse_high(self) -> float:
        """Upper 95 % limit of that share (E. B. Wilson, 1927)."""
        n, p, z = max(1, self.trials), self.worse_share, 1.6449
        middle = p + z * z / (2 * n)
        return (middle + z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)


def shape_for(seed: int, *, devices: int = 0, house_devices: int = 1) -> FleetShape:
    """Draw a fleet's shape: from a hundred devices to a few thousand (or `devices`), from even to very uneven."""
    dice = random.Random(seed ^ 0x5EED)
    drawn = FleetShape(
        devices=round(100 * 2 ** dice.uniform(0, 4.5)),
        messages_per_check=2 ** dice.uniform(0, 4),
        failure_rate=0.0005 * 2 ** dice.uniform(0, 5),
        dispersion=10 ** dice.uniform(0.7, 2.5),
        common_outages=dice.uniform(0, 1),
        partial_outages=dice.uniform(0, 1),
    )
    return replace(drawn, devices=devices or drawn.devices, house_devices=house_devices)


def run_trials(
    plan: TrialPlan,
    *,
    trials: int,
    seed: int,
    effect: float,
    devices: int = 0,
    house_devices: int = 1,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Tally:
    """Run trials on fleets of all shapes, or of so many devices; `progress` hears how many are done."""
    tally, starts = Tally(), range(seed, seed + trials, CHUNK)
    work = [(plan, start, min(CHUNK, seed + trials - start), effect, devices, house_devices) for start in starts]
    for part in _parts(work, jobs):
        tally.merge(part)
        if progress is not None:
            progress(tally.trials)
    return tally


def _parts(work: list[Work], jobs: int) -> Iterator[Tally]:
    if jobs == 1:
        yield from map(_chunk, work)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_chunk, work)


def _chunk(work: Work) -> Tally:
    plan, start, count, effect, devices, house_devices = work
    tally = Tally()
    for seed in range(start, start + count):
        tally.add(
            run_trial(plan, shape_for(seed, devices=devices, house_devices=house_devices), seed=seed, effect=effect)
        )
    return tally
