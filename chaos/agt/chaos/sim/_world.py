"""The simulated world: one clock, one network, hosts that crash and come back, and a book that must stay true.

One seed makes everything. The root generator draws the profile and a generator for each actor, in a fixed order, so
that the same seed gives the same trace, byte by byte. While the world is faulty only safety is asked for; after
`heal` everything must settle, and new messages must all arrive.
"""

from collections.abc import Callable
from random import Random

from agt.chaos.sim._book import Book, BrokenPromise
from agt.chaos.sim._clock import Clock
from agt.chaos.sim._durable import DurableDevice
from agt.chaos.sim._hosts import Device, Gateway, Host
from agt.chaos.sim._inbox import RememberingGateway
from agt.chaos.sim._network import Network
from agt.chaos.sim._port import Port
from agt.chaos.sim._profile import Profile, draw_profile, root_generator

NATIVE_HEADER_SIZE = 28
SETTLE_STEP_S = 1.0
"""How often a settling world is asked whether it is done."""


def split_frames(data: bytes) -> list[bytes]:
    """Cut what a native link wrote into its frames."""
    frames: list[bytes] = []
    position = 0
    while position < len(data):
        end = position + NATIVE_HEADER_SIZE + int.from_bytes(data[position : position + 4])
        frames.append(data[position:end])
        position = end
    return frames


