"""A world with a gateway in it: sources, the real router, devices, networks that fail, and a disk.

One seed makes everything, as in the worlds of links. While it is faulty only safety is asked for; after `heal`
everything must settle, each device must be where the selector says, and new commands must arrive.
"""

from collections.abc import Callable
from functools import partial
from random import Random

from agt.chaos.sim._book import BrokenPromise
from agt.chaos.sim._clock import Clock
from agt.chaos.sim._network import Network
from agt.chaos.sim._profile import root_generator
from agt.chaos.sim._world import split_frames
from agt.chaos.sim.moves._book import Book, Entry
from agt.chaos.sim.moves._device import Device
from agt.chaos.sim.moves._files import FATES, Fate, Files
from agt.chaos.sim.moves._gateway import JOURNAL, Gateway
from agt.chaos.sim.moves._operator import Operator
from agt.chaos.sim.moves._profile import RouterProfile, draw_router_profile, legacy_weather, native_weather
from agt.chaos.sim.moves._wires import command, device_name, split_legacy
from agt.router import InDoubt, Message
from agt.transport import Barrier

STALL_MAX_S = 0.8
"""Longest time for which all bytes stop: silence is what keeps two sockets in order, so it must be shorter than a
drain."""
FULL_MAX_S = 3.0
PROBE_DEADLINE_S = 15.0
"""The deadline of commands that are sent once the world is well."""


