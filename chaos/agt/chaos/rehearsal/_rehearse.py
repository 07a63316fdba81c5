"""A whole plan in virtual time, with what shall go wrong on the way, and what came of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from agt.chaos.rehearsal._conditions import Cause
from agt.chaos.rehearsal._world import World
from agt.supervisor.rollout import Plan, Status

STUCK_AFTER: Final = 3.0
"""A phase that takes so many times its soak (and a day) without anything decided is stuck."""
CHECKS_MAX: Final = 2_000_000
"""No rehearsal looks more often than this."""
DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Injection:
    """A cause, and where in the plan it strikes."""

    cause: Cause
    phase: str
    """It begins half-way through the soak of this phase."""


class Struck(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one cause."""

    cause: str
    phase: str
    at_s: float
    reaction: str = ""
    """The first decision after it began; empty when nothing was decided while it stood."""
    by: str = ""
    """The rule that spoke."""
    says: str = ""
    after_s: float | None = None
    """How long that took."""
    percent: float = 0.0
    """What the candidate carried after that decision."""


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the ladder, as it went."""

    at_s: float
    kind: str
    by: str
    says: str


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """How a rehearsal went."""

    plan: str
    status: str
    """`complete`, or where it ended."""
    phase: str
    reason: str
    took_s: float
    """Virtual time."""
    checks: int
    longest_gap_s: float
    """Longest time without traffic while nothing was meant to stop it."""
    decisions: tuple[Entered, ...]
    struck: tuple[Struck, ...]
    gates: tuple[dict[str, object], ...]
    """The gates of the last phase: name, verdict, reason, samples."""

    @property
    def complete(self) -> bool:
        """Whether the plan came to its end."""
        return self.status == "complete"


def strike(world: World, cause: Cause) -> Struck:
    """Let one cause befall a rollout for as long as it lasts, and return the first decision that this brought."""
    began_s, before, phase = world.elapsed_s, len(world.journal), world.phase
    struck = Struck(cause=cause.name, phase=phase, at_s=began_s, percent=world.state.percent)
    world.begin(cause)
    for _ in range(cause.lasts):
        world.tick()
        if not struck.reaction and len(world.journal) > before:
            first = world.journal[before]
            struck = msgspec.structs.replace(
                struck,
                reaction=first.kind,
                by=first.by,
                says=first.says,
                after_s=first.at_s - began_s,
                percent=world.state.percent,
            )
    world.end()
    return struck


class Rehearsal:
    """Runs one plan to its end, or to where it stays."""

    def __init__(
        self,
        plan: Plan,
        *,
        injections: Iterable[Injection] = (),
        rate: float = 100.0,
        seed: int = 1,
        progress: Callable[[World], None] = lambda _world: None,
    ) -> None:
        """Prepare it.

        Args:
            plan: What to carry out.
            injections: What goes wrong, and in which phase; each strikes once.
            rate: Messages a second, over all gateways.
            seed: Of the traffic's noise.
            progress: Hears from time to time how far it is.
        """
        self.world = World(plan, rate=rate, seed=seed)
        self._waiting = list(injections)
        self._progress = progress
        self._struck: list[Struck] = []
        self._gap_s = self._longest_s = 0.0

    def run(self) -> Rehearsed:
        """Carry the plan out."""
        world, checks, since_s, decided = self.world, 0, 0.0, 0
        while world.state.status is not Status.COMPLETE and checks < CHECKS_MAX:
            if (due := self._due()) is not None:
                checks += self._strike(due)
            else:
                world.tick(world.stride_s())
                self._count_gap()
                checks += 1
            if len(world.journal) > decided:
                decided, since_s = len(world.journal), world.elapsed_s
            if self._stays(since_s):
                break
            if checks % 500 == 0:
                self._progress(world)
        return self._told(checks)

    def _due(self) -> Injection | None:
        """Return what strikes now: its phase has carried half of its soak."""
        world = self.world
        if world.state.status is not Status.RUNNING or world.state.applied_at is None:
            return None
        half_s = world.plan.soak_s(world.plan.phases[world.state.phase]) / 2
        if world.wall - world.state.applied_at < half_s:
            return None
        return next((one for one in self._waiting if one.phase == world.phase), None)

    def _strike(self, due: Injection) -> int:
        """Let one cause stand for as long as it lasts; return the checks that took."""
        self._waiting.remove(due)
        self._struck.append(strike(self.world, due.cause))
        return due.cause.lasts

    def _stays(self, since_s: float) -> bool:
        """Return whether nothing more can come without a person, or comes although there was time."""
        world = self.world
        if world.state.status in (Status.ROLLED_BACK, Status.HELD, Status.KILLED, Status.CLEARED):
            return True
        patience_s = STUCK_AFTER * world.plan.soak_s(world.plan.phases[world.state.phase]) + DAY_S / world.plan.squeeze
        return world.elapsed_s - since_s > patience_s

    def _count_gap(self) -> None:
        """Watch that devices are served: somebody counts messages at each check."""
        sample = self.world.timeline.recent()
        plan = self.world.plan
        if sample is None or sample.of(plan.control).accepted + sample.of(plan.candidate).accepted > 0:
            self._gap_s = 0.0
        else:
            self._gap_s += sample.seconds
        self._longest_s = max(self._longest_s, self._gap_s)

    def _told(self, checks: int) -> Rehearsed:
        world = self.world
        lines = tuple(Entered(at_s=one.at_s, kind=one.kind, by=one.by, says=one.says) for one in world.journal)
        gates: tuple[dict[str, object], ...] = tuple(
            {"name": name, "verdict": judged.verdict.word, "reason": judged.reason, "samples": judged.samples}
            for name, judged in world.gates
        )
        return Rehearsed(
            plan=world.plan.name,
            status=world.state.status.value,
            phase=world.phase,
            reason=world.state.reason,
            took_s=world.elapsed_s,
            checks=checks,
            longest_gap_s=self._longest_s,
            decisions=lines,
            struck=tuple(self._struck),
            gates=gates,
        )
