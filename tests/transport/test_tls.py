"""TLS and mutual TLS over real sockets and with real certificates: who is let in, and what is said to the others."""

import datetime
import logging
import ssl
from pathlib import Path

import anyio
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from agt.transport import (
    BadCredential,
    ConnectionUnavailable,
    Outcome,
    Refusal,
    ReliableConfig,
    ReliableListener,
    ReliableTransport,
    TCPConnection,
    TLSConnection,
    WireListener,
    tls_client_context,
    tls_server_context,
)
from agt.transport.testing import PlainLink
from support.certificates import DAY, NOW, Authority, Pair

pytestmark = pytest.mark.anyio

FAST = ReliableConfig(backoff_base_s=0.01, backoff_max_s=0.02)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return whom everybody here trusts."""
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Pair:
    """Return a listener's certificate."""
    return authority.sign("gateway.test")


def dial(port: int, context: ssl.SSLContext, name: str = "gateway.test") -> TLSConnection:
    """Return a connection to a listener on this machine that is called `name` in its certificate."""
    return TLSConnection("127.0.0.1", port, context, name)


async def test_messages_go_both_ways_over_tls(authority: Authority, server: Pair, until):
    """The defaults: TLS 1.2 or newer, certificate and name verified, megabytes through many records."""
    big = bytes(range(256)) * 3000
    async with (
        ReliableListener(tls=tls_server_context(server.certificate, server.key)) as listener,
        ReliableTransport(dial(listener.port, tls_client_context(ca=authority.certificate)), name="d") as transport,
    ):
        delivery = transport.send_nowait(big)
        await until(lambda: "d" in listener.sessions)
        message = await listener.sessions["d"].receive()
        assert message.payload == big
        message.ack()
        assert (await delivery).outcome is Outcome.DELIVERED
        back = listener.sessions["d"].send_nowait(b"back")
        (await transport.recv_reliable()).ack()
        assert await back


def test_contexts_verify_and_speak_nothing_old(authority: Authority, server: Pair):
    """The safe settings are the ones that nobody has to ask for."""
    client = tls_client_context(ca=authority.certificate)
    assert (client.verify_mode, client.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert client.minimum_version is ssl.TLSVersion.TLSv1_2
    listener = tls_server_context(server.certificate, server.key)
    assert (listener.minimum_version, listener.verify_mode) == (ssl.TLSVersion.TLSv1_2, ssl.CERT_NONE)
    mutual = tls_server_context(server.certificate, server.key, client_ca=authority.certificate)
    assert mutual.verify_mode is ssl.CERT_REQUIRED
    assert TLSConnection("host", 1).context.check_hostname is True


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("untrusted", "signed by an authority that we don't trust"),
        ("wrong host", "its certificate is for other names"),
        ("plain listener", "TLS"),
    ],
)
async def test_a_dial_that_fails_says_why_in_one_line(
    case: str, why: str, authority: Authority, server: Pair, tmp_path: Path
):
    """The error names the address, what is wrong with the peer, and what to do."""
    trusted = Authority(tmp_path, "other") if case == "untrusted" else authority
    tls = None if case == "plain listener" else tls_server_context(server.certificate, server.key)
    name = "somebody.else" if case == "wrong host" else "gateway.test"
    async with ReliableListener(tls=tls) as listener:
        connection = dial(listener.port, tls_client_context(ca=trusted.certificate), name)
        with pytest.raises(ConnectionUnavailable, match=why) as caught:
            await connection.connect()
        assert f"127.0.0.1:{listener.port}" in str(caught.value)
        assert "\n" not in str(caught.value)


async def test_an_expired_server_is_not_trusted(authority: Authority, tmp_path: Path):
    """Its own process would not even start with it; one that does anyway is refused by who dials."""
    old = authority.sign("gateway.old", starts=NOW - 2 * DAY, ends=NOW - DAY)
    stubborn = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stubborn.load_cert_chain(old.certificate, old.key)
    async with ReliableListener(tls=stubborn) as listener:
        with pytest.raises(ConnectionUnavailable, match="has expired"):
            await dial(listener.port, tls_client_context(ca=authority.certificate), "gateway.old").connect()


async def test_a_plain_caller_of_a_tls_listener_is_refused_and_nothing_is_remembered(server: Pair, until):
    """No downgrade: what does not speak TLS never reaches the wire behind it."""
    async with ReliableListener(tls=tls_server_context(server.certificate, server.key)) as listener:
        async with ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="d", config=FAST):
            await until(lambda: listener.door.refused[Refusal.TLS] > 0)
        assert listener.sessions == {}


