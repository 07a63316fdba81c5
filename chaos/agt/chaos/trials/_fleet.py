"""A simulated fleet: devices that differ in how much they talk and how often they fail, and outages.

Failures are overdispersed on purpose: rates of devices follow a Beta distribution with a long tail, so that a few flaky
ones cause most failures, and outages make many devices fail together. Counts are drawn by group, not by message,
which is exact for what a plan's rules see and a thousand times faster.
"""

import math
import random
from dataclasses import dataclass

from agt.supervisor.evidence import Cluster

GROUPS = 64
"""Groups of devices by hash, as routers count them."""
OUTAGE_FAILS = 0.3
"""How much of the traffic of a device fails during an outage."""


@dataclass(frozen=True, slots=True)
class FleetShape:
    """What a fleet is drawn from."""

    devices: int = 500
    messages_per_check: float = 2.0
    """Of the median device."""
    failure_rate: float = 0.002
    """Mean over all devices."""
    dispersion: float = 50.0
    """Sum of the Beta distribution's two parameters: the smaller, the more devices differ. 50 at a mean of 0.2 % means
    that one device in ten causes most failures."""
    common_outages: float = 0.5
    """Expected outages of everything in one phase."""
    partial_outages: float = 0.5
    """Expected outages of a random tenth of the houses in one phase."""
    house_devices: int = 1
    """Devices that share a line: a partial outage strikes all of a house or none."""
    outage_checks: int = 4
    """How long an outage lasts."""


@dataclass(slots=True)
class Device:
    """One device."""

    rank: float
    """Its position, from 0 to 100."""
    group: int
    traffic: float
    """Messages a check."""
    failing: float
    """Share of them that fail."""


class Fleet:
    """Devices drawn from a shape."""

    def __init__(self, shape: FleetShape, dice: random.Random) -> None:
        self.shape, self._dice = shape, dice
        alpha = max(shape.failure_rate * shape.dispersion, 1e-6)
        beta = max(shape.dispersion - alpha, 1e-6)
        self.devices = [
            Device(
                rank=dice.random() * 100,
                group=dice.randrange(GROUPS),
                traffic=shape.messages_per_check * dice.lognormvariate(0.0, 0.7),
                failing=dice.betavariate(alpha, beta),
            )
            for _ in range(shape.devices)
        ]

    def phase(self, percent: float, *, effect: float) -> "PhaseTraffic":
        """Split the fleet at a percentage; the candidate fails `effect` more often than control would."""
        return PhaseTraffic(self, percent, effect, self._dice)


class PhaseTraffic:
    """The counts of one phase, grown check by check; groups 0 to 63 of the candidate, then those of control."""

    def __init__(self, fleet: Fleet, percent: float, effect: float, dice: random.Random) -> None:
        self._dice = dice
        self._traffic = [0.0] * (2 * GROUPS)
        self._failing = [0.0] * (2 * GROUPS)
        self._struck = [0.0] * (2 * GROUPS)
        self._ended = [0.0] * (2 * GROUPS)
        self._bad = [0.0] * (2 * GROUPS)
        struck = False
        for number, device in enumerate(fleet.devices):
            if number % max(1, fleet.shape.house_devices) == 0:
                struck = dice.random() < 0.1
            on_candidate = device.rank < percent
            place = device.group + (0 if on_candidate else GROUPS)
            self._traffic[place] += device.traffic
            self._failing[place] += device.traffic * min(1.0, device.failing + (effect if on_candidate else 0.0))
            if struck:
                self._struck[place] += device.traffic

    def check(self, *, common: bool, partial: bool) -> None:
        """Let one check's traffic pass, perhaps during an outage."""
        for place, traffic in enumerate(self._traffic):
            if not traffic:
                continue
            mean = self._failing[place]
            if common:
                mean += (traffic - mean) * OUTAGE_FAILS
            elif partial:
                mean += self._struck[place] * OUTAGE_FAILS
            self._ended[place] += traffic
            self._bad[place] += min(traffic, float(poisson(self._dice, mean)))

    def candidate(self) -> list[Cluster]:
        """Return the candidate's counts by group."""
        return [Cluster(ended, bad) for ended, bad in zip(self._ended[:GROUPS], self._bad[:GROUPS], strict=True)]

    def control(self) -> list[Cluster]:
        """Return control's counts by group."""
        return [Cluster(ended, bad) for ended, bad in zip(self._ended[GROUPS:], self._bad[GROUPS:], strict=True)]


def poisson(dice: random.Random, mean: float) -> int:
    """Draw from a Poisson distribution: by multiplication, or by its normal limit where that is close."""
    if mean > 30:
        return max(0, round(dice.normalvariate(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), dice.random(), 0
    while product > limit:
        product *= dice.random()
        count += 1
    return count
