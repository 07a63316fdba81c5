"""What every driver owes its users, the other half: connections that break, are refused, are strangers'.

A scenario is a plain function that gets a driver and real sockets; how drivers come to look alike is `support`'s
business (`driver_harness`). `test_drivers` has the messages.
"""

import socket
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from agt.transport import (
    ConnectBudget,
    ConnectionUnavailable,
    KeyRing,
    Outcome,
    PreSharedKey,
    TCPConnection,
    TLSConnection,
    UnixConnection,
    tls_client_context,
    tls_server_context,
)
from support.cable import cable_to
from support.certificates import Authority
from support.driver_harness import FAST, Driver, until
from support.scenes import but, closed_by_peer, talking, towards, unused_port

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


def test_a_damaged_byte_costs_the_connection_and_no_message(driver: Driver) -> None:
    """It is found, the connection is given up and made again, and everything arrives once and in order."""
    seen: list[bytes] = []
    with (
        driver.listen(on_message=lambda message: seen.append(message.payload)) as listening,
        cable_to(listening.port) as cable,
        driver.dial(TCPConnection("127.0.0.1", cable.port)) as device,
    ):
        device.wait_connected()
        cable.damage = True
        sent = [device.send(b"%d" % number + bytes(500)) for number in range(10)]
        assert {each.ended() for each in sent} == {Outcome.DELIVERED}
        assert device.metrics.reconnections == 1
        assert listening.metrics.decode_errors == 1
    assert [payload[:1] for payload in seen] == [b"%d" % number for number in range(10)]


def test_a_network_that_stalls_holds_large_messages_up_and_loses_none(driver: Driver) -> None:
    """The socket fills, what doesn't fit waits its turn, and it all goes on from there."""
    seen: list[int] = []
    with (
        driver.listen(on_message=lambda message: seen.append(len(message.payload))) as listening,
        cable_to(listening.port) as cable,
        driver.dial(TCPConnection("127.0.0.1", cable.port)) as device,
    ):
        device.wait_connected()
        cable.flowing.clear()
        sizes = [400_000 + number for number in range(25)]
        sent = [device.send(bytes(size)) for size in sizes]
        assert not any(each.done for each in sent)
        cable.flowing.set()
        assert {each.ended() for each in sent} == {Outcome.DELIVERED}
        assert device.metrics.reconnections == 0
    assert seen == sizes


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
