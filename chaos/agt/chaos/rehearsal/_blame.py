"""Whom does the engine blame? Each cause injected into a rollout that runs, and what it decided beside the truth.

The engine says it in what it does: a rule that goes back blames the candidate, a fault that suspends names its
culprit, a record that fails is the machine's. Whoever does nothing has blamed nobody, which is wrong here always.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agt.chaos.rehearsal._conditions import Cause
from agt.chaos.rehearsal._world import STORE, World
from agt.supervisor.rollout import Status, load_plan

LADDER: Final = Path(__file__).with_name("ladder.toml")
"""The plan on which causes are injected."""
SETTLE_CHECKS: Final = 8
"""Sound checks before the cause, and after it."""
BACK: Final = ("rolled-back", "stepped-back", "killed")


@dataclass(frozen=True, slots=True)
class Blamed:
    """What the engine made of one cause."""

    cause: Cause
    blamed: str
    """`candidate`, `gateway`, `control`, `environment`, or `nobody`."""
    after_checks: int
    """Checks until it said so; 0 when it never did."""
    went_back: bool
    """Whether a rule sent the rollout back, during the cause or after it."""
    says: str
    """The decision in its words."""
    goes_on: bool
    """Whether the rollout runs by itself after the cause, or has gone back."""

    @property
    def right(self) -> bool:
        """Whether the right one was blamed, and nobody else went back for it."""
        return self.blamed == self.cause.blame and self.went_back == (self.cause.blame == "candidate")


def judge_causes(causes: Iterable[Cause], *, rate: float = 100.0, seed: int = 1) -> Iterator[Blamed]:
    """Inject each cause into a rollout of its own that carries its percentage, and say what the engine made of it."""
    plan, stages = load_plan(LADDER), dict[float, World]()
    for cause in causes:
        if cause.percent not in stages:
            stages[cause.percent] = _brought_to(World(plan, rate=rate, seed=seed), cause.percent)
        yield _judge(stages[cause.percent].fork(), cause)


def share_right(table: Sequence[Blamed]) -> float:
    """Return the share of causes that the right one was blamed for."""
    return sum(one.right for one in table) / max(1, len(table))


def _judge(world: World, cause: Cause) -> Blamed:
    before = len(world.journal)
    found: tuple[str, int, str] = ("nobody", 0, "")
    world.begin(cause)
    for check in range(1, cause.lasts + SETTLE_CHECKS + 1):
        world.tick()
        if found[0] == "nobody":
            found = _blame(world, before, check)
        if check == cause.lasts:
            world.end()
    went_back = any(one.kind in BACK for one in world.journal[before:])
    runs = world.state.status in (Status.RUNNING, Status.COMPLETE)
    return Blamed(cause, found[0], found[1], went_back, found[2], goes_on=runs or went_back)


def _brought_to(world: World, percent: float) -> World:
    """Run soundly until the candidate carries this much, and has for a while."""
    while world.state.percent < percent or world.state.applied_at is None:
        world.tick(world.stride_s())
        assert world.state.status is not Status.COMPLETE, f"the plan never routes {percent:g} %"
    for _ in range(SETTLE_CHECKS):
        world.tick()
    return world


def _blame(world: World, before: int, check: int) -> tuple[str, int, str]:
    for one in world.journal[before:]:
        if one.kind in BACK:
            return "candidate", check, one.says
        if one.kind == "fault-seen":
            return world.state.blame or "nobody", check, one.says
        if one.kind == "clock-set":
            return "environment", check, one.says
    for alert in world.alerts():
        if alert.source == STORE:
            return "environment", check, alert.message
    return "nobody", 0, ""
