"""How any kind of world is lived through and told: a broken promise is in the report, every other error is raised."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import msgspec

from agt.chaos.sim._book import BrokenPromise
from agt.chaos.sim._clock import Clock, Stuck
from agt.chaos.sim._report import Report


class Told(Protocol):
    """What keeps the outcomes of a world's messages."""

    def outcomes(self) -> dict[str, int]:
        """Count the messages by how they ended."""
        ...


class Tellable(Protocol):
    """What every world has."""

    lines: list[str]
    clock: Clock

    @property
    def profile(self) -> msgspec.Struct:
        """What kind of world it is."""
        ...

    @property
    def book(self) -> Told:
        """Who knows everything."""
        ...

    def trace(self, line: str) -> None:
        """Write a line of its story."""
        ...


AnyWorld = TypeVar("AnyWorld", bound=Tellable)


def live_and_tell(
    world: AnyWorld, live: Callable[[AnyWorld], None], *, seed: int, kind: str, overrides: Mapping[str, str] | None
) -> Report:
    """Live through a world and report.

    Args:
        world: as its seed made it.
        live: its life, from beginning to end.
        seed: what made it.
        kind: of world, for the replay command.
        overrides: what was set in its profile by hand, for the replay command.
    """
    world.trace(f"seed {seed} profile {world.profile}")
    broken = ""
    try:
        live(world)
    except (BrokenPromise, Stuck) as promise:
        broken = str(promise)
        world.trace(f"BROKEN {broken}")
    return Report(
        seed=seed,
        kind=kind,
        profile=world.profile,
        broken=broken,
        outcomes=world.book.outcomes(),
        events=world.clock.events,
        virtual_s=world.clock.now,
        trace=tuple(world.lines),
        overrides=dict(overrides or {}),
    )
