"""The fast driver, callback by callback: a scripted transport instead of a socket, and a clock that stands still."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from agt.transport import Delivery, Dropped, Outcome, ReceivedMessage, Session
from agt.transport._carrying import CLOSED_BY_PEER, SUPERSEDED
from agt.transport._fast_carrier import FastCarrier
from agt.transport._fast_stream import FastStream
from agt.transport._loop_timers import LoopTimers
from agt.transport.testing import PlainLink
from support.scripted_transport import ScriptedTransport


@pytest.fixture
def anyio_backend() -> str:
    """The fast driver is asyncio's."""
    return "asyncio"


class Scene:
    """A session on a scripted connection, and the link of a peer that the test plays."""

    def __init__(self, session: Session, transport: ScriptedTransport) -> None:
        self.session, self.transport = session, transport
        self.peer = PlainLink("far")
        self.running: asyncio.Task[Dropped] | None = None

    @property
    def carrier(self) -> FastCarrier:
        """The carrier, which the transport talks to since it was handed over."""
        assert isinstance(self.transport.protocol, FastCarrier)
        return self.transport.protocol

    def say(self) -> None:
        """Bring what the peer has to say."""
        self.transport.bring(self.peer.data_to_send(now=0))

    def hear(self) -> list[bytes]:
        """Give the peer what was written, and return the messages in it, acknowledged but not yet said so."""
        self.peer.receive_data(self.transport.written, now=0)
        messages = []
        while (event := self.peer.next_event()) is not None:
            if type(event).__name__ == "Received":
                messages += event.payloads
                self.peer.acknowledge(event.token, now=0, count=len(event.payloads))
        return messages

    async def ended(self) -> Dropped:
        """Wait for the end of `run`."""
        assert self.running is not None
        return await asyncio.wait_for(self.running, 5)


async def turn() -> None:
    """Let the loop go round once."""
    await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def carried(session: Session | None = None, room: float = float("inf")) -> AsyncIterator[Scene]:
    """Run a session on a scripted connection whose hello has been exchanged."""
    scene = Scene(session or Session(PlainLink("near")), ScriptedTransport())
    stream = FastStream()
    scene.transport.protocol = stream
    stream.connection_made(scene.transport)
    scene.running = asyncio.ensure_future(scene.session.run(stream))
    while not isinstance(scene.transport.protocol, FastCarrier):
        await turn()
    scene.peer.connection_made(now=0)
    scene.hear()
    scene.say()
    assert scene.session.connected
    scene.transport.room = room
    try:
        yield scene
    finally:
        scene.running.cancel()
        await asyncio.gather(scene.running, return_exceptions=True)


async def test_a_lone_message_leaves_at_once_and_the_next_ones_together() -> None:
    """A round trip waits for no turn of the loop; a burst costs one write."""
    async with carried() as scene:
        scene.session.send_nowait(b"lone")
        assert len(scene.transport.writes) == 1
        for number in range(20):
            scene.session.send_nowait(b"%d" % number)
        assert len(scene.transport.writes) == 1
        await turn()
        assert len(scene.transport.writes) == 2
        assert scene.hear() == [b"lone", *(b"%d" % number for number in range(20))]


async def test_after_a_burst_everything_waits_for_the_turn_until_one_comes_alone_again() -> None:
    """Whoever sends many at a time shall not have the first of each burst torn off."""
    async with carried() as scene:
        for size in (5, 5, 1, 1):
            deliveries = [scene.session.send_nowait(b"x") for _ in range(size)]
            await turn()
            scene.hear()
            scene.say()
            assert all(delivery.done for delivery in deliveries)
        before = len(scene.transport.writes)
        scene.session.send_nowait(b"alone")
        assert len(scene.transport.writes) == before + 1


