"""One port for every wire: each caller is served by the listener of the wire that its first bytes speak.

The bytes are peeked at in the socket (MSG_PEEK), so that whoever serves the caller reads them from the start, by
whichever way is fast. A caller that says nothing within the sniff timeout, or what no wire begins with, gets the
default wire, since some legacy wires speak second; without a default it is closed. TLS that nobody here speaks is
answered with an alert, so that the other side's user reads "handshake failure" and not "connection reset".
"""

import socket
from collections.abc import Iterable, Mapping

import anyio
from anyio.abc import ByteStream

from agt.transport._accepting import Listener
from agt.transport._errors import UsageError
from agt.transport._pacing import ConnectBudget
from agt.transport._session import Session
from agt.transport._sniffing import RECOGNISERS, SNIFF_LIMIT, TLS_REFUSAL, Recogniser, Sniffer
from agt.transport.trust import AdmissionLimits, Caller, Door, Refusal

FIRST_LOOK_S = 0.002
"""How long to wait for the rest of a beginning that came in pieces; doubles up to `LAST_LOOK_S`."""
LAST_LOOK_S = 0.1
TLS = "tls"
SILENT, UNKNOWN = "silent", "unrecognised"
"""What callers are called that say nothing in time, or nothing known."""


class SniffingListener(Listener):
    """Accepts callers of several wires on one TCP or Unix socket."""

    def __init__(
        self,
        wires: Mapping[str, Listener],
        *,
        default: str | None = None,
        recognisers: Mapping[str, Recogniser] | None = None,
        sniff_timeout_s: float = 1.0,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str | None = None,
        max_connections: int = 10_000,
        connect_budget: ConnectBudget | None = None,
        hello_timeout_s: float = 5.0,
        limits: AdmissionLimits | None = None,
    ) -> None:
        """Remember who serves which wire.

        Args:
            wires: by name, the listener that serves each wire; made as for a port of its own and never entered
                itself. Known names are `native`, `cync`, `lines` and `tls` (a listener that does the handshake).
            default: the wire of callers that say nothing in time, or nothing known; None closes them.
            recognisers: how to recognise wires of other names (`begins_with(magic)`), or known ones differently.
            sniff_timeout_s: how long a caller may take to say enough.
            host: TCP address to listen on.
            port: TCP port; 0 lets the system choose, see `port`.
            path: a Unix socket instead of TCP, mode 0600.
            max_connections: connections at once, over all wires; one more is closed at once.
            connect_budget: how fast callers are taken in, over all wires.
            hello_timeout_s: how long a connection may last without saying who it is, sniffing included.
            limits: how many connections may be on their way in, over all wires.

        Raises:
            UsageError: when a wire can't be recognised, or the default is none of them.
        """
        super().__init__(
            host=host,
            port=port,
            path=path,
            max_connections=max_connections,
            connect_budget=connect_budget,
            door=Door(hello_timeout_s=hello_timeout_s, limits=limits),
        )
        known = {**RECOGNISERS, **(recognisers or {})}
        unknown = sorted(set(wires) - set(known))
        if unknown or not wires:
            raise UsageError(
                f"a sniffing listener can't recognise {', '.join(unknown) or 'no wire at all'}; "
                f"it knows {', '.join(known)}, and others by `recognisers`"
            )
        if default is not None and default not in wires:
            raise UsageError(f"the default wire {default!r} is none of {', '.join(wires)}")
        self._wires = dict(wires)
        self._default = default
        self._sniff_timeout_s = sniff_timeout_s
        self._sniffer = Sniffer({name: known[name] for name in (*wires, TLS)})
        self.callers = dict.fromkeys((*wires, SILENT, UNKNOWN, "refused"), 0)
        """Callers by the wire that they began with, and those of them that nobody served."""

    async def __aenter__(self) -> "SniffingListener":
        """Listen, and have every wire's listener serve what comes here.

        Raises:
            ConnectionUnavailable: when the address is in use or can't be had.
        """
        await super().__aenter__()
        for listener in self._wires.values():
            listener.serve_for(self)
        return self

    async def prepare(self) -> None:
        """Open what the wires' listeners need."""
        for listener in self._wires.values():
            await listener.prepare()

    async def tend(self) -> None:
        """Do for the wires' listeners what has to be done beside the connections."""
        async with anyio.create_task_group() as tasks:
            for listener in self._wires.values():
                tasks.start_soon(listener.tend)

    async def put_away(self) -> None:
        """Close what the wires' listeners opened."""
        for listener in self._wires.values():
            await listener.put_away()

    async def _server_for(self, sock: socket.socket, caller: Caller) -> Listener | None:
        wire = await self._sniff(sock)
        if wire is None:
            return None  # It hung up without a word.
        if wire == TLS and wire not in self._wires:
            self.callers["refused"] += 1
            self.door.refuse(Refusal.TLS, caller, f"it speaks TLS, and {self.address} has no `tls` wire")
            sock.send(TLS_REFUSAL)
            return None
        self.callers[wire] += 1
        server = self._wires.get(wire if wire in self._wires else self._default or "")
        if server is None:
            self.callers["refused"] += 1
            reason = Refusal.SILENT if wire == SILENT else Refusal.SENSELESS
            self.door.refuse(reason, caller, f"it is {wire}, and {self.address} has no default wire")
        return server

    async def _sniff(self, sock: socket.socket) -> str | None:
        """Return the wire, or `silent` or `unrecognised`; None when the caller is gone."""
        pause_s, seen = FIRST_LOOK_S, 0
        with anyio.move_on_after(self._sniff_timeout_s):
            while True:
                await anyio.wait_readable(sock)
                head = sock.recv(SNIFF_LIMIT, socket.MSG_PEEK)
                if not head:
                    return None
                verdict = self._sniffer.verdict(head) if len(head) > seen else None
                if verdict is not None:
                    return verdict or UNKNOWN
                seen = len(head)
                await anyio.sleep(pause_s)  # What was peeked at stays readable, so there is nothing to wait for.
                pause_s = min(2 * pause_s, LAST_LOOK_S)
        return SILENT

    async def serve(self, stream: ByteStream, caller: Caller) -> None:  # noqa: ARG002 - refused, whoever it is
        """Refuse: whom this listener serves is decided at the socket.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{self.address} sniffs at sockets that it accepted itself; give streams to a wire's listener")

    def live(self) -> Iterable[Session]:
        """Return the sessions of every wire."""
        return [session for listener in self._wires.values() for session in listener.live()]

    def closing(self) -> None:
        """End the sessions of every wire."""
        for listener in self._wires.values():
            listener.closing()
