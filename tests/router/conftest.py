"""Builders that the router's tests share."""

from collections.abc import Callable

import pytest

from agt.router import Ledger, MemorySelector, Message, MoveLimits, Route, Router, Runtimes, Selector
from agt.router.testing import ManualClock, ScriptedDevice, ScriptedPath
from agt.transport import Barrier

RUNTIMES = Runtimes(control="legacy", candidate="reliable")


class World:
    """A router on a clock that is moved by hand, with devices whose far ends are lists."""

    def __init__(self, percentage: float = 0.0, *, limits: MoveLimits | None = None, **route: object) -> None:
        self.clock = ManualClock()
        self.source = MemorySelector(self.selector(percentage, generation=1, **route))
        self.ledger = Ledger()
        self.router = Router(
            self.source,
            runtimes=RUNTIMES,
            clock=self.clock,
            wall=self.clock,
            ledger=self.ledger,
            limits=limits or MoveLimits(),
        )
        self.devices: dict[str, ScriptedDevice] = {}
        self.paths: dict[tuple[str, str], ScriptedPath] = {}
        self.numbers: dict[str, int] = {}

    def selector(self, percentage: float | None, *, generation: int = 0, **route: object) -> Selector:
        """A selector that is enabled unless it says otherwise."""
        merged = {"enabled": True, "percentage": percentage, **route}
        return Selector(runtimes=RUNTIMES, generation=generation, runtime=Route(**merged))

    def set(self, percentage: float, **route: object):
        """Apply a percentage in memory."""
        return self.router.apply(self.selector(percentage, generation=self.router.status().generation + 1, **route))

    def path(self, name: str, runtime: str, barrier: Barrier = Barrier.ACK, *, ready: bool = True) -> ScriptedPath:
        """Make a device's path, not attached yet."""
        device = self.devices.setdefault(name, ScriptedDevice(drops_doubles=barrier is Barrier.SEQUENCE))
        path = ScriptedPath(self.clock, device, barrier=barrier, legacy=runtime == "legacy", ready=ready)
        self.paths[name, runtime] = path
        return path

    def add(self, name: str = "d", barrier: Barrier = Barrier.ACK) -> tuple[ScriptedPath, ScriptedPath]:
        """Attach a device both ways; returns its legacy and its reliable path."""
        legacy, reliable = self.path(name, "legacy", barrier), self.path(name, "reliable", barrier)
        self.router.attach(name, {"legacy": legacy, "reliable": reliable})
        return legacy, reliable

    def message(self, name: str = "d", **fields: object) -> Message:
        """The device's next message."""
        number = self.numbers[name] = self.numbers.get(name, 0) + 1
        return Message(device=name, number=number, payload=b"set %d 1" % number, **fields)

    def send(self, name: str = "d", **fields: object):
        """Send the device's next message."""
        return self.router.send(self.message(name, **fields))

    def pass_time(self, seconds: float) -> None:
        """Let time pass and do what has come due."""
        self.clock.advance(seconds)
        self.router.handle_timer()


@pytest.fixture
def world() -> World:
    """A world at 0 %."""
    return World()


@pytest.fixture(scope="session")
def make_world() -> Callable[..., World]:
    """The world's constructor, for tests that want another start."""
    return World
