"""Peers of other versions, built from raw bytes: what both understand works, the rest is refused in words."""

import zlib
from random import Random

import msgspec
import pytest

from agt.transport import Delivered, Dropped, Opened, Received
from agt.transport.wires.native import NativeLink, Role

HELLO, WELCOME, DATA, ACK, GO_AWAY = 1, 2, 3, 4, 8


def frame(kind: int, body: bytes, *, sequence: int = 0, ack: int = 0, channel: int = 0) -> bytes:
    """A frame as the specification writes it, by nobody's code but the test's."""
    tail = bytes((kind, 0)) + channel.to_bytes(2) + sequence.to_bytes(8) + ack.to_bytes(8)
    length = len(body)
    return length.to_bytes(4) + zlib.crc32(tail + body, length).to_bytes(4) + tail + body


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Types and bodies of what a link wrote."""
    found = []
    while data:
        end = 28 + int.from_bytes(data[:4])
        found.append((data[8], data[28:end]))
        data = data[end:]
    return found


def hello(versions: tuple[int, int], *more: object, features: int = 0) -> bytes:
    """The hello of a dialling peer, with fields of its own behind."""
    return frame(HELLO, msgspec.msgpack.encode([*versions, features, "peer", 7, 0, [0], 9, 0, [0], 16, *more]))


def welcome(version: int, *more: object) -> bytes:
    """The welcome of an accepting peer, with fields of its own behind."""
    return frame(WELCOME, msgspec.msgpack.encode([version, 0, "peer", 8, 1, [0], 10, [0], 16, *more]))


def accepting() -> NativeLink:
    """A link that has accepted a connection."""
    link = NativeLink("gateway", rng=Random(1), role=Role.ACCEPTING)
    link.connection_made(now=0.0)
    return link


def events(link: NativeLink) -> list[object]:
    """Everything that a link has to tell."""
    found = []
    while (event := link.next_event()) is not None:
        found.append(event)
    return found


@pytest.mark.parametrize(
    "greeting",
    [
        hello((1, 1)),
        hello((1, 1), 1 << 20, 4096, 3),
        hello((1, 3), 1 << 20, 1 << 20, 2, {"unknown": [1, 2]}, b"more"),
        hello((1, 1), features=0b1101),
    ],
    ids=["older, with fewer fields", "like us", "newer, with more fields", "newer, with features"],
)
def test_a_dialling_peer_that_speaks_version_1_too_is_welcomed_in_it(greeting: bytes) -> None:
    """Messages flow both ways; features that we don't have are answered with none."""
    link = accepting()
    message = link.send(b"down", now=0.0, deadline=30.0)
    link.receive_data(greeting, now=0.0)
    assert events(link) == [Opened("peer", resumed=False)]
    written = frames(link.data_to_send(now=0.0))
    assert [kind for kind, _ in written] == [WELCOME, ACK, DATA]
    version, features, name = msgspec.msgpack.decode(written[0][1])[:3]
    assert (version, features, name) == (1, 0, "gateway")
    link.receive_data(frame(DATA, b"up", sequence=1, ack=1), now=0.1)
    delivered, received = events(link)
    assert isinstance(delivered, Delivered)
    assert delivered.messages == [message]
    assert isinstance(received, Received)
    assert (received.payloads, received.epoch) == ([b"up"], 7)


@pytest.mark.parametrize("versions", [(2, 3), (9, 9)])
def test_a_dialling_peer_without_a_version_of_ours_is_refused_in_words(versions: tuple[int, int]) -> None:
    """It hears both ranges, and that dialling again changes nothing."""
    link = accepting()
    link.receive_data(hello(versions), now=0.0)
    ((kind, body),) = frames(link.data_to_send(now=0.0))
    code, text = msgspec.msgpack.decode(body)[:2]
    assert (kind, code) == (GO_AWAY, 4)
    assert text == f"we speak versions 1 to 1, not {versions[0]} to {versions[1]}"
    assert [type(event) for event in events(link)] == [Dropped]


@pytest.mark.parametrize(
    ("answer", "works"),
    [(welcome(1), True), (welcome(1, 0, 1 << 20, 1 << 20, 4, "more"), True), (welcome(2), False), (welcome(0), False)],
    ids=["older, with fewer fields", "newer, with more fields", "a version that we didn't offer", "no version"],
)
def test_an_accepting_peer_is_held_to_what_we_offered(answer: bytes, works: bool) -> None:  # Parametrised.
    """In version 1 messages flow, whatever it appends; in another the connection ends, by the peer's fault."""
    link = NativeLink("device", rng=Random(1))
    link.connection_made(now=0.0)
    offered = msgspec.msgpack.decode(frames(link.data_to_send(now=0.0))[0][1])
    assert offered[:2] == [1, 1]
    link.send(b"up", now=0.0, deadline=30.0)
    link.receive_data(answer, now=0.0)
    (event,) = events(link)
    if works:
        assert event == Opened("peer", resumed=False)
        assert (DATA, b"up") in frames(link.data_to_send(now=0.0))
    else:
        assert isinstance(event, Dropped)
        assert event.culprit == "peer"


def test_a_final_refusal_is_believed() -> None:
    """A newer peer that speaks nothing of ours: the sender is told at once, and nobody dials on."""
    link = NativeLink("device", rng=Random(1))
    link.connection_made(now=0.0)
    link.send(b"up", now=0.0, deadline=30.0)
    link.receive_data(frame(GO_AWAY, msgspec.msgpack.encode([4, "we speak versions 2 to 3, not 1 to 1"])), now=0.0)
    settled, dropped = events(link)
    assert isinstance(dropped, Dropped)
    assert dropped.final
    assert "versions 2 to 3, not 1 to 1" in dropped.reason
    assert getattr(settled, "reason", "") == dropped.reason
