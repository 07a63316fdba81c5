"""A rollout with its real records, selector and runner, one virtual gateway, and a kill at any write.

Checks are driven by hand and time is virtual; what is on the disk is real. `Killed` stands for `kill -9`: it leaves
before or after one write, and the next supervisor starts on what is there. The gateway goes on meanwhile, by what the
selector on the disk says, as a real one would.
"""

import random
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agt.chaos.rehearsal import Cause
from agt.chaos.rehearsal._gateway import VirtualGateway
from agt.supervisor.records import Entry, Journal
from agt.supervisor.rollout import Plan, Rollout, State, Status, _runner
from agt.supervisor.rollout._clock import ClockWatch, not_ahead
from agt.supervisor.rollout._performer import Performer
from agt.supervisor.rollout._recorder import Recorder
from agt.supervisor.rollout._way import Way

HEALTHY = Cause(name="healthy", says="nothing is wrong", blame="environment")
WRITES = ((Journal, "append"), (Journal, "observe"), (Way, "go_forward"), (Way, "_write_back"))
"""Every place where a check changes what the next supervisor finds."""


class Killed(BaseException):
    """Raised where the supervisor is killed."""


class NoTasks:
    """Stands in for the task group: what follows a way back over the sockets is not looked at here."""

    def start_soon(self, *_: Any) -> None:
        """Start nothing."""


@dataclass
class Clocks:
    """Wall and monotonic time, apart."""

    wall: float = 1_700_000_000.0
    monotonic: float = 0.0


@dataclass
class KilledRun:
    """One run directory, one gateway, and supervisors that come and go."""

    plan: Plan
    run: Path
    gateway: VirtualGateway = field(init=False)
    clocks: Clocks = field(default_factory=Clocks)
    cause: Cause = HEALTHY
    kill_at: int = -1
    """Number of the write at which to kill; odd ones after it, even ones before it."""
    writes: int = 0
    kills: int = 0
    carried: dict[int, float] = field(default_factory=dict)
    """Seconds that the gateway carried each generation, by its own clock."""
    routed: list[tuple[int, float]] = field(default_factory=list)
    """Generations and percentages, in the order in which the gateway took them over."""
    rollout: Rollout | None = None

    def __post_init__(self) -> None:
        self.gateway = VirtualGateway("gateway.sock", self.plan, 100.0, random.Random(1))

    def install(self, monkeypatch) -> None:
        """Let the runner see this gateway, and every write pass by here."""

        async def seen(*_: Any, at: float, **__: Any) -> tuple[Any, ...]:
            return (self.gateway.seen(at=at, forgets=False),)

        async def told(*_: Any) -> tuple[Any, ...]:
            return ()

        monkeypatch.setattr(_runner, "look_at_routers", seen)
        monkeypatch.setattr(Way, "_tell", told)
        for owner, name in WRITES:
            monkeypatch.setattr(owner, name, self._watched(getattr(owner, name), sync=name == "_write_back"))

    async def check(self, seconds: float = 60.0) -> State:
        """Let time pass and check once; a supervisor that is killed in it is started again before the next."""
        self.clocks.wall += seconds
        self.clocks.monotonic += seconds
        if self.rollout is None:
            self.rollout = await self._started()
        self._apply()
        self.gateway.passes(seconds, self.cause)
        generation = self.gateway.generation
        self.carried[generation] = self.carried.get(generation, 0.0) + seconds
        rollout, state = self.rollout, self.rollout.state
        try:
            await rollout.check()
            state = rollout.state
        except Killed:
            self.kills += 1
            self.rollout = None
            await self._dead(rollout)
        self._apply()
        return state

    async def to_the_end(self, *, limit: int = 300) -> State:
        """Check until the plan is complete or stays where it is."""
        for _ in range(limit):
            state = await self.check()
            if self.rollout is not None and state.status not in (Status.STARTING, Status.RUNNING, Status.SUSPENDED):
                return state
        raise AssertionError(f"it never ended: {state}")

    async def entries(self) -> list[Entry]:
        """Return the whole journal, oldest first."""
        assert self.rollout is not None
        assert self.rollout._recorder is not None
        return await self.rollout._recorder.entries()

    async def close(self) -> None:
        """End the supervisor that is left."""
        if self.rollout is not None:
            await self._dead(self.rollout)

    async def _started(self) -> Rollout:
        """Start a supervisor as `Rollout.run` does, without its loops."""
        rollout = Rollout(self.plan, self.run, clock=lambda: self.clocks.wall)
        recorder = rollout._recorder = await Recorder.open(rollout._path)
        rollout._state = not_ahead(await recorder.state(self.plan.name) or rollout._state, self.clocks.wall)
        rollout._timeline, rollout._soak = await recorder.past(rollout._state.generation)
        rollout._timeline.not_ahead(self.clocks.wall)
        await rollout.books.opened(recorder)
        rollout._gates = rollout._judged()
        tasks: Any = NoTasks()
        rollout._performer = Performer(self.plan, rollout._way, recorder, rollout.books, rollout._rollbacks, tasks)
        rollout._clocks = _OnClocks(self.clocks)
        return rollout

    async def _dead(self, rollout: Rollout) -> None:
        """Leave nothing of a killed supervisor but its files."""
        assert rollout._recorder is not None
        with suppress(Exception):
            await rollout.books.closed()
        rollout._recorder._store.close()

    def _apply(self) -> None:
        """Let the gateway follow the selector on the disk."""
        selector = Way(self.plan, self.run).read().selector
        if selector is not None and selector.generation != self.gateway.generation:
            self.gateway.apply(None, selector.generation, selector.percentage)
            self.routed.append((selector.generation, selector.percentage))

    def _watched(self, write: Any, *, sync: bool) -> Any:
        if sync:

            def watched_now(*args: Any, **kwargs: Any) -> Any:
                self._pass()
                result = write(*args, **kwargs)
                self._pass()
                return result

            return watched_now

        async def watched(*args: Any, **kwargs: Any) -> Any:
            self._pass()
            result = await write(*args, **kwargs)
            self._pass()
            return result

        return watched

    def _pass(self) -> None:
        self.writes += 1
        if self.writes - 1 == self.kill_at:
            raise Killed


class _OnClocks(ClockWatch):
    """The clock watch, on the run's own monotonic clock."""

    def __init__(self, clocks: Clocks) -> None:
        super().__init__()
        self._clocks = clocks

    def jumped_s(self, *, wall: float, monotonic: float) -> float:
        """Compare with virtual time."""
        del monotonic
        return super().jumped_s(wall=wall, monotonic=self._clocks.monotonic)


__all__ = ("HEALTHY", "Clocks", "Killed", "KilledRun")
