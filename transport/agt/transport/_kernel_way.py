"""What the system's own TCP knows of the way to a peer: Linux's TCP_INFO, for wires that measure nothing themselves.

Its round trip begins with the handshake and goes on with every segment. It is that of one TCP connection: where a proxy
stands between, that of the way to the proxy.
"""

import socket
import struct
from typing import Final, NamedTuple

_SIZE: Final = 256
_RTT_AT: Final = 68
_BYTES_AT: Final = 120
_RATE_AT: Final = 160
"""Where the fields stand in `struct tcp_info` (linux/tcp.h), which only ever grows at its end."""
_FLAGS_AT: Final = 7
_APP_LIMITED: Final = 1


class KernelWay(NamedTuple):
    """One look at a TCP connection."""

    round_trip_s: float
    """Smoothed, from the handshake on."""
    acked_bytes: int
    """Bytes that the other end's system has acknowledged, since the connection began."""
    received_bytes: int
    """Bytes that came, since the connection began."""
    bits_per_s: float
    """How fast the newest bytes went; 0.0 when there were none."""
    limited: bool
    """Whether that was as fast as there were bytes to send, and not as fast as the way is."""


def kernel_way(connected: socket.socket) -> KernelWay | None:
    """Ask the system about a connected socket; None where it isn't TCP, or the system has nothing to say."""
    if connected.family not in (socket.AF_INET, socket.AF_INET6) or not hasattr(socket, "TCP_INFO"):
        return None
    try:
        info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    except OSError:  # Closed meanwhile.
        return None
    if len(info) < _RATE_AT + 8:
        return None
    (round_trip_us,) = struct.unpack_from("=I", info, _RTT_AT)
    acked, received = struct.unpack_from("=QQ", info, _BYTES_AT)
    (rate,) = struct.unpack_from("=Q", info, _RATE_AT)
    return KernelWay(round_trip_us / 1e6, acked, received, rate * 8.0, bool(info[_FLAGS_AT] & _APP_LIMITED))
