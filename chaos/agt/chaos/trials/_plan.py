"""One simulated rollout: phases, checks, the statistical rule and a literal one, each until it speaks."""

import random
from dataclasses import dataclass

from agt.chaos.trials._fleet import Fleet, FleetShape, PhaseTraffic
from agt.supervisor.evidence import Boundary, Shown, compare_rates, split_alpha

VIOLATION_SAMPLES = 50
"""As the engine: an objective is not called violated on fewer messages."""


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """What is rolled out, and by which rules."""

    percents: tuple[float, ...] = (10.0, 25.0, 50.0, 75.0, 90.0)
    checks: int = 60
    """Checks in one phase."""
    alpha: float = 0.05
    """Of the whole plan."""
    effect: float = 0.01
    """The declared effect: a difference of failure rates that has to be found."""
    power: float = 0.8
    objective: float = 0.99
    """The literal rule's limit: success ratio at least this over the phase."""
    in_a_row: int = 3
    """Checks that the literal rule has to be violated."""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What the rules did."""

    worse_at: tuple[int, int] | None
    """Phase and check at which the statistical rule sent it back; None when it never did."""
    not_worse: int
    """Phases whose gate was passed (shown not worse) before their end."""
    literal_at: tuple[int, int] | None
    """Phase and check at which the literal rule sent it back."""


def run_trial(plan: TrialPlan, shape: FleetShape, *, seed: int, effect: float) -> TrialResult:
    """Carry out one rollout of a candidate that fails `effect` more often than control."""
    dice = random.Random(seed)
    fleet = Fleet(shape, dice)
    share = split_alpha(plan.alpha, phases=len(plan.percents), tests=1)
    worse = Boundary.for_effect(plan.effect, alpha=share.alpha, power=plan.power)
    worse_at: tuple[int, int] | None = None
    literal_at: tuple[int, int] | None = None
    not_worse = 0
    for number, percent in enumerate(plan.percents):
        traffic = fleet.phase(percent, effect=effect)
        outages = _outages(plan, shape, dice)
        passed, breaches = False, 0
        for check in range(plan.checks):
            traffic.check(common=check in outages[0], partial=check in outages[1])
            compared = compare_rates(
                traffic.candidate(), traffic.control(), margin=plan.effect, worse=worse, not_worse=worse
            )
            passed = passed or compared.shown is Shown.NOT_WORSE
            if compared.shown is Shown.WORSE and worse_at is None:
                worse_at = (number, check)
            breaches = breaches + 1 if _violated(plan, traffic) else 0
            if breaches >= plan.in_a_row and literal_at is None:
                literal_at = (number, check)
        not_worse += passed
    return TrialResult(worse_at, not_worse, literal_at)


def _outages(plan: TrialPlan, shape: FleetShape, dice: random.Random) -> tuple[set[int], set[int]]:
    """Draw the checks at which everything, or some devices, are out."""
    drawn: list[set[int]] = []
    for expected in (shape.common_outages, shape.partial_outages):
        checks: set[int] = set()
        for start in range(plan.checks):
            if dice.random() < expected / plan.checks:
                checks.update(range(start, start + shape.outage_checks))
        drawn.append(checks)
    return drawn[0], drawn[1]


def _violated(plan: TrialPlan, traffic: PhaseTraffic) -> bool:
    clusters = traffic.candidate()
    ended, bad = sum(one.ended for one in clusters), sum(one.bad for one in clusters)
    return ended >= VIOLATION_SAMPLES and 1 - bad / ended < plan.objective
