"""A simulated network: connections that carry frames late, twice, in the wrong order, damaged or not at all.

A connection is two lanes. As on a byte stream, what arrives keeps its order unless a fault says otherwise; faults
strike whole frames, since that is what a proxy can do to a stream and what a stream's user must survive. A cut may
fall within a frame, and either side may never hear of it (half-open). A partition either stops all bytes until it is
repaired, or lets them vanish.
"""

from collections.abc import Callable
from random import Random
from typing import Protocol

from agt.chaos.sim._clock import Clock

HELD_S = 0.05
"""How long a frame that is to be overtaken waits for the one that overtakes it."""
REFUSED_S = 0.2
"""How long a dial into a partition takes to fail."""


class Weather(Protocol):
    """What a network does to frames: chances, but for the times in seconds."""

    @property
    def latency_s(self) -> float: ...
    @property
    def jitter_s(self) -> float: ...
    @property
    def drop(self) -> float: ...
    @property
    def duplicate(self) -> float: ...
    @property
    def reorder(self) -> float: ...
    @property
    def damage(self) -> float: ...
    @property
    def cut(self) -> float: ...
    @property
    def half_open(self) -> float: ...
    @property
    def slice(self) -> float: ...


class End(Protocol):
    """Who sits at one end of a connection."""

    def on_data(self, connection: "Connection", data: bytes) -> None:
        """Take bytes."""
        ...

    def on_end(self, connection: "Connection") -> None:
        """Learn that the connection is over."""
        ...