async def test_a_certificate_lets_in_whom_it_names_and_nobody_else(authority: Authority, server: Pair, until):
    """Mutual TLS binds the sender's name: a device can't take over another one's session with its own certificate."""
    tls = tls_server_context(server.certificate, server.key, client_ca=authority.certificate)
    mine = authority.sign("dev-1")
    context = tls_client_context(ca=authority.certificate, certificate=mine.certificate, key=mine.key)
    async with ReliableListener(tls=tls, on_message=lambda _: None) as listener:
        async with ReliableTransport(dial(listener.port, context), name="dev-1") as transport:
            assert await transport.send_reliable(b"x")
        async with ReliableTransport(dial(listener.port, context), name="dev-2", config=FAST) as thief:
            await until(lambda: "the certificate is for dev-1, not for 'dev-2'" in thief.last_error)
        assert listener.door.refused[Refusal.NAME] > 0
        assert list(listener.sessions) == ["dev-1"]


async def test_which_names_a_certificate_may_claim_can_be_chosen(authority: Authority, server: Pair):
    """A site's own rule replaces the default."""
    tls = tls_server_context(server.certificate, server.key, client_ca=authority.certificate)
    mine = authority.sign("site-7")
    context = tls_client_context(ca=authority.certificate, certificate=mine.certificate, key=mine.key)

    def claims(certificate) -> frozenset[str]:
        assert certificate["subjectAltName"] == (("DNS", "site-7"),)
        return frozenset({"site-7/lamp", "site-7/door"})

    async with (
        ReliableListener(tls=tls, claims=claims, on_message=lambda _: None) as listener,
        ReliableTransport(dial(listener.port, context), name="site-7/lamp") as transport,
    ):
        assert await transport.send_reliable(b"x")


async def test_the_common_name_counts_where_there_are_no_others(authority: Authority, server: Pair):
    """As small authorities issue them."""
    tls = tls_server_context(server.certificate, server.key, client_ca=authority.certificate)
    mine = authority.sign("dev-cn", names=())
    context = tls_client_context(ca=authority.certificate, certificate=mine.certificate, key=mine.key)
    async with (
        ReliableListener(tls=tls, on_message=lambda _: None) as listener,
        ReliableTransport(dial(listener.port, context), name="dev-cn") as transport,
    ):
        assert await transport.send_reliable(b"x")


@pytest.mark.parametrize("case", ["none", "untrusted", "expired"])
async def test_a_wrong_client_certificate_is_refused_and_the_client_is_told(
    case: str, authority: Authority, server: Pair, tmp_path: Path, until
):
    """Nothing is remembered of such a caller; its own side can say what to do."""
    tls = tls_server_context(server.certificate, server.key, client_ca=authority.certificate)
    context = tls_client_context(ca=authority.certificate)
    if case == "untrusted":
        pair = Authority(tmp_path, "stranger").sign("dev-1")
        context.load_cert_chain(pair.certificate, pair.key)
    elif case == "expired":
        pair = authority.sign("dev-old", starts=NOW - 2 * DAY, ends=NOW - DAY)
        context.load_cert_chain(pair.certificate, pair.key)
    said = {"none": "asks for a client certificate", "untrusted": "doesn't trust", "expired": "has expired"}[case]
    async with ReliableListener(tls=tls) as listener:
        async with ReliableTransport(dial(listener.port, context), name="dev-1", config=FAST) as transport:
            await until(lambda: said in transport.last_error)
        assert listener.door.refused[Refusal.TLS] > 0
        assert listener.sessions == {}


async def test_a_legacy_wire_over_mutual_tls_is_held_to_its_names_too(authority: Authority, server: Pair, until):
    """The name that a legacy device says in its hello is checked like any other."""
    tls = tls_server_context(server.certificate, server.key, client_ca=authority.certificate)
    mine = authority.sign("dev-3")
    context = tls_client_context(ca=authority.certificate, certificate=mine.certificate, key=mine.key)
    came: list[str] = []
    listener = WireListener(PlainLink, tls=tls, on_peer=lambda session: came.append(session.peer))
    async with listener:
        for name in ("dev-4", "dev-3"):
            async with ReliableTransport(
                dial(listener.port, context), name=name, config=FAST, make_link=lambda name, _: PlainLink(name)
            ):
                await until(lambda: listener.door.refused[Refusal.NAME] > 0)
                await until(lambda name=name: name == "dev-4" or came == ["dev-3"])
        assert came == ["dev-3"]


async def test_a_renewed_certificate_serves_from_the_next_connection_on(authority: Authority, until):
    """Rotation without a restart: the same context, new files."""
    first, second = authority.sign("gateway.one"), authority.sign("gateway.two")
    tls = tls_server_context(first.certificate, first.key)
    client = tls_client_context(ca=authority.certificate)
    async with ReliableListener(tls=tls, on_message=lambda _: None) as listener:
        async with ReliableTransport(dial(listener.port, client, "gateway.one"), name="d") as transport:
            assert await transport.send_reliable(b"before")
            tls.load_cert_chain(second.certificate, second.key)
            assert await transport.send_reliable(b"on the connection of before")
        async with ReliableTransport(dial(listener.port, client, "gateway.two"), name="d") as transport:
            assert await transport.send_reliable(b"after")


