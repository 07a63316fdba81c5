"""The two kinds of host: a device that dials and dials again, and the gateway that it dials.

A host is a factory: each start is a new incarnation with fresh links and an empty memory, as a process is.
"""

from random import Random
from typing import TYPE_CHECKING

from agt.chaos.sim._network import Connection
from agt.chaos.sim._port import Port
from agt.transport.wires.native import Greeting, NativeAcceptor, NativeConfig, NativeLink, Refused
from agt.transport.wires.native._acceptor import Keeper

if TYPE_CHECKING:
    from agt.chaos.sim._world import World

REDIAL_S = 0.3
"""Longest pause before a device dials again, the first time; doubles as long as nobody answers."""
REDIAL_DOUBLINGS = 4
GENERATIONS_PER_START = 1000
"""How far apart the generations of two gateway incarnations begin; stands for the wall clock."""


def config_of(world: "World") -> NativeConfig:
    """Return the link configuration that the world's profile asks for; waits are short, so that runs are."""
    profile = world.profile
    return NativeConfig(
        max_retries=profile.max_retries,
        send_queue_max=profile.send_queue_max,
        recv_window=profile.window,
        recv_window_bytes=profile.window_bytes,
        channels=profile.channels,
        turn_bytes_max=profile.turn_bytes_max,
        max_senders=profile.max_senders,
        handshake_timeout_s=3.0,
        ping_interval_s=2.0,
        idle_timeout_s=6.0,
    )


class Host:
    """What the world can start and crash."""

    def __init__(self, world: "World", name: str) -> None:
        self._world = world
        self.name = name
        self._rng = Random(world.draw())
        self._starts = 0
        self.running = False
        """Whether an incarnation of it serves."""

    def start(self) -> str:
        """Start the next incarnation and return what it is called."""
        self._starts += 1
        self.running = True
        incarnation = f"{self.name}#{self._starts}"
        self._world.alive.add(incarnation)
        self._world.trace(f"{incarnation} starts")
        return incarnation

    def ports(self) -> list[Port]:
        """Return what it can send through now."""
        raise NotImplementedError

    def crash(self) -> None:
        """Lose everything in memory."""
        raise NotImplementedError

    @property
    def busy(self) -> bool:
        """Whether it has something to say to its peers, though no sender waits for it."""
        return False

    def heal(self) -> None:
        """Let nothing more go wrong within the host."""

    def _loses(self, port: Port) -> None:
        port.crash(silent=self._rng.random() < self._world.profile.half_open)
        self._world.alive.discard(port.incarnation)


class Device(Host):
    """Dials the gateway whenever it has no connection."""

    def __init__(self, world: "World", name: str, gateway: "Gateway") -> None:
        super().__init__(world, name)
        self._gateway = gateway
        self._port: Port | None = None
        self._zombies: list[Port] = []

    def start(self) -> str:
        """Start the next incarnation and let it dial."""
        incarnation = super().start()
        link = NativeLink(self.name, rng=self._rng, config=config_of(self._world))
        port = self._port = Port(self._world, link, incarnation, self._gateway.name, self._on_free)
        self._dial(port)
        return incarnation

    def ports(self) -> list[Port]:
        """Return the present incarnation's port, and those of processes that should be dead."""
        return [*self._zombies, *([self._port] if self._port else [])]

    def crash(self) -> None:
        """Die, or become a zombie: seem to be dead and run on."""
        port, self._port, self.running = self._port, None, False
        if port is None:
            return
        # One that never got a generation can't be told from a newcomer, so it makes no zombie.
        if port.opened and self._rng.random() < self._world.profile.zombie:
            self._world.trace(f"{port.incarnation} becomes a zombie")
            self._zombies.append(port)
            return
        self._world.trace(f"{port.incarnation} crashes")
        self._loses(port)

    def _on_free(self, port: Port, final: bool) -> None:  # noqa: FBT001  # The port's callback.
        if not final:
            port.failures = 0 if port.opened > port.opened_before else port.failures + 1
            port.opened_before = port.opened
            longest_s = REDIAL_S * 2 ** min(port.failures, REDIAL_DOUBLINGS)
            self._world.clock.after(self._rng.random() * longest_s, lambda: self._dial(port))
            return
        self._world.trace(f"{port.incarnation} is fenced")
        if port in self._zombies:
            self._zombies.remove(port)
            self._world.retired.append(port)
        else:
            self._world.fenced.append(port.incarnation)

    def _dial(self, port: Port) -> None:
        def dialled(connection: Connection | None) -> None:
            if connection is None:
                self._on_free(port, False)  # noqa: FBT003  # A callback's one flag.
            elif port.alive:
                port.attach(connection)
            else:
                connection.close(port)

        if port.alive:
            self._world.network.dial(port, self._gateway.listen, dialled)


