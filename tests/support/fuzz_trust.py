"""Fuzz targets for what stands before a wire: the key exchange, tagged records, key files, TLS in memory.

What a stranger sends never makes it known; what somebody with a key sends, who breaks the rest on purpose, ends in the
same words as without one.
"""

import contextlib
import ssl
from random import Random

from agt.transport import BadCredential, KeyRing, PeerViolation, PreSharedKey
from agt.transport.trust import (
    AcceptingLayer,
    DiallingLayer,
    KeyedAcceptor,
    KeyLayer,
    NotProven,
    RecordReader,
    RecordWriter,
    TLSFailure,
    TLSLayer,
    WrongTag,
)
from agt.transport.trust._keys import read_keys
from agt.transport.wires.native import NativeAcceptor, Refused
from support.fuzz_support import Target, pieces

KEY = PreSharedKey("k1", bytes(range(32)))
KEYS = KeyRing(KEY)
ANSWER_MAX = 1024
"""No stranger gets a longer answer than this, whatever it says."""
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
"""Without a certificate: what a client says first is read all the same."""


def key_exchange(data: bytes) -> None:
    """Strangers convince neither end, and are told little, in words that can stand in a log."""
    rng = Random(1)
    ends: tuple[KeyLayer, ...] = (DiallingLayer(KEY, "d", rng=rng), AcceptingLayer(KEYS.get, "g", rng=rng))
    for end in ends:
        said = ""
        try:
            for part in pieces(data):
                assert end.receive_data(part) == b""
        except NotProven as error:
            said = str(error)
        assert said.isprintable()
        assert not end.established
        assert end.peer == ""
        assert len(end.data_to_send()) <= ANSWER_MAX


def key_records(data: bytes) -> None:
    """What was sealed comes out; with one bit changed, nothing from there on does."""
    parts = [part for part in pieces(data) if part]
    writer, reader = RecordWriter(KEY.reveal()), RecordReader(KEY.reveal())
    stream = b"".join(map(writer.seal, parts))
    assert b"".join(map(reader.receive_data, pieces(stream))) == data
    if not stream:
        return
    place = Random(stream).randrange(len(stream))
    damaged = stream[:place] + bytes([stream[place] ^ 1]) + stream[place + 1 :]
    reader, taken = RecordReader(KEY.reveal()), b""
    with contextlib.suppress(WrongTag, PeerViolation):
        for part in pieces(damaged):
            taken += reader.receive_data(part)
    assert data.startswith(taken)
    assert len(taken) < len(data)


def key_greeting(data: bytes) -> None:
    """Somebody with a key who says no proper hello is refused like anybody else, under a tag."""
    rng = Random(1)
    acceptor = KeyedAcceptor(NativeAcceptor("g", rng=rng), KEYS, "g", rng=rng)
    dialler, greeting = DiallingLayer(KEY, "d", rng=rng), acceptor.greeting(now=0.0)
    greeting.receive_data(dialler.data_to_send())
    dialler.receive_data(greeting.data_to_send())
    greeting.receive_data(dialler.data_to_send())
    refusal: Refused | None = None
    try:
        for part in pieces(dialler.seal(data)):
            if greeting.receive_data(part) is not None:
                acceptor.admit(greeting)
                break
    except Refused as refused:
        refusal = refused
    if refusal is not None:
        assert dialler.receive_data(greeting.farewell(refusal)) == refusal.reply


def key_file(data: bytes) -> None:
    """A key file is keys, or one error with a line number and nothing of what stands there."""
    text, said, ring = data.decode("utf-8", "replace"), "", KeyRing()
    try:
        ring = KeyRing(*read_keys("keys", text))
    except BadCredential as error:
        said = str(error)
    assert not any(word in said for line in text.splitlines() for word in line.split()[1:] if len(word) > 32)
    again = KeyRing(*read_keys("keys", "".join(f"{key.line()}\n" for key in ring)))
    assert list(again) == list(ring)


def tls_layer(data: bytes) -> None:
    """What is no client's hello ends in words, and what is one ends for want of a certificate."""
    layer = TLSLayer(CONTEXT, server_side=True)
    with contextlib.suppress(TLSFailure):
        for part in pieces(data):
            assert layer.receive_data(part) == b""
    assert not layer.established
    assert len(layer.data_to_send()) <= ANSWER_MAX


TARGETS = (
    Target(
        "key_exchange",
        key_exchange,
        (b"AGTK\x01\x01", b"AGTK\x01\x02", b"AGTK\x01\x03\x00\x20", b"\xa2k1", b"\xc4\x20"),
    ),
    Target("key_records", key_records),
    Target("key_greeting", key_greeting, (b"\x00\x00\x00\x10", b"\x01\x00\x00\x00")),
    Target("key_file", key_file, (b"k1 ", KEY.reveal().hex().encode(), b" dev-1", b"\n", b"# ")),
    Target("tls_layer", tls_layer, (b"\x16\x03\x01", b"\x01\x00", b"\x03\x03", b"\x15\x03\x03\x00\x02")),
)
