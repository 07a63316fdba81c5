"""What every driver owes its users, over real sockets: one set of scenarios, written once, for all of them.

A scenario is a plain function that gets a driver and real sockets; how drivers come to look alike is `support`'s
business (`driver_harness`). What only one driver has is tested beside it; what a wire owes every driver is
`test_conformance`.
"""

import socket
import ssl
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from agt.transport import (
    Closed,
    ConnectBudget,
    ConnectionUnavailable,
    KeyRing,
    MessageTooLarge,
    Outcome,
    Overflow,
    PreSharedKey,
    QueueFull,
    ReceivedMessage,
    ReliableConfig,
    TCPConnection,
    TLSConnection,
    UnixConnection,
    tls_client_context,
    tls_server_context,
)
from support.cable import cable_to
from support.certificates import Authority
from support.driver_harness import FAST, Dialled, Driver, Listening, Peer, until
from support.drivers import DRIVERS, available


@pytest.fixture(scope="module", params=DRIVERS, ids=lambda driver: driver.name)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """Run a scenario over every driver."""
    if not available(request.param):
        pytest.skip("uvloop is an extra: pip install 'agt-migrate[uvloop]'")
    with request.param.running():
        yield request.param


ONCE = msgspec.structs.replace(FAST, backoff_base_s=60, backoff_max_s=60)
"""Dials, and if nothing comes of it, not again while a scenario lasts."""


@dataclass(frozen=True)
class Credentials:
    """TLS settings of a controller, of a device, and of a device that trusts somebody else."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    stranger: ssl.SSLContext


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    """Make certificates, once."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, other = Authority(folder), Authority(folder, "other")
    controller, device = authority.sign("controller"), authority.sign("device")
    return Credentials(
        tls_server_context(controller.certificate, controller.key, client_ca=authority.certificate),
        tls_client_context(ca=authority.certificate, certificate=device.certificate, key=device.key),
        tls_client_context(ca=other.certificate, certificate=device.certificate, key=device.key),
    )


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


# Delivery


def test_a_message_counts_as_delivered_once_it_was_processed_and_not_before(driver: Driver) -> None:
    """The acknowledgement is the application's, in both directions."""
    with talking(driver) as (device, controller):
        for sender, receiver in ((device, controller), (controller, device)):
            sent = sender.send(b"set 1 5")
            taken = receiver.take()
            assert (taken.payload, sent.done) == (b"set 1 5", False)
            taken.ack()
            assert sent.ended() is Outcome.DELIVERED


def test_a_handler_that_returns_has_processed_its_message(driver: Driver) -> None:
    """Nobody has to call anything."""
    handed: list[bytes] = []
    with talking(driver, on_message=lambda message: handed.append(message.payload)) as (device, _):
        assert device.send_reliable(b"x").ended() is Outcome.DELIVERED
    assert handed == [b"x"]


def test_a_refusal_reaches_the_sender_in_words(driver: Driver) -> None:
    """By the application, and by a handler that fails."""

    def fail(message: ReceivedMessage) -> None:
        raise ValueError(message)

    with talking(driver) as (device, controller):
        sent = device.send(b"x")
        controller.take().refuse("malformed")
        assert sent.ended() is Outcome.NOT_DELIVERED
        assert "malformed" in sent.reason
    with talking(driver, on_message=fail) as (device, _):
        sent = device.send_reliable(b"x")
        assert (sent.ended(), "rejected" in sent.reason) == (Outcome.NOT_DELIVERED, True)


def test_a_handler_can_defer_its_answer(driver: Driver) -> None:
    """Returning is not an acknowledgement then; the answer comes from another thread later."""
    kept: list[ReceivedMessage] = []

    def keep(message: ReceivedMessage) -> None:
        message.defer()
        kept.append(message)

    with talking(driver, on_message=keep) as (device, _):
        sent = device.send(b"x", deadline_s=0.3)
        assert sent.ended() is Outcome.INDETERMINATE
        assert len(kept) == 1


def test_many_small_messages_arrive_once_and_in_order(driver: Driver) -> None:
    """Whatever was gathered on the way."""
    handed: list[bytes] = []
    with talking(driver, on_message=lambda message: handed.append(message.payload)) as (device, _):
        sent = [device.send(b"%d" % number) for number in range(900)]
        assert {each.ended() for each in sent} == {Outcome.DELIVERED}
    assert handed == [b"%d" % number for number in range(900)]


