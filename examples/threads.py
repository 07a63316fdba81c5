"""Plain threads, no event loop: a controller that waits for each outcome, and devices that take commands one by one.

    python examples/threads.py              serve: prints its port, takes `DEVICE VALUE` lines, says how each ended
    python examples/threads.py NAME PORT    be a device

A command counts as delivered when the device has called `ack()`, here after it was carried out.
"""

import sys
import threading

from agt.transport import Closed, TCPConnection
from agt.transport.blocking import BlockingListener, BlockingSession, BlockingTransport


def say(*words: object) -> None:
    """Print for whoever reads along."""
    print(*words, flush=True)  # noqa: T201 - an example talks to its terminal


def send(session: BlockingSession, value: str) -> None:
    """Send one command and wait for its end; runs in a thread of its own, so that no device holds up another."""
    delivery = session.send_reliable(value.encode(), deadline_s=10)
    say(session.peer, value, delivery.outcome, delivery.reason)


def serve() -> None:
    """Send what standard input says, until it ends."""
    with BlockingListener(name="controller", on_peer=lambda session: say(session.peer, "is here")) as listener:
        say("port", listener.port)
        for line in sys.stdin:
            device, value = line.split()
            session = listener.sessions.get(device)
            if session is None:
                say(device, value, "not_delivered", "it has never called")
            else:
                threading.Thread(target=send, args=(session, value)).start()


def be_device(name: str, port: int) -> None:
    """Carry out what comes, for good; the connection is made again whenever it is lost."""
    with BlockingTransport(TCPConnection("127.0.0.1", port), name=name) as transport:
        try:
            while True:
                message = transport.recv_reliable()
                say(name, message.payload.decode())
                message.ack()
        except Closed as closed:
            say(name, "stops:", closed)


if __name__ == "__main__":
    be_device(sys.argv[1], int(sys.argv[2])) if sys.argv[1:] else serve()
