"""What the scenarios for drivers begin with: a device and a controller, an address, a port that nobody listens on."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from agt.transport import ReliableConfig, TCPConnection
from support.driver_harness import FAST, Dialled, Driver, Listening, Peer


def but(config: ReliableConfig = FAST, **changes: object) -> ReliableConfig:
    """Return the usual configuration with some settings changed."""
    return msgspec.structs.replace(config, **changes)


def towards(listening: Listening) -> TCPConnection:
    """Return the address of a listener."""
    return TCPConnection("127.0.0.1", listening.port)


def unused_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def talking(driver: Driver, config: ReliableConfig = FAST, **settings: object) -> Iterator[tuple[Dialled, Peer]]:
    """Connect a device to a controller, both on one driver."""
    with (
        driver.listen(config=config, **settings) as listening,
        driver.dial(towards(listening), config=config) as device,
    ):
        device.wait_connected()
        yield device, listening.peer("device")


def closed_by_peer(sock: socket.socket) -> bool:
    """Read to the end of what a peer has to say; true when it then closed the connection."""
    sock.settimeout(5)
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True