def test_batches_are_taken_and_answered(driver: Driver) -> None:
    """What has arrived comes at once, and each is answered for itself."""
    with talking(driver) as (device, controller):
        sent = [device.send(b"%d" % number) for number in range(50)]
        taken = []
        while len(taken) < 50:
            taken += controller.take_batch(20)
        assert [each.payload for each in taken] == [b"%d" % number for number in range(50)]
        for number, each in enumerate(taken):
            each.refuse("rejected") if number % 2 else each.ack()
        outcomes = [each.ended() for each in sent]
        assert outcomes == [Outcome.DELIVERED, Outcome.NOT_DELIVERED] * 25


def test_a_message_at_the_limit_goes_and_one_byte_more_does_not(driver: Driver) -> None:
    """The limit is the wire's, the error names both sizes, and the connection doesn't suffer."""
    handed: list[bytes] = []
    with talking(driver, on_message=lambda message: handed.append(message.payload)) as (device, _):
        with pytest.raises(MessageTooLarge) as error:
            device.send(bytes(1 << 24))
        limit = error.value.limit
        largest = b"\xa5" * limit
        assert device.send_reliable(largest).ended() is Outcome.DELIVERED
        with pytest.raises(MessageTooLarge):
            device.send(largest + b"!")
        assert device.send_reliable(b"after").ended() is Outcome.DELIVERED
    assert handed == [largest, b"after"]


def test_several_devices_are_served_at_once(driver: Driver) -> None:
    """Each has a session of its own, and what they send is not mixed up."""
    with driver.listen() as listening:
        names = [f"device-{number}" for number in range(5)]
        with (
            driver.dial(towards(listening), name=names[0]) as a,
            driver.dial(towards(listening), name=names[1]) as b,
            driver.dial(towards(listening), name=names[2]) as c,
        ):
            for name, device in zip(names, (a, b, c), strict=False):
                sent = device.send(name.encode())
                taken = listening.peer(name).take()
                taken.ack()
                assert (taken.payload, sent.ended()) == (name.encode(), Outcome.DELIVERED)
            assert sorted(listening.names) == names[:3]


# Ends


def test_without_a_peer_a_message_ends_at_its_deadline_as_not_delivered(driver: Driver) -> None:
    """What was never written provably did not arrive; the wait is the deadline's."""
    with driver.dial(TCPConnection("127.0.0.1", unused_port())) as device:
        assert device.send_reliable(b"x", deadline_s=0.05).ended() is Outcome.NOT_DELIVERED
        until(lambda: "refused" in device.last_error)


def test_a_message_that_is_never_processed_is_indeterminate_at_its_deadline(driver: Driver) -> None:
    """Written, handed over, not answered: nobody can know."""
    with talking(driver) as (device, _):
        assert device.send_reliable(b"x", deadline_s=0.2).ended() is Outcome.INDETERMINATE


def test_a_cancelled_message_ends_early(driver: Driver) -> None:
    """At once while it is queued; as what the receiver says when it was written, and long before its deadline."""
    with driver.dial(TCPConnection("127.0.0.1", unused_port())) as device:
        queued = device.send(b"x", deadline_s=60)
        device.cancel(queued)
        assert queued.ended() is Outcome.NOT_DELIVERED
        assert device.queued == 0
    with talking(driver) as (device, controller):
        written = device.send(b"y", deadline_s=60)
        taken = controller.take()
        device.cancel(written)
        taken.ack()
        assert written.ended() is Outcome.DELIVERED


def test_closing_settles_what_is_left(driver: Driver) -> None:
    """Never written is not delivered, written and not answered is indeterminate; using what is closed is an error."""
    config = but(close_timeout_s=0.05, in_flight_max=1)
    with driver.listen(config=config) as listening, driver.dial(towards(listening), config=config) as device:
        written = device.send(b"written")
        listening.peer("device").take()
        queued = device.send(b"queued")
    assert (written.ended(), queued.ended()) == (Outcome.INDETERMINATE, Outcome.NOT_DELIVERED)
    assert "closed" in queued.reason
    with pytest.raises(Closed):
        device.send(b"late")
    with pytest.raises(Closed):
        device.take()


def test_acknowledgements_given_just_before_leaving_are_not_lost(driver: Driver) -> None:
    """Closing waits a moment for what is still to be written."""
    with driver.listen() as listening:
        with driver.dial(towards(listening)) as device:
            sent = listening.peer("device").send(b"x")
            device.take().ack()
        assert sent.ended() is Outcome.DELIVERED


