"""The proxy: a listening socket that relays each connection to a target, under rules that can change at any time.

It stands between real devices and a real controller. Faults are seeded: each connection draws from generators of
its own, one per direction, made from the proxy's seed, the peer's name and how often that peer has dialled, so that
a run can be repeated although connections come in any order.
"""

import math
import socket
from collections import Counter
from collections.abc import Iterable
from random import Random
from types import TracebackType
from typing import Self

import anyio
import anyio.abc

from agt.chaos.faults import Fault
from agt.chaos.proxy._connection import ProxiedConnection
from agt.chaos.proxy._framing import WireName
from agt.chaos.proxy._rules import Direction, Flow, Rule, Rules, Scope, everything
from agt.chaos.proxy._socket import BACKLOG, Address, RawSocket, deafened, dial, listen_on

CONNECTIONS_MAX = 20_000
"""Connections relayed at once; one more is refused."""


class FaultProxy:
    """A frame-aware relay on real sockets that does what its faults say.

    Use it as an async context manager; inside, `port` (or `path`) is where clients dial.
    """

    def __init__(
        self,
        target: Address,
        *,
        wire: WireName,
        rng: Random,
        faults: Iterable[Fault] = (),
        listen: Address = ("127.0.0.1", 0),
    ) -> None:
        """Relay to `target`; `faults` strike everything from the start.

        Args:
            target: Host and port, or the path of a Unix socket; may be changed for later connections.
            wire: What the bytes are, so that faults strike whole frames.
            rng: Seeds every connection's own generators.
            faults: Faults for all connections; `add` takes others with scope, probability and duration.
            listen: Where to listen; port 0 takes a free one.
        """
        self.target = target
        self.wire: WireName = wire
        self._listen = listen
        self._seed = rng.getrandbits(64)
        self._rules = Rules()
        for fault in faults:
            self._rules.add(Rule(fault))
        self._dialled: Counter[str] = Counter()
        self._connections: set[ProxiedConnection] = set()
        self._tasks: anyio.abc.TaskGroup | None = None
        self._socket: socket.socket | None = None
        self._down = False

    @property
    def port(self) -> int:
        """Where clients dial."""
        assert self._socket is not None, "enter the proxy first"
        return int(self._socket.getsockname()[1])

    @property
    def path(self) -> str:
        """The Unix socket where clients dial."""
        assert isinstance(self._listen, str), "this proxy listens on TCP"
        return self._listen

    @property
    def connections(self) -> int:
        """How many connections it relays now."""
        return len(self._connections)

    @property
    def struck(self) -> Counter[str]:
        """How many frames each kind of fault has struck."""
        return self._rules.struck

    def add(
        self, fault: Fault, scope: Scope = everything, *, probability: float = 1.0, for_s: float = math.inf
    ) -> Rule:
        """Put a fault in force and return its rule, for `remove`.

        Args:
            fault: What happens.
            scope: To which connections and directions; asked again for each frame.
            probability: To which share of the frames.
            for_s: For how many seconds.
        """
        rule = Rule(fault, scope, probability, anyio.current_time() + for_s)
        self._rules.add(rule)
        if for_s < math.inf:
            assert self._tasks is not None, "enter the proxy before adding a fault with a duration"
            self._tasks.start_soon(self._expire, rule)
        self.refresh()
        return rule

    def remove(self, rule: Rule) -> None:
        """Take one fault out of force."""
        self._rules.remove(rule)
        self.refresh()

    def clear(self) -> None:
        """Take all faults out of force; what a stall held goes on."""
        self._rules.clear()
        self.refresh()

    def refresh(self) -> None:
        """Ask the standing faults again about each connection; call it when what a scope looks at has changed."""
        for connection in list(self._connections):
            connection.refresh()
        self._open_or_close()

    async def __aenter__(self) -> Self:
        self._socket = listen_on(self._listen)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._accept, self._socket, self._tasks)
        self._open_or_close()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None
        assert self._socket is not None
        self._tasks.cancel_scope.cancel()
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        finally:
            self._socket.close()

    def _open_or_close(self) -> None:
        """Listen, unless a fault says that nobody is to be let in."""
        if self._tasks is None or self._socket is None:
            return
        standing = self._rules.standing(Flow(self.wire, "to_target"), Random(self._seed), anyio.current_time())
        if standing.refused == self._down:
            return
        self._down = standing.refused
        if self._down:
            self._socket = deafened(self._socket)
        else:
            self._socket.listen(BACKLOG)
            self._tasks.start_soon(self._accept, self._socket, self._tasks)

    async def _accept(self, listener: socket.socket, tasks: anyio.abc.TaskGroup) -> None:
        while listener is self._socket:
            try:
                await anyio.wait_readable(listener)
                sock, _ = listener.accept()
            except (OSError, anyio.ClosedResourceError):
                continue  # The client went away between the knock and the answer, or we did.
            tasks.start_soon(self._relay, RawSocket(sock))

    async def _relay(self, client: RawSocket) -> None:
        connection = ProxiedConnection(self.wire, self._rules, self._rng_for)
        connection.refresh()
        if connection.severed or len(self._connections) >= CONNECTIONS_MAX:
            client.reset()
            return
        try:
            target = await dial(self.target)
        except OSError:
            client.reset()
            return
        except BaseException:
            client.reset()
            raise
        self._connections.add(connection)
        try:
            await connection.run(client, target)
        finally:
            self._connections.discard(connection)

    async def _expire(self, rule: Rule) -> None:
        await anyio.sleep_until(rule.until)
        self.remove(rule)

    def _rng_for(self, peer: str, direction: Direction) -> Random:
        if direction == "to_target":
            self._dialled[peer] += 1
        return Random(f"{self._seed}/{peer}/{self._dialled[peer]}/{direction}")