async def test_a_pause_in_the_middle_of_a_batch_stops_asking_the_link_until_the_socket_takes_more() -> None:
    """What the socket can't take stays in the link, where it is counted, bounded and can still be cancelled."""
    link = PlainLink("near", window=1000, send_queue_max=1000)
    async with carried(Session(link), room=10) as scene:
        first = scene.session.send_nowait(b"first")
        later = [scene.session.send_nowait(b"%d" % number) for number in range(50)]
        await turn()
        assert (len(scene.transport.writes), link.queued) == (1, 50)
        scene.transport.drain(room=10)
        assert (len(scene.transport.writes), link.queued) == (2, 0)
        late = scene.session.send_nowait(b"late")
        await turn()
        assert link.queued == 1
        scene.transport.drain()
        assert scene.hear() == [b"first", *(b"%d" % number for number in range(50)), b"late"]
        scene.say()
        assert all([first, *later, late])


async def test_flushing_waits_for_the_socket_and_not_only_for_the_link() -> None:
    """`flush` means handed to the system."""
    async with carried(room=3) as scene:
        scene.session.send_nowait(b"more than three")
        flushed = asyncio.ensure_future(scene.session.flush())
        await turn()
        await turn()
        assert not flushed.done()
        scene.transport.drain()
        await asyncio.wait_for(flushed, 5)


async def test_what_callbacks_send_leaves_with_the_answer_to_what_they_were_called_for() -> None:
    """One receive, one write: acknowledgements and whatever the handler said."""
    handed: list[bytes] = []

    def on_message(message: ReceivedMessage) -> None:
        handed.append(message.payload)
        session.send_nowait(b"answer to " + message.payload)

    session = Session(PlainLink("near"), on_message=on_message)
    async with carried(session) as scene:
        for number in range(3):
            scene.peer.send(b"%d" % number, now=0, deadline=30)
        scene.say()
        assert len(scene.transport.writes) == 1
        assert scene.hear() == [b"answer to 0", b"answer to 1", b"answer to 2"]
        assert (handed, scene.peer.in_flight) == ([b"0", b"1", b"2"], 0)


async def test_a_done_callback_may_send_again_and_again() -> None:
    """Each answer brings the next message, without a turn of the loop between."""
    sent: list[Delivery] = []

    def again(_: Delivery) -> None:
        if len(sent) < 5:
            sent.append(session.send_nowait(b"%d" % len(sent)))
            sent[-1].add_done_callback(again)

    session = Session(PlainLink("near"))
    async with carried(session) as scene:
        sent.append(session.send_nowait(b"0"))
        sent[-1].add_done_callback(again)
        for number in range(5):
            assert scene.hear() == [b"%d" % number]
            scene.say()
        assert all(sent)


async def test_the_end_of_the_peers_half_ends_the_connection() -> None:
    """Half a connection is none; what was not answered waits for the next one."""
    async with carried() as scene:
        delivery = scene.session.send_nowait(b"unanswered")
        assert not scene.carrier.eof_received()  # So the transport closes, as asyncio does then:
        scene.carrier.connection_lost(None)
        assert await scene.ended() is CLOSED_BY_PEER
        assert not delivery.done
        assert (scene.session.in_flight, scene.session.connected) == (1, False)


async def test_a_connection_lost_with_data_left_loses_no_message() -> None:
    """What was stuck in front of the socket is sent again on the next connection, with what was still queued."""
    session = Session(PlainLink("near"))
    async with carried(session, room=5) as scene:
        deliveries = [session.send_nowait(b"first"), session.send_nowait(b"second")]
        scene.carrier.connection_lost(ConnectionResetError())
        third = session.send_nowait(b"third")  # Before anybody has noticed: it goes nowhere, and isn't lost.
        await scene.ended()
    async with carried(session) as scene:
        assert scene.hear() == [b"first", b"second", b"third"]
        scene.say()
        assert [delivery.outcome for delivery in (*deliveries, third)] == [Outcome.DELIVERED] * 3


async def test_a_newer_connection_takes_the_link_away_at_once() -> None:
    """What still comes on the older one is for nobody, and nothing more is written there."""
    async with carried() as older:
        older.peer.send(b"too late", now=0, deadline=30)
        words = older.peer.data_to_send(now=0)
        async with carried(older.session) as newer:
            older_carrier = older.carrier
            older_carrier.get_buffer(-1)[: len(words)] = words
            older_carrier.buffer_updated(len(words))
            assert await older.ended() is SUPERSEDED
            assert (older.session.waiting, older.transport.ended) == (0, "abort")
            delivery = older.session.send_nowait(b"here")
            assert newer.hear() == [b"here"]
            newer.say()
            assert delivery


