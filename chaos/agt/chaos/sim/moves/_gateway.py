"""The gateway of router worlds: the real router with its ledger, journal and selector file, killed and started again.

Each start is a new process with an empty memory over the same files. Whatever happens to a process goes through
`Process.run`: it does nothing once the process is dead, and it is where a death in the middle of a durable step ends.
After each turn the router's time is kept as `Router.run` keeps it.
"""

import math
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from agt.chaos.sim._network import Connection, End
from agt.chaos.sim.moves._files import Fate, Killed
from agt.chaos.sim.moves._paths import RouterPaths
from agt.chaos.sim.moves._session import SimulatedCarrier, SimulatedSession
from agt.router import Ledger, LedgerJournal, Message, Router, Runtimes, SelectorFile
from agt.router._selector_file import SelectorState
from agt.transport import Delivery, Link
from agt.transport.wires.cync import CyncConfig, CyncLink
from agt.transport.wires.lines import LinesConfig, LinesLink
from agt.transport.wires.native import Greeting, NativeAcceptor, NativeConfig, Refused

if TYPE_CHECKING:
    from agt.chaos.sim.moves._world import RouterWorld

RUNTIMES = Runtimes(control="legacy", candidate="reliable")
SELECTOR = Path("/run/selector.toml")
JOURNAL = Path("/run/ledger.jsonl")
JOURNAL_MAX_BYTES = 4000
"""Small, so that journals are made shorter now and then."""
GATHER_S = 0.02
"""How long answers to sources are gathered; the journal is written before they are told."""
LOOK_S = 0.5
"""How often a process looks at the selector."""
GRACE_S = 0.3
"""How long a selector may be absent without a kill; see `agt.router.watching`."""
NATIVE = NativeConfig(handshake_timeout_s=2.0, ping_interval_s=1.0, idle_timeout_s=3.0)
REPLY_TIMEOUT_S = 5.0
"""After which a written message counts as unanswered for good."""
GENERATIONS_PER_START = 1000
HELLO_S = 2.0
"""How long a legacy connection may last without saying who it is."""


class Gateway:
    """The machine that gateway processes run on."""

    def __init__(self, world: "RouterWorld") -> None:
        self.world = world
        self.starts = 0
        """Processes so far; the present one's number."""
        self.process: Process | None = None
        """The one that runs."""
        self.fate: Callable[[str], Fate] = lambda _: ""
        """Asked at each durable step of its processes."""

    def start(self) -> None:
        """Start the next process; it may die while it starts."""
        self.starts += 1
        self.world.trace(f"gateway {self.starts} starts")
        process = self.process = Process(self.world, self.starts)
        try:
            process.open()
        except Killed as killed:
            process.die(f"at: {killed}")

    def crash(self, why: str = "killed") -> None:
        """Kill the process that runs, if one does."""
        if self.process is not None:
            self.process.die(why)

    def listen_legacy(self) -> End | None:
        """Take a connection, if anyone is there to take it."""
        return self.process.lobby() if self.process is not None else None

    def called(self, connection: Connection) -> None:
        """Give a legacy caller so long to say who it is."""
        process = self.process

        def look() -> None:
            if process is not None and connection not in process.paths.known:
                connection.end_from_acceptor()

        self.world.clock.after(HELLO_S, look)

    def listen_native(self) -> End | None:
        """Take a connection of the native wire."""
        return self.process.greet() if self.process is not None else None

    def died(self, why: str) -> None:
        """Called by a process that has died: another one is started soon."""
        world = self.world
        world.trace(f"gateway {self.starts} dies, {why}")
        self.process = None
        world.gateway_died(self.starts)
        world.clock.after(world.restart_s(), self._start_again)

    def _start_again(self) -> None:
        if self.process is None:
            self.start()