class Lane:
    """One direction of one connection."""

    __slots__ = ("_clock", "_connection", "_held", "_last_arrival", "_network", "_rng", "_to")

    def __init__(self, network: "Network", connection: "Connection", to: int, rng: Random) -> None:
        self._network = network
        self._clock = network.clock
        self._connection = connection
        self._to = to
        self._rng = rng
        self._held: bytes | None = None
        self._last_arrival = 0.0

    def write(self, data: bytes) -> None:
        """Carry the frames of one turn, each to its own fate."""
        network = self._network
        if not network.faulty:
            self._flush_held()
            self._deliver(data)
            return
        if self._connection.severed == "vanish":
            return
        run: list[bytes] = []
        for frame in network.split(data):
            cut = self._strike(frame, run)
            if cut:
                self._deliver(b"".join(run))
                self._connection.cut("cut")
                return
        self._deliver(b"".join(run))

    def _strike(self, frame: bytes, run: list[bytes]) -> bool:
        """Append what becomes of a frame; true when the connection ends with it."""
        profile, rng = self._network.profile, self._rng
        fate = rng.random()
        held, self._held = self._held, None
        if fate < (bound := profile.drop):
            self._network.note("drop", frame)
        elif fate < (bound := bound + profile.duplicate):
            run += (frame, frame)
        elif fate < (bound := bound + profile.reorder) and held is None:
            self._held = frame
            self._clock.after(HELD_S, self._flush_held)
            return False
        elif fate < (bound := bound + profile.damage):
            position = rng.randrange(len(frame))
            run.append(frame[:position] + bytes((frame[position] ^ 1 << rng.randrange(8),)) + frame[position + 1 :])
        elif fate < bound + profile.cut:
            run.append(frame[: rng.randrange(len(frame) + 1)])
            return True
        else:
            run.append(frame)
        if held is not None:
            run.append(held)
        return False

    def _flush_held(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._deliver(held)

    def _deliver(self, data: bytes) -> None:
        if not data:
            return
        profile, rng = self._network.profile, self._rng
        arrival = self._clock.now + profile.latency_s
        if self._network.faulty:
            arrival += rng.random() * profile.jitter_s
        self._last_arrival = arrival = max(arrival, self._last_arrival)
        if len(data) > 1 and rng.random() < profile.slice:
            position = rng.randrange(1, len(data))
            self._clock.at(arrival, lambda: self._arrive(data[:position]))
            self._clock.at(arrival, lambda: self._arrive(data[position:]))
        else:
            self._clock.at(arrival, lambda: self._arrive(data))

    def _arrive(self, data: bytes) -> None:
        connection = self._connection
        if connection.severed == "stop":
            connection.stopped.append(lambda: self._arrive(data))
        elif connection.severed != "vanish":
            connection.hand(self._to, data)

    def end_after(self, callback: Callable[[], None]) -> None:
        """Call back once what is under way has arrived."""
        self._clock.at(max(self._clock.now + self._network.profile.latency_s, self._last_arrival), callback)


class Connection:
    """Two ends, two lanes; number 0 dialled, number 1 accepted."""

    __slots__ = ("_ends", "_lanes", "_network", "number", "severed", "stopped")

    def __init__(self, network: "Network", number: int, dialler: End, acceptor: End) -> None:
        self._network = network
        self.number = number
        self._ends: list[End | None] = [dialler, acceptor]
        self._lanes = [Lane(network, self, 1 - side, network.lane_rng()) for side in (0, 1)]
        self.severed = ""
        """How a partition treats it: `stop` or `vanish`; empty while there is none."""
        self.stopped: list[Callable[[], None]] = []
        """Arrivals that wait for the end of the partition."""

    @property
    def over(self) -> bool:
        """Whether no end is left."""
        return self._ends == [None, None]

    def alone(self, end: End) -> bool:
        """Whether nobody is at the other end, as a keepalive would find out."""
        return end in self._ends and self._ends[1 - self._ends.index(end)] is None

    def end_from_acceptor(self) -> None:
        """Close the accepting side, whoever sits there."""
        acceptor = self._ends[1]
        if acceptor is not None:
            self.close(acceptor)

    def send(self, end: End, data: bytes) -> None:
        """Write bytes towards the other end; into the void when this end has closed."""
        if end in self._ends:
            self._lanes[self._ends.index(end)].write(data)

    def hand(self, side: int, data: bytes) -> None:
        """Give bytes to one end, if it still listens."""
        end = self._ends[side]
        if end is not None:
            end.on_data(self, data)

    def replace(self, end: End, successor: End) -> None:
        """Let somebody else sit at an end."""
        self._ends[self._ends.index(end)] = successor

    def close(self, end: End, *, silent: bool = False) -> None:
        """Let one end go; the other hears of it behind the last bytes, unless it is lost on the way."""
        if end not in self._ends:
            return
        side = self._ends.index(end)
        self._ends[side] = None
        lost = silent or self.severed == "vanish"
        if not lost:
            self._lanes[side].end_after(lambda: self._tell(1 - side))

    def cut(self, why: str) -> None:
        """End the connection from outside; an end may never hear of it."""
        self._network.note(why, b"")
        for side in (0, 1):
            if self._network.faulty and self._network.rng.random() < self._network.profile.half_open:
                self._network.note(f"half-open for side {side}", b"")
                self.severed = "vanish"
            else:
                self._lanes[1 - side].end_after(lambda side=side: self._tell(side))  # type: ignore[misc]

    def _tell(self, side: int) -> None:
        if self.severed == "stop":
            self.stopped.append(lambda: self._tell(side))
            return
        end, self._ends[side] = self._ends[side], None
        if end is not None:
            end.on_end(self)


class Network:
    """All connections between the hosts of one world."""

    def __init__(
        self,
        clock: Clock,
        rng: Random,
        profile: Weather,
        *,
        split: Callable[[bytes], list[bytes]],
        note: Callable[[str, bytes], None],
    ) -> None:
        """Lay the cables.

        Args:
            clock: the world's clock.
            rng: the network's own generator.
            profile: rates of faults.
            split: cuts what a link wrote into frames.
            note: takes what happened, for the trace.
        """
        self.clock, self.rng, self.profile = clock, rng, profile
        self.split, self.note = split, note
        self.faulty = True
        """Whether faults happen; set to False to heal."""
        self._partition = ""
        self._connections: list[Connection] = []
        self._count = 0

    def lane_rng(self) -> Random:
        """Draw a generator for one lane, so that lanes don't disturb each other."""
        return Random(self.rng.getrandbits(64))

    def dial(self, dialler: End, listener: Callable[[], End | None], done: Callable[[Connection | None], None]) -> None:
        """Connect; `listener` is asked for the accepting end when the dial arrives, None means refused."""
        if self._partition:
            self.clock.after(REFUSED_S, lambda: done(None))
            return

        def arrive() -> None:
            acceptor = listener()
            if acceptor is None:
                done(None)
                return
            self._count += 1
            connection = Connection(self, self._count, dialler, acceptor)
            self._connections = [other for other in self._connections if not other.over]
            self._connections.append(connection)
            connection.severed = self._partition
            done(connection)

        self.clock.after(self.profile.latency_s, arrive)

    def partition(self, how: str = "") -> None:
        """Stop all traffic: bytes wait (`stop`) or vanish (`vanish`), as the generator chooses where nobody says."""
        if not self._partition:
            self._partition = how or self.rng.choice(("stop", "vanish"))
            self.note(f"partition ({self._partition})", b"")
            for connection in self._connections:
                connection.severed = connection.severed or self._partition

    def repair(self) -> None:
        """Let traffic flow again; what waited arrives now, what vanished has left a gap."""
        if not self._partition:
            return
        self._partition = ""
        self.note("repair", b"")
        for connection in self._connections:
            if connection.severed == "stop":
                connection.severed = ""
                stopped, connection.stopped = connection.stopped, []
                for arrival in stopped:
                    self.clock.at(self.clock.now, arrival)