# Connections


def test_a_cut_connection_is_replaced_and_the_session_stays_the_same(driver: Driver) -> None:
    """What was queued meanwhile follows."""
    with (
        driver.listen() as listening,
        cable_to(listening.port) as cable,
        driver.dial(TCPConnection("127.0.0.1", cable.port)) as device,
    ):
        device.wait_connected()
        controller = listening.peer("device")
        cable.plugged = False
        cable.cut()
        until(lambda: not (device.connected or controller.connected))
        down, up = controller.send(b"down"), device.send(b"up")
        cable.plugged = True
        device.take().ack()
        controller.take().ack()
        assert (down.ended(), up.ended()) == (Outcome.DELIVERED, Outcome.DELIVERED)
        assert device.metrics.reconnections == 1
        assert listening.names == ["device"]


def test_connections_cut_in_mid_flight_lose_and_double_nothing(driver: Driver) -> None:
    """Every message is handed over once, in order, over a connection that breaks every two thousand bytes."""
    seen: list[bytes] = []
    config = but(max_retries=None)
    with (
        driver.listen(on_message=lambda message: seen.append(message.payload), config=config) as listening,
        cable_to(listening.port) as cable,
    ):
        cable.cut_after = 2000
        with driver.dial(TCPConnection("127.0.0.1", cable.port), config=config) as device:
            device.wait_connected()
            sent = [device.send(b"%04d" % number + bytes(60)) for number in range(150)]
            assert {each.ended() for each in sent} == {Outcome.DELIVERED}
            assert device.metrics.reconnections >= 3
    assert [payload[:4] for payload in seen] == [b"%04d" % number for number in range(150)]


def test_a_listener_that_comes_later_is_found(driver: Driver) -> None:
    """Messages wait in the queue while there is nobody to dial."""
    port = unused_port()
    with driver.dial(TCPConnection("127.0.0.1", port)) as device:
        sent = device.send(b"x")
        until(lambda: "refused" in device.last_error)
        with driver.listen(port=port, on_message=lambda _: None):
            assert sent.ended() is Outcome.DELIVERED


def test_a_newer_process_of_the_same_name_fences_the_older_one(driver: Driver) -> None:
    """The older one is told so in words, stops dialling, and its sends end at once."""
    with driver.listen(on_message=lambda _: None) as listening, driver.dial(towards(listening)) as older:
        assert older.send_reliable(b"x").ended() is Outcome.DELIVERED
        with driver.dial(towards(listening)) as newer:
            assert newer.send_reliable(b"y").ended() is Outcome.DELIVERED
            until(lambda: older.closed)
            late = older.send_reliable(b"z")
            assert late.ended() is Outcome.NOT_DELIVERED
            assert "stale generation" in late.reason
            with pytest.raises(ConnectionUnavailable, match="stale generation"):
                older.wait_connected()
            assert newer.send_reliable(b"y").ended() is Outcome.DELIVERED


def test_a_receiver_that_has_forgotten_makes_what_was_in_flight_indeterminate(driver: Driver) -> None:
    """A listener that restarts without its memory: doubt is said, nothing is repeated."""
    port, seen = unused_port(), list[bytes]()
    with driver.dial(TCPConnection("127.0.0.1", port)) as device:
        with driver.listen(port=port, config=but(close_timeout_s=0.05)) as listening:
            sent = device.send(b"in flight")
            listening.peer("device").take()
        with driver.listen(port=port, on_message=lambda message: seen.append(message.payload)):
            assert sent.ended() is Outcome.INDETERMINATE
            assert device.send_reliable(b"after").ended() is Outcome.DELIVERED
    assert seen == [b"after"]


def test_disconnecting_is_no_end(driver: Driver) -> None:
    """Either side may end a connection in words; the device dials again."""
    with talking(driver) as (device, controller):
        for number, side in enumerate((device, controller), 1):
            side.disconnect()
            until(lambda number=number: device.metrics.reconnections == number and controller.connected)
            sent = controller.send(b"x")
            device.take().ack()
            assert sent.ended() is Outcome.DELIVERED


def test_unix_sockets_are_ours_alone_and_gone_afterwards(driver: Driver, tmp_path: Path) -> None:
    """Mode 0600 in a directory of our own while it listens, no file left behind."""
    path = tmp_path / "run" / "s.sock"
    path.parent.mkdir(mode=0o700)
    with driver.listen(path=str(path), on_message=lambda _: None):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with driver.dial(UnixConnection(str(path))) as device:
            assert device.send_reliable(b"x").ended() is Outcome.DELIVERED
    assert not path.exists()