class Lobby:
    """A raw connection at the gateway until it has said who it is."""

    def __init__(self, gateway: "Gateway", greeting: Greeting) -> None:
        self._gateway = gateway
        self._greeting = greeting

    def on_data(self, connection: Connection, data: bytes) -> None:
        """Read the hello."""
        try:
            if self._greeting.receive_data(data) is not None:
                self._gateway.admit(connection, self, self._greeting)
        except Refused as refused:
            connection.send(self, refused.reply)
            connection.close(self)

    def on_end(self, connection: Connection) -> None:
        """Forget who never said anything."""


class Gateway(Host):
    """Accepts devices; one port for each name it remembers."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self._incarnation = ""
        self._acceptor: NativeAcceptor | None = None
        self._ports: dict[str, Port] = {}
        self._made = 0

    def start(self) -> str:
        """Start the next incarnation, which remembers nobody."""
        self._incarnation = super().start()
        self._acceptor = NativeAcceptor(
            self.name,
            rng=self._rng,
            config=config_of(self._world),
            generation_floor=self._starts * GENERATIONS_PER_START,
            keeper=self._keeper(),
        )
        return self._incarnation

    def ports(self) -> list[Port]:
        """Return the ports of everyone it remembers."""
        return list(self._ports.values())

    def crash(self) -> None:
        """Lose everything in memory."""
        if self.running:
            self.running, self._acceptor = False, None
            self._world.trace(f"{self._incarnation} crashes")
            for port in self._ports.values():
                self._loses(port)
            self._world.alive.discard(self._incarnation)
            self._ports = {}

    def listen(self) -> Lobby | None:
        """Take a connection, if anyone is there to take it."""
        if self._acceptor is None:
            return None
        return Lobby(self, self._acceptor.greeting(now=self._world.clock.now))

    def admit(self, connection: Connection, lobby: Lobby, greeting: Greeting) -> None:
        """Move a connection from the lobby to the port of who is calling."""
        if self._acceptor is None:
            connection.close(lobby)
            return
        refusal = self._refusal()
        if refusal is not None:
            raise refusal
        link = self._acceptor.admit(greeting)
        assert greeting.hello is not None, "admitted by its hello"
        name = greeting.hello.name
        port = self._ports.get(name)
        if port is None or port.link is not link:
            if port is not None:
                self._world.retired.append(port)
            port = self._ports[name] = self._make_port(link, name)
        connection.replace(lobby, port)
        port.attach(connection, greeting.data)

    def _make_port(self, link: NativeLink, name: str) -> Port:
        """Make the port of a link; whoever was forgotten meets an outbox that begins anew, so it is named anew."""
        self._made += 1
        incarnation = f"{self._incarnation}.{self._made}"
        self._world.alive.add(incarnation)
        return self._new_port(link, incarnation, name)

    # What a gateway with a disk does otherwise

    def _keeper(self) -> Keeper | None:
        return None

    def _refusal(self) -> Refused | None:
        return None

    def _new_port(self, link: NativeLink, incarnation: str, name: str) -> Port:
        return Port(self._world, link, incarnation, name, lambda _port, _final: None)
