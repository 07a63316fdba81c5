"""Telling wires apart by their first bytes: pure, bounded, and never by more than was said."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.transport import ReliableConfig
from agt.transport._native import native_link
from agt.transport._native_names import NativeNames
from agt.transport._sniffing import RECOGNISERS, SNIFF_LIMIT, UNRECOGNISED, Sniffer, begins_with
from agt.transport.wires.cync import hello
from agt.transport.wires.lines import Greeting, greeting_line


def native_hello(name: str = "dev-1") -> bytes:
    """What a native dialler says first."""
    link = native_link(name, ReliableConfig())
    link.connection_made(now=0)
    return link.data_to_send(now=0)


BEGINNINGS = {
    "native": native_hello(),
    "cync": hello(bytes.fromhex("45880f3a")).data,
    "lines": greeting_line(Greeting("lamp-7", sequenced=True)),
    "tls": bytes.fromhex("16 03 01 02 00 01 00 01 fc 03 03") + bytes(500),
}
ALL = Sniffer(RECOGNISERS)


@pytest.mark.parametrize("wire", BEGINNINGS)
def test_each_wire_is_recognised_by_its_own_hello_however_it_is_cut(wire: str) -> None:
    """Every shorter piece says either nothing yet or the same."""
    head = BEGINNINGS[wire]
    verdicts = [ALL.verdict(head[:size]) for size in range(len(head) + 1)]
    assert verdicts[0] is None
    assert set(verdicts) == {None, wire}
    assert verdicts[-1] == wire
    decided = verdicts.index(wire)
    assert set(verdicts[decided:]) == {wire}, "it never changes its mind"


def test_a_keyed_peer_is_a_native_one() -> None:
    """The listener of that wire then asks for the proof, or says that it has no keys."""
    assert [ALL.verdict(b"AGTK"[:size]) for size in range(1, 5)] == [None, None, None, "native"]
    assert ALL.verdict(b"AGTX") == UNRECOGNISED


@pytest.mark.parametrize("name", ["x", "é" * 64, "n" * 128])
def test_a_native_hello_is_recognised_whatever_the_name(name: str) -> None:
    """Up to the longest that there can be."""
    assert ALL.verdict(native_hello(name)) == "native"


@pytest.mark.parametrize("wire", BEGINNINGS)
def test_no_two_wires_begin_alike(wire: str) -> None:
    """One recogniser at most says yes."""
    said = [name for name, recognise in RECOGNISERS.items() if recognise(BEGINNINGS[wire])]
    assert said == [wire]


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n",
        b"helloworld",
        b"Hello dev\n",
        b"\x23\x01\x00\x00\x1a",
        b"\x23\x00\x00\xff\xff",
        b"\x16\x03\x01\x00\x00\x01",
        b"\x16\x04\x01\x00\x80\x01",
        b"\x16\x03\x01\x00\x80\x02",
        b"\x00\x00\x10\x00",
        b"\x00\x00\x00\x40" + bytes(4) + b"\x03" + bytes(19),
        b"\x00\x00\x00\x40" + bytes(4) + b"\x01\x00\x00\x01" + bytes(16),
    ],
)
def test_what_only_looks_like_a_wire_is_not_taken_for_it(head: bytes) -> None:
    """Wrong length, wrong version, a frame that is no hello, a channel in a hello."""
    assert ALL.verdict(head) == UNRECOGNISED


@given(head=st.binary(max_size=2 * SNIFF_LIMIT))
def test_any_bytes_get_a_verdict_by_the_limit_and_no_error(head: bytes) -> None:
    """Nonsense is unrecognised at once or after 1 KiB, whatever it is."""
    verdict = ALL.verdict(head)
    assert verdict in {None, UNRECOGNISED, *RECOGNISERS}
    if len(head) >= SNIFF_LIMIT:
        assert verdict is not None


@given(st.data())
def test_more_bytes_never_turn_one_wire_into_another(data: st.DataObject) -> None:
    """A verdict on a piece is the verdict on the whole."""
    wire = data.draw(st.sampled_from(sorted(BEGINNINGS)))
    whole = BEGINNINGS[wire] + data.draw(st.binary(max_size=64))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole = whole[:place] + data.draw(st.binary(min_size=1, max_size=1)) + whole[place + 1 :]
    first = next((ALL.verdict(whole[:size]) for size in range(len(whole)) if ALL.verdict(whole[:size])), None)
    if first is not None:
        assert ALL.verdict(whole) == first


def test_a_wire_of_your_own_is_recognised_by_its_magic() -> None:
    """The door for what comes later."""
    sniffer = Sniffer({**RECOGNISERS, "mine": begins_with(b"MINE1")})
    assert [sniffer.verdict(head) for head in (b"MI", b"MINE1!", b"MINE2")] == [None, "mine", UNRECOGNISED]


def test_native_names_are_refused_on_legacy_wires_unless_they_may_go_back() -> None:
    """No downgrade; the router can say that a name may."""
    names = NativeNames(allow_legacy=lambda name: name == "lamp-2")
    for name in ("lamp-1", "lamp-2"):
        names.add(name)
    assert [names.refuses(name) for name in ("lamp-1", "lamp-2", "lamp-3")] == [True, False, False]
    assert names.refused == 1
    names.discard("lamp-1")
    assert not names.refuses("lamp-1")


def test_memory_of_native_names_is_bounded_and_keeps_who_is_seen() -> None:
    """The quietest goes first, and asking about a name is a sign of it."""
    names, rng = NativeNames(limit=100), random.Random(1)
    names.add("kept")
    for _ in range(1000):
        names.add(f"flood-{rng.random()}")
        assert names.refuses("kept")
    assert len(names) == 100
    assert "kept" in names