def test_an_address_in_use_is_named(driver: Driver, tmp_path: Path) -> None:
    """A second listener gets one clear error."""
    with driver.listen() as listening, pytest.raises(ConnectionUnavailable, match="address already in use"):
        driver.listen(port=listening.port).__enter__()


def test_tls_proves_both_sides(driver: Driver, credentials: Credentials) -> None:
    """Mutual TLS: the device's certificate must be for the name that it claims."""
    handed: list[bytes] = []
    settings = {"tls": credentials.server, "on_message": lambda message: handed.append(message.payload)}
    with driver.listen(**settings) as listening:
        connection = TLSConnection("127.0.0.1", listening.port, credentials.client, server_hostname="controller")
        with driver.dial(connection, name="device") as device:
            assert device.send_reliable(b"x" * 100_000).ended() is Outcome.DELIVERED
        with driver.dial(connection, name="somebody-else", config=ONCE) as thief:
            until(lambda: "somebody-else" in thief.last_error or thief.closed)
            assert not thief.connected
    assert handed == [b"x" * 100_000]


def test_keys_prove_both_sides_without_tls(driver: Driver) -> None:
    """A key is for its names; who has none is told so and gets nothing in."""
    handed: list[bytes] = []
    key = PreSharedKey("devices", bytes(range(32)))
    with driver.listen(keys=KeyRing(key), on_message=lambda message: handed.append(message.payload)) as listening:
        with driver.dial(towards(listening), key=key) as device:
            assert device.send_reliable(b"x").ended() is Outcome.DELIVERED
        with driver.dial(towards(listening), config=ONCE) as stranger:
            until(lambda: "key" in stranger.last_error or "key" in stranger.closed)
            assert not stranger.connected
    assert handed == [b"x"]


def test_callers_over_the_budget_are_told_when_to_come_back(driver: Driver) -> None:
    """One is taken in at once, the next in its turn; both are served."""
    budget = ConnectBudget(connects_per_s=10, connect_burst=1)
    with (
        driver.listen(connect_budget=budget, on_message=lambda _: None) as listening,
        driver.dial(towards(listening), name="first") as first,
        driver.dial(towards(listening), name="second") as second,
    ):
        assert first.send_reliable(b"x").ended() is Outcome.DELIVERED
        assert second.send_reliable(b"y").ended() is Outcome.DELIVERED


def test_a_server_that_we_do_not_trust_gets_no_message(driver: Driver, credentials: Credentials) -> None:
    """The error says what to do about it."""
    with driver.listen(tls=credentials.server) as listening:
        connection = TLSConnection("127.0.0.1", listening.port, credentials.stranger, server_hostname="controller")
        with driver.dial(connection, config=ONCE) as device:
            assert device.send_reliable(b"x", deadline_s=0.3).ended() is Outcome.NOT_DELIVERED
            assert "trust" in device.last_error
        assert listening.names == []


# Limits


def test_a_receiver_that_stalls_slows_its_sender_down(driver: Driver) -> None:
    """No more in flight than the receiver granted, the rest waits at the sender, and nothing is lost of it."""
    config = but(recv_queue_max=5)
    with driver.listen(config=config) as listening, driver.dial(towards(listening)) as device:
        device.wait_connected()
        controller = listening.peer("device")
        sent = [device.send(b"%d" % number) for number in range(50)]
        until(lambda: device.in_flight == 5)
        assert device.queued == 45
        for number in range(50):
            taken = controller.take()
            assert taken.payload == b"%d" % number
            taken.ack()
        assert {each.ended() for each in sent} == {Outcome.DELIVERED}


def test_reject_tells_the_caller_at_once(driver: Driver) -> None:
    """A full queue is the caller's to handle; the limit is named."""
    config = but(send_queue_max=2, overflow=Overflow.REJECT)
    with driver.dial(TCPConnection("127.0.0.1", unused_port()), config=config) as device:
        device.send(b"a")
        device.offer(b"b")
        for send in (device.send, device.offer, device.send_reliable):
            with pytest.raises(QueueFull, match="2 messages"):
                send(b"c")
        assert device.metrics.queue_full == 3


