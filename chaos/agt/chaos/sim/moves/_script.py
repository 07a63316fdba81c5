"""The exhaustive cases: a script of fifty commands, a move at each of their boundaries, a crash at each durable step.

Nothing is drawn here but the latencies of one world: one device, no faults of the network. A case names the barrier,
the direction, the boundary of the script at which the move is asked for, and the durable step of the gateway, counted
from there, at which it dies: before the step, in the middle of it, or after it. `steps_of` says how many there are.
"""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from agt.chaos.sim._book import BrokenPromise
from agt.chaos.sim._clock import Stuck
from agt.chaos.sim.moves._files import FATES, Fate
from agt.chaos.sim.moves._profile import RouterProfile
from agt.chaos.sim.moves._story import finish
from agt.chaos.sim.moves._world import RouterWorld
from agt.router import Route
from agt.transport import Barrier

Direction = Literal["advance", "rollback", "kill"]

COMMANDS: Final = 50
EVERY_S: Final = 0.03
"""Between two commands; shorter than a device takes to answer, so that every move finds something in flight."""
BEGIN_S: Final = 1.0
"""When the first command is sent: all attachments are up."""
AFTER_STEPS: Final = 3
"""Durable steps that still count once a move has settled: what was held has gone out, and is noted."""
WIRES: Final = (("cync", Barrier.ACK), *(("lines", barrier) for barrier in Barrier))
DIRECTIONS: Final[tuple[Direction, ...]] = ("advance", "rollback", "kill")

SCRIPTED: Final = RouterProfile(
    devices=1,
    messages=COMMANDS,
    span_s=BEGIN_S + COMMANDS * EVERY_S + 0.5,
    wire="lines",
    barrier="sequence",
    redial=False,
    report=0.0,
    deadline_s=15.0,
    reaction_s=0.1,
    latency_s=0.01,
    legacy_lag_s=0.1,
    jitter_s=0.0,
    drop=0.0,
    duplicate=0.0,
    reorder=0.0,
    damage=0.0,
    cut=0.0,
    half_open=0.0,
    slice=0.0,
    stall_per_s=0.0,
    device_crash_per_s=0.0,
    crash_per_s=0.0,
    crash_at_write=0.0,
    full_per_s=0.0,
    corrupt_per_s=0.0,
    changes=0,
    kills=0.0,
)


class Case(msgspec.Struct, frozen=True):
    """One case."""

    wire: str
    barrier: Barrier
    direction: Direction
    boundary: int
    """The move is asked for right after this many commands."""
    step: int = 0
    """At which durable step from there on the gateway dies, from 1; 0 for never."""
    fate: Fate = ""

    @property
    def name(self) -> str:
        """How reports call it."""
        crash = f", dies {self.fate} step {self.step}" if self.step else ""
        return f"{self.wire} {self.barrier.value}: {self.direction} after {self.boundary} commands{crash}"


class Ran(msgspec.Struct, frozen=True):
    """What a case showed."""

    broken: str
    steps: tuple[str, ...]
    """Durable steps of the gateway during the move, by name."""
    events: int
    trace: tuple[str, ...]


def run_case(case: Case) -> Ran:
    """Live through a case; broken promises are in what is returned, other errors are raised."""
    world = RouterWorld(case.boundary, msgspec.structs.replace(SCRIPTED, wire=case.wire, barrier=case.barrier.value))
    name = next(iter(world.devices))
    steps = _Steps(world, case)
    if case.direction != "advance":
        world.operator.change("100 %", Route(enabled=True, percentage=100.0))
    for number in range(COMMANDS):
        world.clock.at(BEGIN_S + number * EVERY_S, lambda: world.command_for(name))
    world.clock.at(BEGIN_S + case.boundary * EVERY_S - EVERY_S / 2, steps.move)
    broken = ""
    try:
        world.start()
        world.gateway.fate = steps
        world.clock.run(world.profile.span_s)
        steps.counting = False
        finish(world)
    except (BrokenPromise, Stuck) as promise:
        broken = str(promise)
    return Ran(broken, tuple(steps.taken), world.clock.events, tuple(world.lines))


def cases_at(wire: str, barrier: Barrier, direction: Direction, boundary: int) -> Iterator[Case]:
    """Yield the case of a boundary without a crash, then one for each step and fate: as many as that one has shown."""
    calm = Case(wire, barrier, direction, boundary)
    yield calm
    for number, step in enumerate(run_case(calm).steps, start=1):
        for fate in FATES:
            if fate != "torn" or step.startswith(("append", "write")):  # Nothing else is ever half done.
                yield Case(wire, barrier, direction, boundary, number, fate)


class _Steps:
    """Counts the gateway's durable steps from the move on, and lets it die at one; asked as its fate."""

    def __init__(self, world: RouterWorld, case: Case) -> None:
        self._world, self._case = world, case
        self.counting = False
        self.taken: list[str] = []
        self._after = 0

    def move(self) -> None:
        """Ask for the move; its steps count from here on."""
        self.counting = True
        operator = self._world.operator
        if self._case.direction == "advance":
            operator.change("100 %", Route(enabled=True, percentage=100.0))
        elif self._case.direction == "rollback":
            operator.change("0 %", Route(enabled=True, percentage=0.0))
        else:
            operator.kill()

    def __call__(self, step: str) -> Fate:
        self._after += self._settled()
        if not self.counting or self._after > AFTER_STEPS:
            return ""
        self.taken.append(step)
        if len(self.taken) != self._case.step:
            return ""
        self._world.trace(f"the gateway dies {self._case.fate} its step {self._case.step}: {step}")
        return self._case.fate

    def _settled(self) -> bool:
        changes = self._world.operator.changes
        return self.counting and bool(changes) and changes[-1].batch.receipt().settled_ms is not None
