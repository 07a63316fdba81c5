"""The driver for plain threads over real sockets: what is its own, beside what conformance asks of every driver."""

import threading
from collections.abc import Iterator

import pytest

from agt.transport import Outcome, TCPConnection
from agt.transport.blocking import BlockingListener, BlockingTransport


@pytest.fixture
def listener() -> Iterator[BlockingListener]:
    """Return a listener whose sessions queue what they receive."""
    with BlockingListener(name="controller") as listener:
        yield listener


def test_a_message_is_true_when_delivered_and_the_reply_comes_back(listener: BlockingListener) -> None:
    """Both directions of one connection are reliable, and the calling threads wait for the outcome."""

    def controller() -> None:
        message = listener.sessions["device"].receive(5)
        message.ack()
        assert listener.sessions["device"].send_reliable(b"ok " + message.payload)

    with BlockingTransport(TCPConnection("127.0.0.1", listener.port), name="device") as transport:
        assert transport.wait_connected(5)
        thread = threading.Thread(target=controller)
        thread.start()
        delivery = transport.send_reliable(b"set 1 5", deadline_s=5)
        assert (bool(delivery), delivery.outcome) == (True, Outcome.DELIVERED)
        reply = transport.recv_reliable(5)
        assert (reply.payload, reply.peer) == (b"ok set 1 5", "controller")
        reply.ack()
        thread.join(5)