def expired(authority: Authority, _folder: Path) -> ssl.SSLContext:
    """Use a certificate of the day before yesterday."""
    pair = authority.sign("gone", starts=NOW - 2 * DAY, ends=NOW - DAY)
    return tls_server_context(pair.certificate, pair.key)


def expired_client(authority: Authority, _folder: Path) -> ssl.SSLContext:
    """Use a client's certificate of the day before yesterday."""
    pair = authority.sign("gone-client", starts=NOW - 2 * DAY, ends=NOW - DAY)
    return tls_client_context(ca=authority.certificate, certificate=pair.certificate, key=pair.key)


def not_yet(authority: Authority, _folder: Path) -> ssl.SSLContext:
    """Use a certificate of the day after tomorrow."""
    pair = authority.sign("early", starts=NOW + DAY, ends=NOW + datetime.timedelta(days=2))
    return tls_server_context(pair.certificate, pair.key)


def another_key(authority: Authority, _folder: Path) -> ssl.SSLContext:
    """Mix up two pairs."""
    one, two = authority.sign("one"), authority.sign("two")
    return tls_server_context(one.certificate, two.key)


def missing(authority: Authority, folder: Path) -> ssl.SSLContext:
    """Name a file that isn't there."""
    return tls_server_context(folder / "nowhere.pem", authority.sign("one").key)


def no_authority(_authority: Authority, folder: Path) -> ssl.SSLContext:
    """Name a file without a certificate."""
    (folder / "notes.txt").write_text("hello")
    return tls_client_context(ca=folder / "notes.txt")


def locked(authority: Authority, _folder: Path) -> ssl.SSLContext:
    """Use an encrypted key without its password."""
    pair = authority.sign("locked", password="open sesame")
    return tls_server_context(pair.certificate, pair.key)


def wrong_password(authority: Authority, _folder: Path) -> ssl.SSLContext:
    """Use an encrypted key with another password."""
    pair = authority.sign("locked", password="open sesame")
    return tls_server_context(pair.certificate, pair.key, password="open barley")


def for_clients_only(authority: Authority, _folder: Path) -> ssl.SSLContext:
    """Use a client's certificate for a server."""
    pair = authority.sign("client", purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    return tls_server_context(pair.certificate, pair.key)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (expired, "gone.pem: has expired: renew it"),
        (expired_client, "gone-client.pem: has expired: renew it"),
        (not_yet, "early.pem: is not valid yet"),
        (another_key, "two.key: is not the private key of .*one.pem"),
        (missing, "nowhere.pem: the certificate can't be read: no such file"),
        (no_authority, "notes.txt: holds no certificate"),
        (locked, "locked.key: the private key is encrypted; give its `password`"),
        (wrong_password, "locked.key: the password does not open the private key"),
        (for_clients_only, "client.pem: was not issued for this purpose"),
    ],
)
def test_a_context_that_could_never_work_is_refused_at_once(make, why: str, authority: Authority, tmp_path: Path):
    """The process finds it when it starts, not its first peer; the error names the file and what to do."""
    with pytest.raises(BadCredential, match=why) as caught:
        make(authority, tmp_path)
    assert "sesame" not in str(caught.value)


def test_an_encrypted_key_opens_with_its_password(authority: Authority):
    """The pair of the tests above works when it is used right."""
    pair = authority.sign("locked", password="open sesame")
    assert tls_server_context(pair.certificate, pair.key, password="open sesame").cert_store_stats() is not None


async def test_a_caller_that_says_half_a_handshake_is_let_go_in_time(server: Pair):
    """The time of the handshake counts: it is part of the time that a caller has to be known."""
    config = ReliableConfig(hello_timeout_s=0.1)
    async with ReliableListener(tls=tls_server_context(server.certificate, server.key), config=config) as listener:
        stream = await TCPConnection("127.0.0.1", listener.port).connect()
        async with stream:
            await stream.send(b"\x16\x03\x01")
            with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
        assert listener.door.refused[Refusal.SILENT] == 1


async def test_refusals_are_counted_each_and_logged_once_a_second(
    server: Pair, caplog: pytest.LogCaptureFixture, until
):
    """A flood of bad callers fills no disk."""
    caplog.set_level(logging.WARNING, "agt.transport")
    async with ReliableListener(tls=tls_server_context(server.certificate, server.key)) as listener:
        for _ in range(20):
            async with await TCPConnection("127.0.0.1", listener.port).connect() as stream:
                await stream.send(b"GET / HTTP/1.1\r\n\r\n")
        await until(lambda: listener.door.refused[Refusal.TLS] == 20)
    assert 1 <= len([record for record in caplog.records if "refused" in record.message]) < 20
