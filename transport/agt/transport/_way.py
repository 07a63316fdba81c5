"""The way to a session's peer, as far as it can be measured: round trips, and how much it carries.

Whoever wants figures asks for them and comes back for the answers; nothing here waits. Round trips are those of the
wire's own pings and hellos where it has some; a wire without them has the system's (`KernelWay`), and its owner may
still have the round trips of acknowledgements, in which the peer's own work is counted too.
"""

from typing import TYPE_CHECKING, Any

from agt.transport._kernel_way import KernelWay, kernel_way
from agt.transport.wires.native import Probe, ProbeLimits

if TYPE_CHECKING:
    from agt.transport._session import Session


class Way:
    """What can be measured of the way to one session's peer."""

    __slots__ = ("_session",)

    def __init__(self, session: "Session") -> None:
        self._session = session

    @property
    def peer(self) -> str:
        """Whom it leads to."""
        return self._session.peer

    @property
    def connected(self) -> bool:
        """Whether messages flow."""
        return self._session.connected

    @property
    def progress(self) -> int:
        """Grows with every message that gets through in either direction."""
        return self._session.progress

    @property
    def round_trips(self) -> tuple[int, float] | None:
        """How many round trips the wire has measured, and the newest in seconds; None where the wire has no pings."""
        found: tuple[int, float] | None = getattr(self._session.link, "round_trips", None)
        return found

    def ask(self) -> bool:
        """Have the wire measure a round trip now; false where it can't."""
        ping: Any = getattr(self._session.link, "ping", None)
        if ping is None or not ping(now=self._session.now()):
            return False
        self._session.changed()
        return True

    def begin_probe(self, limits: ProbeLimits | None = None) -> bool:
        """Begin to find out how much the way carries; it gives way to any message.

        Returns:
            Whether it was begun: false while a message is on its way or an older probe goes on, and with a peer or a
            wire that knows no probes.
        """
        begin: Any = getattr(self._session.link, "begin_probe", None)
        if begin is None or not self.connected or not begin(limits, now=self._session.now()):
            return False
        self._session.changed()
        return True

    def probed(self) -> Probe | None:
        """Return what came of the newest probe; None while it goes on, or when there was none."""
        probed: Any = getattr(self._session.link, "probed", None)
        found: Probe | None = probed(now=self._session.now()) if probed is not None else None
        return found

    def kernel(self) -> KernelWay | None:
        """Return what the system knows of the connection; None without one, and where it isn't TCP."""
        connected = self._session.raw_socket
        return kernel_way(connected) if connected is not None else None