def test_drop_oldest_lets_the_oldest_unwritten_give_way(driver: Driver) -> None:
    """It ends as not delivered; the newest are kept."""
    config = but(send_queue_max=2, overflow=Overflow.DROP_OLDEST)
    with driver.dial(TCPConnection("127.0.0.1", unused_port()), config=config) as device:
        sent = [device.send(b"%d" % number) for number in range(4)]
        assert [each.ended() for each in sent[:2]] == [Outcome.NOT_DELIVERED] * 2
        assert not any(each.done for each in sent[2:])


def test_block_waits_for_room_and_no_longer_than_the_deadline(driver: Driver) -> None:
    """Room comes when the receiver takes; without it the message ends as not delivered, and nobody waits for ever."""
    config = but(send_queue_max=2, recv_queue_max=1, overflow=Overflow.BLOCK)
    with talking(driver, config) as (device, controller):
        sent = [device.offer(b"%d" % number) for number in range(3)]
        until(lambda: (device.in_flight, device.queued) == (1, 2))
        with pytest.raises(QueueFull):
            device.send(b"never waits")
        late = device.offer(b"too late", deadline_s=0.05)
        assert (late.ended(), "full" in late.reason) == (Outcome.NOT_DELIVERED, True)
        waiting: list[object] = []
        thread = threading.Thread(target=lambda: waiting.append(device.offer(b"3")))
        thread.start()
        for number in range(4):
            taken = controller.take()
            assert taken.payload == b"%d" % number
            taken.ack()
        thread.join(5)
        assert {each.ended() for each in (*sent, *waiting)} == {Outcome.DELIVERED}


def test_one_connection_too_many_is_closed_at_once(driver: Driver) -> None:
    """The number of connections is bounded, and those that are there go on."""
    with (
        driver.listen(on_message=lambda _: None, max_connections=1) as listening,
        driver.dial(towards(listening)) as device,
    ):
        device.wait_connected()
        with socket.create_connection(("127.0.0.1", listening.port)) as stranger:
            assert closed_by_peer(stranger)
        assert device.send_reliable(b"y").ended() is Outcome.DELIVERED


# Strangers


@pytest.mark.parametrize(
    "nonsense",
    [
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" + bytes(200),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 400,
        b"\xff" * 28,
    ],
    ids=["http", "tls", "ones"],
)
def test_nonsense_costs_its_connection_and_nothing_else(driver: Driver, nonsense: bytes) -> None:
    """A caller that speaks something else is let go; the others don't notice."""
    with driver.listen(on_message=lambda _: None) as listening:
        with driver.dial(towards(listening)) as device:
            with socket.create_connection(("127.0.0.1", listening.port)) as stranger:
                stranger.sendall(nonsense)
                assert closed_by_peer(stranger)
            assert device.send_reliable(b"x").ended() is Outcome.DELIVERED
        until(lambda: not listening.open_connections)
        assert listening.names == ["device"]


def test_silence_is_closed_after_the_hello_timeout(driver: Driver) -> None:
    """A caller that says nothing holds its place for a limited time."""
    with driver.listen(config=but(hello_timeout_s=0.05)) as listening:
        with socket.create_connection(("127.0.0.1", listening.port)) as stranger:
            assert closed_by_peer(stranger)
        until(lambda: not listening.open_connections)


def test_a_listener_that_never_answers_is_left_for_another_attempt(driver: Driver) -> None:
    """A dialler that gets no welcome dials again, and says why."""
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        driver.dial(TCPConnection("127.0.0.1", mute.getsockname()[1]), config=but(hello_timeout_s=0.05)) as device,
    ):
        first, _ = mute.accept()
        second, _ = mute.accept()
        with first, second:
            assert closed_by_peer(first)
            assert "hello" in device.last_error or "handshake" in device.last_error


# Counting


def test_both_ends_count_the_same(driver: Driver) -> None:
    """Accepted, delivered, received: the numbers of a quiet pair agree."""
    with driver.listen(on_message=lambda _: None) as listening, driver.dial(towards(listening)) as device:
        for _ in range(20):
            assert device.send_reliable(b"x").ended() is Outcome.DELIVERED
        metrics = device.metrics
        assert (metrics.accepted, metrics.outcomes[Outcome.DELIVERED], metrics.acks_received) == (20, 20, 20)
        assert (listening.metrics.received, sum(metrics.latency_counts)) == (20, 20)
        assert (metrics.connections, metrics.reconnections, metrics.in_flight) == (1, 0, 0)
