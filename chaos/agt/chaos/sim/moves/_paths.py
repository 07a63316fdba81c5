"""How a gateway process ties sessions to its router: the adaptors that an embedding controller writes.

A cync device has one session both ways and moves in place. A lines device has one on its legacy socket, which goes
with its connection, and one on its native attachment, which outlives connections. What leaves for a device is noted
in the oracle's book, with whose way it was.
"""

from typing import TYPE_CHECKING

from agt.chaos.sim._network import Connection
from agt.chaos.sim.moves._session import SimulatedSession
from agt.chaos.sim.moves._wires import legacy_frames, number_of
from agt.router import LegacyPath, Path, ReliablePath
from agt.transport import Link, Session
from agt.transport.wires.native import FrameType
from agt.transport.wires.native._frames import decode_batch

if TYPE_CHECKING:
    from agt.chaos.sim.moves._gateway import Process


class RouterPaths:
    """The sessions of one process, and their paths."""

    def __init__(self, process: "Process") -> None:
        self._process, self._world = process, process.world
        self.known: set[Connection] = set()
        """Legacy connections that have said who they are."""
        self._legacy: dict[str, Session] = {}
        self._attached: dict[Session, dict[str, Path]] = {}

    def legacy_session(self, link: Link, connection: Connection) -> SimulatedSession:
        """Make the session of a legacy connection."""
        world = self._world
        made: list[SimulatedSession] = []

        def wrote(data: bytes) -> None:
            for frame in legacy_frames(world.legacy_wire, data)[0]:
                number = number_of(world.legacy_wire, frame)
                if number is not None:
                    self._wrote(made[0].peer, number, "legacy")

        session = SimulatedSession(world.clock, self._process.run, link, wrote=wrote)
        made.append(session)
        session.on_connection(self._legacy_came)
        session.on_connection(lambda _: self.known.add(connection))
        return session

    def native_session(self, link: Link, name: str) -> SimulatedSession:
        """Make the session of a native peer."""

        def wrote(data: bytes) -> None:
            for number in native_numbers(data):
                self._wrote(name, number, "native")

        session = SimulatedSession(self._world.clock, self._process.run, link, wrote=wrote, peer=name)
        session.on_connection(self._native_came)
        return session

    def legacy_went(self, session: SimulatedSession) -> None:
        """Take a session's paths away; a newer connection of the same device keeps its own."""
        if self._legacy.get(session.peer) is session:
            del self._legacy[session.peer]
        if paths := self._attached.pop(session, None):
            self._world.book.legacy_ended(session.peer, moving=self._leaving(session.peer))
            self._process.router.detach(session.peer, paths)
        session.close("its connection has ended")

    def keep_redialling(self) -> None:
        """Tell devices with one attachment at a time which one it is to be now."""
        if not self._world.profile.redial:
            return
        for line in self._process.router.devices():
            device = self._world.devices[line.device]
            vetoed = line.reason == "no candidate attachment"
            if vetoed or self._process.router.explain(line.device).runtime == "reliable":
                if line.runtime != "legacy" or line.in_flight == 0:
                    device.redial("native")
            elif line.state == "waiting":
                device.redial("legacy")

    def _leaving(self, device: str) -> bool:
        lines = [line for line in self._process.router.devices() if line.device == device]
        return any(line.runtime != line.target or line.reason == "no candidate attachment" for line in lines)

    def _legacy_came(self, session: Session) -> None:
        if not session.connected:
            return
        older = self._legacy.get(session.peer)
        self._legacy[session.peer] = session
        if older is not None:
            older.disconnect("the peer connected again")
        barrier = self._world.barrier_of("legacy", session.link.traits.barrier)
        paths: dict[str, Path] = {"legacy": LegacyPath(session, barrier=barrier, clock=self._now)}
        if self._world.legacy_wire == "cync":
            paths["reliable"] = ReliablePath(session, clock=self._now)
        self._attached[session] = paths
        self._process.router.attach(session.peer, paths)

    def _native_came(self, session: Session) -> None:
        if session.connected and session not in self._attached:
            barrier = self._world.barrier_of("native", session.link.traits.barrier)
            paths: dict[str, Path] = {"reliable": ReliablePath(session, barrier=barrier, clock=self._now)}
            self._attached[session] = paths
            self._process.router.attach(session.peer, paths)

    def _wrote(self, device: str, number: int, attachment: str) -> None:
        self._world.book.wrote(device, number, attachment, self._process.number, self._process.router)

    def _now(self) -> float:
        return self._world.clock.now


def native_numbers(data: bytes) -> list[int]:
    """Return the numbers of the commands in what a native link wrote."""
    numbers: list[int] = []
    for kind, payload in frames_of(data):
        payloads = decode_batch(payload)[0] if kind == FrameType.BATCH else [payload] if kind == FrameType.DATA else []
        numbers += [number for one in payloads if (number := number_of("lines", bytes(one))) is not None]
    return numbers


def frames_of(data: bytes) -> list[tuple[int, bytes]]:
    """Cut what a native link wrote into types and payloads."""
    frames: list[tuple[int, bytes]] = []
    position = 0
    while position < len(data):
        size = int.from_bytes(data[position : position + 4])
        frames.append((data[position + 8], data[position + 28 : position + 28 + size]))
        position += 28 + size
    return frames