class RouterWorld:
    """Sources, a gateway, devices, in virtual time."""

    def __init__(self, seed: int, profile: RouterProfile | None = None) -> None:
        """Make the world of a seed; `profile` instead of the one that the seed would draw."""
        self.seed = seed
        self._root = root_generator(seed)
        drawn = draw_router_profile(Random(self.draw()))
        self.profile = profile if profile is not None else drawn
        self.clock = Clock()
        self.lines: list[str] = []
        """The trace."""
        self.faulty = True
        self.legacy_wire = self.profile.wire
        self._barrier = Barrier(self.profile.barrier)
        self.book = Book(lambda: self.clock.now, barrier=self._barrier, in_place=self.legacy_wire == "cync")
        self._rng = Random(self.draw())
        self._disk_refused = False
        self.disk_was_full = False
        """Whether a journal may have lost lines that a full disk refused."""
        self.networks = {
            "legacy": self._network("legacy", partial(split_legacy, self.legacy_wire)),
            "native": self._network("native", split_frames),
        }
        self.files = Files()
        self.gateway = Gateway(self)
        names = [device_name(self.legacy_wire, index) for index in range(self.profile.devices)]
        self.devices = {name: Device(self, name) for name in names}
        self._numbers = dict.fromkeys(names, 0)
        self.operator = Operator(self)
        self.operator.begin()

    def draw(self) -> int:
        """Draw the seed of one more actor's generator."""
        return self._root.getrandbits(64)

    def trace(self, line: str) -> None:
        """Note what happened, now."""
        self.lines.append(f"{self.clock.now:.6f} {line}")

    def barrier_of(self, attachment: str, own: Barrier) -> Barrier:
        """Return what a path promises; a cync path says it itself."""
        del attachment
        return own if self.legacy_wire == "cync" else self._barrier

    def restart_s(self) -> float:
        """Draw how long it takes until a dead gateway is started again."""
        return self._rng.random()

    def fail(self, broken: BrokenPromise) -> None:
        """End the run with a broken promise, from within code that would take it for an application's mistake."""

        def tell() -> None:
            raise broken

        self.clock.at(self.clock.now, tell)

    # What can be done to a world

    def start(self) -> None:
        """Start everything."""
        self.gateway.fate = self._fate
        self.gateway.start()
        for device in self.devices.values():
            device.start()

    def command_for(self, name: str) -> None:
        """Let a device's source send its next command, if a gateway is there to take it."""
        self.send(name)

    def send(self, name: str) -> tuple[str, int] | None:
        """Let a device's source hand its next command to the gateway; None when nobody is there."""
        process = self.gateway.process
        if process is None:
            return None
        number = self._numbers[name] = self._numbers[name] + 1
        report = self._rng.random() < self.profile.report
        message = Message(
            device=name,
            number=number,
            payload=command(self.legacy_wire, name, number),
            in_doubt=InDoubt.REPORT if report else InDoubt.RESEND,
            deadline_s=self.profile.deadline_s if self.faulty else PROBE_DEADLINE_S,
        )
        self.trace(f"source: {name} #{number}{' report' if report else ''}")
        self.book.sent(Entry(name, number, process.number, self.clock.now, message.deadline_s, not report))
        process.run(lambda: process.command(message))
        return name, number

    def gateway_died(self, number: int) -> None:
        """Note the death of a gateway process, and what its disk holds."""
        journal = bytes(self.files.content(JOURNAL)) if self.files.has(JOURNAL) else b""
        self.book.gateway_died(number, journal, excused=self._disk_refused)
        self._disk_refused = self.files.full

    def fill_disk(self) -> None:
        """Let the disk be full for a while."""
        self.trace("the disk is full")
        self.files.full = self._disk_refused = self.disk_was_full = True
        self.clock.after(self._rng.random() * FULL_MAX_S, self.free_disk)

    def free_disk(self) -> None:
        """Let there be room again."""
        if self.files.full:
            self.trace("the disk has room")
            self.files.full = False

    def stall(self) -> None:
        """Stop all bytes of one network for a while; none is lost."""
        network = self.networks[self._rng.choice(("legacy", "native"))]
        network.partition("stop")
        self.clock.after(self._rng.random() * STALL_MAX_S, network.repair)

    def heal(self) -> None:
        """End all faults: from now on everything has to work."""
        self.trace("the world heals")
        self.faulty = False
        self.gateway.fate = lambda _: ""
        self.free_disk()
        for network in self.networks.values():
            network.faulty = False
            network.repair()
        if self.gateway.process is None:
            self.gateway.start()

    # The faults and the traffic that a profile asks for

    def schedule(self) -> None:
        """Plan commands, changes and faults over the profile's span."""
        profile = self.profile
        for name in self.devices:
            rng = Random(self.draw())
            for _ in range(profile.messages):
                self.clock.at(1.0 + rng.random() * profile.span_s, partial(self.command_for, name))
        for _ in range(profile.changes):
            self.clock.at(1.0 + self._rng.random() * profile.span_s, self._while_faulty(self.operator.act))
        self._now_and_then(profile.stall_per_s, self.stall)
        self._now_and_then(profile.crash_per_s, self.gateway.crash)
        self._now_and_then(profile.full_per_s, self.fill_disk)
        self._now_and_then(profile.corrupt_per_s, self.operator.corrupt)
        self._now_and_then(profile.device_crash_per_s, self._restart_a_device)

    def _now_and_then(self, per_s: float, action: Callable[[], object]) -> None:
        time = 1.0
        while per_s and (time := time + self._rng.expovariate(per_s)) < self.profile.span_s:
            self.clock.at(time, self._while_faulty(action))

    def _while_faulty(self, action: Callable[[], object]) -> Callable[[], None]:
        def act() -> None:
            if self.faulty:
                action()

        return act

    def _restart_a_device(self) -> None:
        device = self.devices[self._rng.choice(sorted(self.devices))]
        self.trace(f"{device.name} restarts")
        device.crash()
        self.clock.after(self._rng.random(), device.start)

    def _fate(self, step: str) -> Fate:
        if self._rng.random() >= self.profile.crash_at_write:
            return ""
        fate = self._rng.choice(FATES)
        self.trace(f"the gateway dies {fate} its step: {step}")
        return fate

    def _network(self, name: str, split: Callable[[bytes], list[bytes]]) -> Network:
        weather = (native_weather if name == "native" else legacy_weather)(self.profile)

        def note(what: str, frame: bytes) -> None:
            self.trace(f"{name} network: {what} {frame[:40]!r}" if frame else f"{name} network: {what}")

        return Network(self.clock, Random(self.draw()), weather, split=split, note=note)

    # What must be true in the end

    def check_settled(self) -> None:
        """Hold that nothing moves any more, that each device is where it belongs, and that nobody waits."""
        process = self.gateway.process
        assert process is not None, "a healed world has a gateway"
        for line in process.router.devices():
            redials = self.profile.redial and line.reason == "no candidate attachment"
            if line.state != "carrying" or line.held or line.runtime != line.target or redials:
                raise BrokenPromise("a healed world settles", f"{line.device} is {line.state}, {line.held} held")
        missing = sorted(set(self.devices) - {line.device for line in process.router.devices()})
        if missing:
            raise BrokenPromise("a healed world settles", f"{missing[0]} is not attached")
        for entry in self.book.open_of(process.number):
            raise BrokenPromise("every send ends", f"{entry.name} never did")