class World:
    """Hosts on a network, in virtual time."""

    def __init__(self, seed: int, profile: Profile | None = None) -> None:
        """Make the world of a seed.

        Args:
            seed: chooses everything.
            profile: instead of the one that the seed would draw.
        """
        self.seed = seed
        self._root = root_generator(seed)
        drawn = draw_profile(Random(self.draw()))
        self.profile = profile if profile is not None else drawn
        """What kind of world this is."""
        self.clock = Clock()
        self.book = Book()
        self.lines: list[str] = []
        """The trace."""
        self.faulty = True
        """Whether things go wrong."""
        self.delivered = 0
        """Messages whose sender was told so."""
        self.alive: set[str] = set()
        """Incarnations that run, zombies among them."""
        self.retired: list[Port] = []
        """Ports that no one sends through any more."""
        self.fenced: list[str] = []
        """Incarnations that were shut out though nothing newer was started."""
        self._rng = Random(self.draw())
        self.network = Network(
            self.clock, Random(self.draw()), self.profile, split=split_frames, note=self._note_network
        )
        self.gateway = (RememberingGateway if self.profile.remembers else Gateway)(self, "gateway")
        self.hosts: dict[str, Host] = {"gateway": self.gateway}
        for index in range(self.profile.devices):
            name = f"device-{index}"
            make = DurableDevice if self.profile.durable else Device
            self.hosts[name] = make(self, name, self.gateway)

    def draw(self) -> int:
        """Draw the seed of one more actor's generator."""
        return self._root.getrandbits(64)

    def trace(self, line: str) -> None:
        """Note what happened, now."""
        self.lines.append(f"{self.clock.now:.6f} {line}")

    # What can be done to a world

    def partition(self) -> None:
        """Stop all traffic between gateway and devices."""
        self.network.partition()

    def repair(self) -> None:
        """Let it flow again."""
        self.network.repair()

    def crash(self, name: str) -> None:
        """Crash a host; it stays down."""
        self.hosts[name].crash()

    def bounce(self, name: str) -> None:
        """Crash a host and start it again at once."""
        self.crash(name)
        self.hosts[name].start()

    def start(self) -> None:
        """Start every host that is down."""
        for host in self.hosts.values():
            if not host.running:
                host.start()

    def heal(self) -> None:
        """End all faults: from now on everything has to work."""
        self.trace("the world heals")
        self.faulty = self.network.faulty = False
        for host in self.hosts.values():
            host.heal()
        self.repair()
        self.start()
        if self.profile.resize_per_s:
            for port in self._ports():
                port.move_window(self.profile.window)

    def step(self) -> bool:
        """Let the next thing happen."""
        return self.clock.step()

    def run(self, until: float) -> None:
        """Let everything happen up to a time."""
        self.clock.run(until)

    def settle(self, limit_s: float, linger_s: float) -> None:
        """Run until no living sender waits for anything and then `linger_s` more, at most `limit_s` in all."""
        until = self.clock.now + limit_s
        while self.clock.now + linger_s < until and self._busy():
            self.run(self.clock.now + SETTLE_STEP_S)
        self.run(min(until, self.clock.now + linger_s))

    def _busy(self) -> bool:
        return self.book.waits_for(self.alive) or any(host.busy for host in self.hosts.values())

    # The faults and the traffic that a profile asks for

    def schedule_faults(self) -> None:
        """Plan partitions, crashes and withdrawals over the profile's span."""
        profile = self.profile
        self._now_and_then(profile.partition_per_s, self._partition_for_a_while)
        self._now_and_then(profile.crash_per_s, self._bounce_someone)
        self._now_and_then(profile.withdraw_per_s, self._withdraw_somewhere)
        self._now_and_then(profile.resize_per_s, self._move_a_window)
        self._now_and_then(profile.drain_per_s, self._drain_somewhere)

    def schedule_traffic(self) -> None:
        """Plan each host's messages over the profile's span."""
        for name in self.hosts:
            rng = Random(self.draw())
            for _ in range(self.profile.messages):
                self.clock.at(rng.random() * self.profile.span_s, self._sending(name, rng))

    def _sending(self, name: str, rng: Random) -> Callable[[], None]:
        def send() -> None:
            profile = self.profile
            for port in self.hosts[name].ports():
                port.send(rng.uniform(0.1, profile.deadline_s), rng.randint(0, profile.payload_max))
                if rng.random() < profile.cancel:
                    self.clock.after(rng.random() * profile.deadline_s / 2, port.cancel_newest)

        return send

    def _now_and_then(self, per_s: float, action: Callable[[], None]) -> None:
        time = 0.0
        while per_s and (time := time + self._rng.expovariate(per_s)) < self.profile.span_s:
            self.clock.at(time, action)

    def _partition_for_a_while(self) -> None:
        self.partition()
        self.clock.after(self._rng.random() * 4, self.repair)

    def _bounce_someone(self) -> None:
        self.crash(self._rng.choice(list(self.hosts)))
        self.clock.after(self._rng.random(), self.start)

    def _move_a_window(self) -> None:
        ports = self._ports()
        if ports and self.faulty:
            self._rng.choice(ports).move_window(self._rng.randint(0, self.profile.window))

    def _drain_somewhere(self) -> None:
        ports = self._ports()
        if ports and self.faulty:
            self._rng.choice(ports).drain(self._rng.random() * 3)

    def _ports(self) -> list[Port]:
        return [port for host in self.hosts.values() for port in host.ports()]

    def _withdraw_somewhere(self) -> None:
        ports = [port for host in self.hosts.values() for port in host.ports()]
        if ports:
            self._rng.choice(ports).withdraw()

    def _note_network(self, what: str, frame: bytes) -> None:
        self.trace(f"network: {what}" + (f" type {frame[8]} sequence {int.from_bytes(frame[12:20])}" if frame else ""))

    def check_liveness(self, keys: list[str]) -> None:
        """Hold that these messages were delivered and nobody current was shut out."""
        if self.profile.max_senders < self.profile.devices:
            keys = []  # Somebody is turned away, rightly.
        for key in keys:
            entry = self.book.entries[key]
            if not entry.processed or entry.outcome is None or entry.outcome.value != "delivered":
                raise BrokenPromise("a healed world delivers", f"{key} ended as {entry.outcome}: {entry.reason}")
        if self.fenced:
            raise BrokenPromise("only older processes are fenced", ", ".join(self.fenced))
