"""A plant with a motor in it, and sources that repeat a command until the plant has said that it was done.

Everything between them fails: frames are dropped, doubled, delayed past one another and cut off, the gateway is killed,
its mirror queue fills up, its twins break. Whatever happens, the motor is to move once for each command; who moved
it, the carried message or its mirrored copy, is written on every frame, where no gateway could see it.
"""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from agt.chaos.sim._clock import Clock
from agt.router import MemorySelector, Message, Route, Router, Runtimes, Selector, Withdrawn
from agt.router.shadow import Answered, Classifier, Shadow, lines
from agt.transport import Barrier, Delivery, MoveKind, Outcome, QueueFull

RUNTIMES = Runtimes(control="legacy", candidate="reliable")
RETRY_S = 1.0
"""After which a source repeats a command that nobody has confirmed."""


@dataclass
class Plant:
    """The physical thing: its motor moves at each new number."""

    moves: Counter[int] = field(default_factory=Counter)
    """How often the motor moved, by command."""
    by_mirror: list[int] = field(default_factory=list)
    """Commands that a mirrored copy brought here."""
    reads: int = 0
    highest: int = 0

    def take(self, payload: bytes, origin: str) -> bytes:
        """Do what a frame says and answer."""
        verb, number = payload.split()[0], int(payload.split()[1])
        if verb == b"get":
            self.reads += 1
            return b"ok %d %d" % (number, self.highest % 2)
        if origin == "mirror":
            self.by_mirror.append(number)
        if number > self.highest:
            self.highest = number
            self.moves[number] += 1
        return b"ok %d" % number


class Wire:
    """A way to a plant that loses, doubles, delays and cuts."""

    def __init__(self, clock: Clock, rng: Random, plant: Plant, origin: str) -> None:
        self._clock, self._rng, self._plant, self._origin = clock, rng, plant, origin
        self.faulty = True
        self.barrier, self.move, self.ready = Barrier.SEQUENCE, MoveKind.WARM, True
        self.in_flight = self.queued = 0

    def send(self, message: Message) -> Delivery:
        """Send a frame; the handle settles by the answer, or is in doubt after a second."""
        delivery = Answered()

        def answered(reply: bytes) -> None:
            if not delivery.done:
                delivery.reply = reply
                delivery.settle(Outcome.DELIVERED, latency_s=0.1)

        def given_up() -> None:
            if not delivery.done:
                delivery.settle(Outcome.INDETERMINATE, reason="no answer")

        def arrives() -> None:
            reply = self._plant.take(message.payload, self._origin)
            self._carry(lambda: answered(reply))

        self._carry(arrives)
        self._clock.after(RETRY_S, given_up)
        return delivery

    def withdraw(self) -> Withdrawn:
        """Give nothing back: the sources repeat what nobody confirms."""
        return Withdrawn(unsent=(), in_doubt=())

    def on_quiet(self, callback: object) -> None:
        """Be quiet at once."""
        assert callable(callback)
        callback()

    def _carry(self, what: object) -> None:
        assert callable(what)
        copies = self._rng.choice((0, 1, 1, 1, 2)) if self.faulty else 1
        for _ in range(copies):
            self._clock.after(self._rng.random() * (0.8 if self.faulty else 0.01), what)


class Breaking:
    """A twin that is full or broken half of the time."""

    def __init__(self, rng: Random, inner: Wire) -> None:
        self._rng, self._inner = rng, inner

    def send(self, message: Message) -> Delivery:
        """Take a copy, or fail."""
        chance = self._rng.random() if self._inner.faulty else 1.0
        if chance < 0.2:
            raise QueueFull("the twin's queue", 0)
        if chance < 0.4:
            raise OSError("the twin is gone")
        return self._inner.send(message)


class PlantWorld:
    """One plant, its stand-in, a source and a gateway."""

    def __init__(self, seed: int, *, commands: int = 40, classifier: Classifier = lines.classify) -> None:
        self.rng, self.clock = Random(seed), Clock()
        self.plant, self.stand_in = Plant(), Plant()
        self.confirmed = 0
        self.shadows: list[Shadow] = []
        self._commands, self._classifier = commands, classifier
        self._wires: list[Wire] = []
        self._faulty = True
        self._gateway: Router | None = None

    def live(self) -> None:
        """Let everything go wrong, then nothing, until all commands are confirmed."""
        self._start()
        self.clock.after(0.0, self._ask)
        for at in range(1, 12):
            self.clock.at(at * 2.5, self._disturb)
        self.clock.run(30.0)
        self._faulty = False
        for wire in self._wires:
            wire.faulty = False
        self.clock.run(30.0 + self._commands * 4.0)

    def _wire(self, plant: Plant, origin: str) -> Wire:
        wire = Wire(self.clock, self.rng, plant, origin)
        wire.faulty = self._faulty
        self._wires.append(wire)
        return wire

    def _start(self) -> None:
        """Start a gateway with an empty memory; the one before it is gone in mid-air."""
        shadow = Shadow(
            {name: Breaking(self.rng, self._wire(self.stand_in, "mirror")) for name in ("legacy", "reliable")},
            readers={name: Breaking(self.rng, self._wire(self.plant, "mirror")) for name in ("legacy", "reliable")},
            classifier=self._classifier,
            queue_max=self.rng.choice((2, 10, 1000)),
            timeout_s=2.0,
        )
        self.shadows.append(shadow)
        mode = self.rng.choice(("candidate", "control"))
        route = Route(enabled=True, percentage=100.0 if mode == "control" else 0.0, shadow=mode)
        router = Router(
            MemorySelector(Selector(runtimes=RUNTIMES, generation=1, runtime=route)),
            runtimes=RUNTIMES,
            clock=lambda: self.clock.now,
            wall=lambda: self.clock.now,
            shadow=shadow,
        )
        router.attach("motor", {name: self._wire(self.plant, "carried") for name in ("legacy", "reliable")})
        self._gateway = router
        self._turn(router)

    def _turn(self, router: Router) -> None:
        if router is self._gateway:
            router.handle_timer()
            self.clock.after(0.02, lambda: self._turn(router))

    def _disturb(self) -> None:
        if self._faulty and self.rng.random() < 0.4:
            self._start()  # Killed and started again.
        elif self._gateway is not None:
            percentage = self.rng.choice((0.0, 100.0))
            mode = "control" if percentage else "candidate"
            generation = self._gateway.status().generation + 1
            route = Route(enabled=True, percentage=percentage, shadow=mode)
            self._gateway.apply(Selector(runtimes=RUNTIMES, generation=generation, runtime=route))

    def _ask(self) -> None:
        """Send the next command, or the last one again; now and then only a question."""
        if self.confirmed >= self._commands:
            return
        assert self._gateway is not None
        number = self.confirmed + 1
        if self.rng.random() < 0.3:
            self._gateway.send(Message("motor", 1_000_000 + number, b"get %d" % number))
        self._gateway.send(Message("motor", number, b"set %d 1" % number))
        self.clock.after(RETRY_S * 0.9, self._look)

    def _look(self) -> None:
        """The source sees at the plant itself whether its command was done."""
        self.confirmed = max(self.confirmed, self.plant.highest)
        self.clock.after(0.0, self._ask)