class Process:
    """One incarnation."""

    def __init__(self, world: "RouterWorld", number: int) -> None:
        self.world, self.number = world, number
        self.mount = world.files.mount(self._fate)
        self.alive = True
        self._carriers: list[SimulatedCarrier] = []
        self._armed = math.inf
        self._tells: list[tuple[str, int, Delivery]] = []
        self._rng = Random(world.draw())

    def open(self) -> None:
        """Open the files and begin to serve."""
        world = self.world
        self.journal = LedgerJournal(JOURNAL, storage=self.mount, max_bytes=JOURNAL_MAX_BYTES)
        names = (RUNTIMES.control, RUNTIMES.candidate)
        self.ledger = Ledger(names, journal=self.journal)
        self.selector = SelectorFile(SELECTOR, storage=self.mount)
        self.router = Router(
            self.selector,
            runtimes=RUNTIMES,
            clock=lambda: world.clock.now,
            wall=lambda: world.clock.now,
            ledger=self.ledger,
            router=f"gateway-{self.number}",
        )
        self.paths = RouterPaths(self)
        self.acceptor = NativeAcceptor(
            "gateway", rng=self._rng, config=NATIVE, generation_floor=self.number * GENERATIONS_PER_START
        )
        self.native: dict[str, SimulatedSession] = {}
        world.book.gateway_started(self.number, self.ledger)
        world.clock.after(LOOK_S, lambda: self.run(self._watch))
        self._keep_time()

    # Life

    def _fate(self, step: str) -> Fate:
        return self.world.gateway.fate(step)

    def run(self, action: Callable[[], None]) -> None:
        """Do something on behalf of this process, unless it is dead; it may die of it."""
        if not self.alive:
            return
        try:
            action()
            if self.alive:
                self._keep_time()
        except Killed as killed:
            self.die(f"at: {killed}")

    def die(self, why: str) -> None:
        """Stop in mid-air: nothing is flushed, and the kernel ends the connections."""
        if not self.alive:
            return
        self.alive, self.mount.dead = False, True
        for carrier in self._carriers:
            carrier.die(silent=False)
        self.world.gateway.died(why)

    def _keep_time(self) -> None:
        now = self.world.clock.now
        written = not self.journal.pending or self.journal.broken
        due = max(now, self.router.next_deadline()) if written else now
        if due < self._armed:
            self._armed = due
            self.world.clock.at(due, lambda: self._tick(due))

    def _tick(self, due: float) -> None:
        if self._armed == due:
            self._armed = math.inf
            self.run(self.router.handle_timer)

    # The selector

    def _watch(self) -> None:
        reading = self.selector.read()
        missing = reading.state is SelectorState.MISSING and self.router.selector is not None
        if missing:
            self.world.clock.after(GRACE_S, lambda: self.run(self.look))
        else:
            self.router.observe(reading)
        self.paths.keep_redialling()
        self.world.clock.after(LOOK_S, lambda: self.run(self._watch))

    def look(self) -> None:
        """Look at the selector now."""
        self.router.observe(self.selector.read())

    # Sources

    def command(self, message: Message) -> None:
        """Take a command from a source."""
        delivery = self.router.send(message)
        delivery.add_done_callback(lambda one: self._settled(message.device, message.number, one))

    def _settled(self, device: str, number: int, delivery: Delivery) -> None:
        if not self._tells:
            self.world.clock.after(GATHER_S, lambda: self.run(self._tell))
        self._tells.append((device, number, delivery))

    def _tell(self) -> None:
        self.journal.flush()
        tells, self._tells = self._tells, []
        for device, number, delivery in tells:
            assert delivery.outcome is not None, "only settled handles call back"
            self.world.trace(f"told {device} #{number} {delivery.outcome} {delivery.runtime} {delivery.reason}")
            self.world.book.told(device, number, delivery, self.number)

    # Connections

    def lobby(self) -> "Lobby":
        """Return who takes a legacy connection."""
        return Lobby(self)

    def greet(self) -> "Greeter":
        """Return who takes a native connection."""
        return Greeter(self, self.acceptor.greeting(now=self.world.clock.now))

    def carried(self, carrier: SimulatedCarrier) -> None:
        """Remember a connection, so that it ends with the process."""
        self._carriers = [other for other in self._carriers if other.current]
        self._carriers.append(carrier)

    def legacy_link(self) -> Link:
        """Return a fresh link of the legacy wire."""
        if self.world.legacy_wire == "cync":
            return CyncLink("controller", CyncConfig(reply_timeout_s=REPLY_TIMEOUT_S))
        return LinesLink("controller", LinesConfig(reply_timeout_s=REPLY_TIMEOUT_S))

    def admit(self, connection: Connection, greeter: "Greeter", greeting: Greeting) -> None:
        """Put a native caller on the session that remembers it."""
        link = self.acceptor.admit(greeting)
        assert greeting.hello is not None, "admitted by its hello"
        name = greeting.hello.name
        session = self.native.get(name)
        if session is None:
            session = self.native[name] = self.paths.native_session(link, name)
        carrier = session.join(connection, first=greeting.data)
        connection.replace(greeter, carrier)
        self.carried(carrier)


class Lobby:
    """A legacy connection that has not said anything yet."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def on_data(self, connection: Connection, data: bytes) -> None:
        """Make a session for it."""
        self._process.run(lambda: self._admit(connection, data))

    def on_end(self, connection: Connection) -> None:
        """Forget who never said anything."""

    def _admit(self, connection: Connection, data: bytes) -> None:
        process = self._process
        session = process.paths.legacy_session(process.legacy_link(), connection)
        carrier = session.join(connection)
        carrier.on_over = lambda _: process.paths.legacy_went(session)
        connection.replace(self, carrier)
        process.carried(carrier)
        carrier.on_data(connection, data)


class Greeter:
    """A native connection that has not said who it is."""

    def __init__(self, process: Process, greeting: Greeting) -> None:
        self._process, self._greeting = process, greeting

    def on_data(self, connection: Connection, data: bytes) -> None:
        """Read the hello."""
        self._process.run(lambda: self._read(connection, data))

    def on_end(self, connection: Connection) -> None:
        """Forget who never said anything."""

    def _read(self, connection: Connection, data: bytes) -> None:
        try:
            if self._greeting.receive_data(data) is not None:
                self._process.admit(connection, self, self._greeting)
        except Refused as refused:
            connection.send(self, refused.reply)
            connection.close(self)