async def test_reading_pauses_while_the_application_is_behind() -> None:
    """The peer is slowed by its own socket; taking messages lets it go on."""
    session = Session(PlainLink("near"), recv_queue_max=3)
    async with carried(session) as scene:
        for number in range(5):
            scene.peer.send(b"%d" % number, now=0, deadline=30)
        scene.say()
        assert (session.waiting, scene.transport.reading) == (5, False)
        await session.receive()
        assert not scene.transport.reading
        await session.receive_batch()
        assert scene.transport.reading


async def test_last_words_leave_before_the_connection_is_closed() -> None:
    """And what the peer says meanwhile is for nobody."""
    async with carried(room=2) as scene:
        scene.session.send_nowait(b"last words")
        scene.session.disconnect("enough")
        await turn()
        assert scene.transport.ended == ""
        scene.peer.send(b"too late", now=0, deadline=30)
        scene.say()
        assert scene.session.waiting == 0
        scene.transport.drain()
        assert scene.transport.ended == "close"
        assert (await scene.ended()).reason == "enough"


async def test_nonsense_ends_the_connection_as_the_peers_fault() -> None:
    """A violation is answered by closing, never raised at the loop."""
    async with carried() as scene:
        scene.transport.bring(b"\xff" * 64)
        assert (await scene.ended()).culprit == "peer"


async def test_a_callback_that_raises_ends_run_with_its_error() -> None:
    """A bug of the application is raised where it can be seen, not swallowed by the loop."""

    def broken(_: Delivery) -> None:
        raise RuntimeError("a bug")

    async with carried(Session(PlainLink("near"), timers=LoopTimers())) as scene:
        scene.session.send_nowait(b"x").add_done_callback(broken)
        scene.hear()
        scene.say()
        with pytest.raises(RuntimeError, match="a bug"):
            await scene.ended()
        assert scene.transport.ended == "abort"


async def test_the_link_is_told_the_time_of_the_clock_that_was_given() -> None:
    """No callback looks at a clock of its own."""
    times: list[float] = []

    class TimedLink(PlainLink):
        def receive_data(self, data: bytes, *, now: float) -> None:
            times.append(now)
            super().receive_data(data, now=now)

        def data_to_send(self, *, now: float) -> bytes:
            times.append(now)
            return super().data_to_send(now=now)

    link, transport, stream = TimedLink("near"), ScriptedTransport(), FastStream()
    transport.protocol = stream
    stream.connection_made(transport)
    link.connection_made(now=0)
    carrier = FastCarrier(Session(link), link, stream, lambda: 4711.0)
    running = asyncio.ensure_future(carrier.run())
    await turn()
    peer = PlainLink("far")
    peer.connection_made(now=0)
    transport.bring(peer.data_to_send(now=0))
    carrier.supersede()
    await running
    assert set(times) == {4711.0}


async def test_what_came_before_the_hand_over_is_handed_over() -> None:
    """A peer that speaks while its call is still being looked at loses nothing, and nobody reads on meanwhile."""
    arrived = asyncio.Event()

    class Taker(asyncio.BufferedProtocol):
        taken = b""

        def get_buffer(self, sizehint: int) -> bytearray:
            self.room = bytearray(3)
            return self.room

        def buffer_updated(self, nbytes: int) -> None:
            self.taken += bytes(self.room[:nbytes])
            if len(self.taken) >= 10:
                arrived.set()

    loop = asyncio.get_running_loop()
    made: asyncio.Future[FastStream] = loop.create_future()

    def make() -> FastStream:
        stream = FastStream()
        loop.call_soon(made.set_result, stream)
        return stream

    server = await loop.create_server(make, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    stream = await made
    writer.write(b"early")
    await writer.drain()
    stream._data = b"first"  # As a loop does that reads before it can be told not to.
    taker = Taker()
    stream.hand_over(taker)
    with anyio.fail_after(10):
        await arrived.wait()
    assert taker.taken == b"firstearly"
    writer.close()
    stream.transport.abort()
    server.close()
