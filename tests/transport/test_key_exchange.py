"""The key exchange and its records as pure cores: what convinces, what doesn't, byte for byte and under fuzz."""

import random
from collections.abc import Callable
from hashlib import blake2b

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.transport import KeyRing, PeerViolation, PreSharedKey
from agt.transport.trust import AcceptingLayer, DiallingLayer, KeyLayer, NotProven, RecordReader, RecordWriter, WrongTag

SECRET = bytes(range(32))
KEY = PreSharedKey("k1", SECRET)

CHALLENGE = (
    "4147544b0102004c9301a767617465776179c420acacacacacacacacacacacacacacacacacacacacacacacacacacacac"
    "acacacac5c4550e65eb9bf6a24e6ebb13db664c170db51451b1da863360027179c8ff8ae"
)
PROOF = "4147544b010300203b6679dfa320647d5292a1c8ed33e88061dffe2fa01295a6ea55d8e3ff48eb1d"
FIRST_RECORD = "00000003a4bd2df82e0ad7526dfe93c2421cc665616263"
SECOND_RECORD = "000000037bf80db5a739d1693e10544013268514616263"
RECORD_BACK = "0000000353a3610d35073e3e34daa548ad720b4c616263"
"""Key k1 of bytes 0 to 31, names dev-1 and gateway, nonces of 0xD1 and 0xAC, payloads abc."""


class FixedNonce(random.Random):
    """Draws the same bytes for ever: for vectors, and for showing that fresh ones matter."""

    def __init__(self, byte: int) -> None:
        super().__init__(0)
        self._byte = byte

    def randbytes(self, n: int) -> bytes:
        """Return one byte, repeated."""
        return bytes([self._byte]) * n


def pair(
    dials: PreSharedKey = KEY, accepts: PreSharedKey = KEY, seed: int = 1, name: str = "gateway"
) -> tuple[DiallingLayer, AcceptingLayer]:
    """Make both ends of an exchange that has not begun."""
    rng = random.Random(seed)
    return DiallingLayer(dials, "dev-1", rng=rng), AcceptingLayer(KeyRing(accepts).get, name, rng=rng)


def exchange(one: KeyLayer, other: KeyLayer) -> None:
    """Carry words between two ends until both are silent."""
    while True:
        there = one.data_to_send()
        other.receive_data(there)
        back = other.data_to_send()
        one.receive_data(back)
        if not there and not back:
            return


def test_both_ends_prove_themselves_and_learn_the_other_s_name():
    """Three messages, and tagged bytes both ways."""
    dialler, acceptor = pair()
    exchange(dialler, acceptor)
    assert (dialler.established, acceptor.established) == (True, True)
    assert (dialler.peer, acceptor.peer) == ("gateway", "dev-1")
    assert acceptor.receive_data(dialler.seal(b"there")) == b"there"
    assert dialler.receive_data(acceptor.seal(b"back")) == b"back"


def test_the_bytes_are_those_of_the_specification():
    """Golden vectors (docs/architecture/protocol-specification.md): another implementation can be checked by them."""
    dialler = DiallingLayer(KEY, "dev-1", rng=FixedNonce(0xD1))
    acceptor = AcceptingLayer(KeyRing(KEY).get, "gateway", rng=FixedNonce(0xAC))
    hello = dialler.data_to_send()
    acceptor.receive_data(hello)
    challenge = acceptor.data_to_send()
    dialler.receive_data(challenge)
    proof = dialler.data_to_send()
    acceptor.receive_data(proof)
    assert hello.hex() == ("4147544b0101002e" + "950101a26b31a56465762d31c420" + "d1" * 32)
    assert challenge.hex() == CHALLENGE
    assert proof.hex() == PROOF
    assert dialler.seal(b"abc").hex() == FIRST_RECORD
    assert dialler.seal(b"abc").hex() == SECOND_RECORD
    assert acceptor.seal(b"abc").hex() == RECORD_BACK


def test_the_vectors_follow_from_the_text_of_the_specification():
    """The same numbers, computed here from scratch as the page says."""
    hello = b"AGTK\x01\x01" + (46).to_bytes(2, "big") + msgspec.msgpack.encode([1, 1, "k1", "dev-1", b"\xd1" * 32])
    body = msgspec.msgpack.encode([1, "gateway", b"\xac" * 32])
    challenge = b"AGTK\x01\x02" + (len(body) + 32).to_bytes(2, "big") + body
    transcript = blake2b(hello + challenge, digest_size=32, person=b"agt1 transcript").digest()

    def derived(label: bytes) -> bytes:
        return blake2b(transcript, key=SECRET, digest_size=32, person=label).digest()

    assert (challenge + derived(b"agt1 accepts")).hex() == CHALLENGE
    assert (b"AGTK\x01\x03\x00\x20" + derived(b"agt1 dials")).hex() == PROOF
    for number, expected in enumerate((FIRST_RECORD, SECOND_RECORD)):
        counted = number.to_bytes(8, "big") + (3).to_bytes(4, "big") + b"abc"
        tag = blake2b(counted, key=derived(b"agt1 to-accept"), digest_size=16).digest()
        assert ((3).to_bytes(4, "big") + tag + b"abc").hex() == expected


@given(cuts=st.lists(st.integers(1, 7), max_size=60))
def test_an_exchange_cut_anywhere_is_the_same_exchange(cuts: list[int]):
    """Bytes come as the network likes."""
    dialler, acceptor = pair()
    sizes = iter(cuts)

    def carry(source: KeyLayer, sink: KeyLayer) -> None:
        data = source.data_to_send()
        while data:
            size = next(sizes, len(data))
            sink.receive_data(data[:size])
            data = data[size:]

    carry(dialler, acceptor)
    carry(acceptor, dialler)
    carry(dialler, acceptor)
    assert acceptor.established
    assert dialler.established


def test_another_secret_under_the_same_id_convinces_nobody():
    """The dialling side finds out first, and says nothing more."""
    dialler, acceptor = pair(accepts=PreSharedKey("k1", bytes(32)))
    acceptor.receive_data(dialler.data_to_send())
    with pytest.raises(NotProven, match="did not prove that it has key 'k1'"):
        dialler.receive_data(acceptor.data_to_send())
    assert (dialler.established, dialler.peer, dialler.data_to_send()) == (False, "", b"")


def test_an_unknown_key_is_refused_in_words():
    """The id is no secret; which others there are is not said."""
    dialler, acceptor = pair(accepts=PreSharedKey("k2", SECRET))
    with pytest.raises(NotProven, match="no key of this id"):
        acceptor.receive_data(dialler.data_to_send())
    with pytest.raises(NotProven, match="refused key 'k1': no key of this id is known here"):
        dialler.receive_data(acceptor.data_to_send())


def test_a_refusal_by_nobody_in_particular_can_do_no_harm_in_a_terminal():
    """Whoever answers has proven nothing, so its words are printed with care."""
    dialler, _ = pair()
    body = msgspec.msgpack.encode(["\x1b[2J\nroot logged in"])
    with pytest.raises(NotProven) as caught:
        dialler.receive_data(b"AGTK\x01\x04" + len(body).to_bytes(2, "big") + body)
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_replayed_exchange_is_worth_nothing():
    """All that was overheard, played back: the nonce of the accepting side is another one each time."""
    dialler, acceptor = pair()
    hello = dialler.data_to_send()
    acceptor.receive_data(hello)
    dialler.receive_data(acceptor.data_to_send())
    proof = dialler.data_to_send() + dialler.seal(b"open the door")
    again = AcceptingLayer(KeyRing(KEY).get, "gateway", rng=random.Random(2))
    again.receive_data(hello)
    with pytest.raises(NotProven, match="the proof is wrong"):
        again.receive_data(proof)
    assert not again.established
    assert again.peer == ""


def test_a_replayed_challenge_is_worth_nothing():
    """The same from the other side: an old answer fits no new hello."""
    dialler, acceptor = pair()
    acceptor.receive_data(dialler.data_to_send())
    challenge = acceptor.data_to_send()
    again = DiallingLayer(KEY, "dev-1", rng=random.Random(2))
    with pytest.raises(NotProven, match="did not prove"):
        again.receive_data(challenge)


def test_a_proof_thrown_back_is_no_proof():
    """Reflection: who dials is sent its own words, or the accepting side its own proof."""
    dialler, acceptor = pair()
    hello = dialler.data_to_send()
    with pytest.raises(NotProven):
        dialler.receive_data(hello)
    dialler, acceptor = pair()
    acceptor.receive_data(dialler.data_to_send())
    its_own = acceptor.data_to_send()[-32:]
    with pytest.raises(NotProven, match="the proof is wrong"):
        acceptor.receive_data(b"AGTK\x01\x03\x00\x20" + its_own)


def test_records_thrown_back_are_no_records():
    """Each direction has a key of its own."""
    dialler, acceptor = pair()
    exchange(dialler, acceptor)
    with pytest.raises(WrongTag):
        dialler.receive_data(dialler.seal(b"mine"))
    with pytest.raises(WrongTag):
        acceptor.receive_data(acceptor.seal(b"mine"))


def test_a_listener_that_is_ourselves_is_told_apart_by_its_name():
    """A dialler relayed to the listener of its own process, which has the key, too."""
    dialler, acceptor = pair(name="dev-1")
    acceptor.receive_data(dialler.data_to_send())
    with pytest.raises(NotProven, match="calls itself 'dev-1', as we do"):
        dialler.receive_data(acceptor.data_to_send())


def test_a_key_may_be_for_some_names_only():
    """Who else has the key can't pose as the listener."""
    dialler, acceptor = pair(dials=PreSharedKey("k1", SECRET, peers=("controller",)))
    acceptor.receive_data(dialler.data_to_send())
    with pytest.raises(NotProven, match="key 'k1' is not for a listener of the name 'gateway'"):
        dialler.receive_data(acceptor.data_to_send())


@pytest.mark.parametrize(("place", "what"), [(4, "version"), (5, "kind"), (20, "name"), (40, "nonce")])
def test_nothing_that_was_said_can_be_changed_on_the_way(place: int, what: str):
    """One bit anywhere, and both proofs are about something else."""
    dialler, acceptor = pair()
    hello = bytearray(dialler.data_to_send())
    hello[place] ^= 1
    try:
        acceptor.receive_data(bytes(hello))
    except NotProven:
        return
    with pytest.raises(NotProven):
        dialler.receive_data(acceptor.data_to_send())


def test_another_version_is_refused_in_words():
    """With what we speak and what they offered."""
    _, acceptor = pair()
    body = msgspec.msgpack.encode([2, 3, "k1", "dev-1", bytes(32)])
    with pytest.raises(NotProven, match="we speak version 1 of the key exchange, not 2 to 3"):
        acceptor.receive_data(b"AGTK\x01\x01" + len(body).to_bytes(2, "big") + body)


def test_a_newer_dialler_is_answered_in_the_version_of_both():
    """Fields behind those that we know are ignored."""
    _, acceptor = pair()
    body = msgspec.msgpack.encode([1, 3, "k1", "dev-1", bytes(32), "more"])
    acceptor.receive_data(b"AGTK\x01\x01" + len(body).to_bytes(2, "big") + body)
    assert acceptor.data_to_send()[:6] == b"AGTK\x01\x02"


def test_a_length_of_the_peer_s_choosing_allocates_nothing():
    """984 bytes are the most that a hello may announce, and what it announces is only compared."""
    _, acceptor = pair()
    with pytest.raises(NotProven, match="a message of 985 bytes in the key exchange, the limit is 984"):
        acceptor.receive_data(b"AGTK\x01\x01" + (977).to_bytes(2, "big"))


def test_nobody_speaks_before_it_was_challenged():
    """Bytes behind a hello could only be guesses."""
    dialler, acceptor = pair()
    with pytest.raises(NotProven, match="before it was challenged"):
        acceptor.receive_data(dialler.data_to_send() + b"x")


def records(*payloads: bytes) -> list[bytes]:
    """Return payloads as one direction writes them."""
    writer = RecordWriter(SECRET)
    return [writer.seal(payload) for payload in payloads]


@given(payloads=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8), size=st.integers(1, 50))
def test_records_come_out_as_they_went_in_however_they_are_cut(payloads: list[bytes], size: int):
    """Whole, in order, once."""
    reader = RecordReader(SECRET)
    stream = b"".join(records(*payloads))
    pieces = [reader.receive_data(stream[at : at + size]) for at in range(0, len(stream), size)]
    assert b"".join(pieces) == b"".join(payloads)
    assert reader.held == 0


def test_a_flush_of_any_size_is_cut_into_bounded_records():
    """Whoever reads has to hold one record at most."""
    big = random.Random(1).randbytes(200_001)
    reader = RecordReader(SECRET)
    sealed = RecordWriter(SECRET).seal(big)
    assert len(sealed) == len(big) + 13 * 20
    assert reader.receive_data(sealed) == big
    assert RecordWriter(SECRET).seal(b"") == b""


def swapped(stream: list[bytes]) -> list[bytes]:
    """Let the second record overtake the first."""
    return [stream[1], stream[0], *stream[2:]]


def repeated(stream: list[bytes]) -> list[bytes]:
    """Send the first record twice."""
    return [stream[0], *stream]


def left_out(stream: list[bytes]) -> list[bytes]:
    """Swallow the first record."""
    return stream[1:]


def injected(stream: list[bytes]) -> list[bytes]:
    """Put bytes of our own between two records."""
    return [stream[0], (5).to_bytes(4, "big") + bytes(16) + b"agt!!", *stream[1:]]


def cut_short(stream: list[bytes]) -> list[bytes]:
    """Take a byte from the end of the first record, and say so in its length."""
    return [(len(stream[0]) - 21).to_bytes(4, "big") + stream[0][4:-1], *stream[1:]]


def joined(stream: list[bytes]) -> list[bytes]:
    """Make one record of two by their lengths."""
    return [(23).to_bytes(4, "big") + stream[0][4:], *stream[1:]]


@pytest.mark.parametrize("attack", [swapped, repeated, left_out, injected, cut_short, joined])
def test_a_record_out_of_place_ends_it(attack: Callable[[list[bytes]], list[bytes]]):
    """Nothing behind the last right tag is ever handed out."""
    reader = RecordReader(SECRET)
    taken: list[bytes] = []
    with pytest.raises(WrongTag):
        taken.extend(map(reader.receive_data, attack(records(b"one", b"two", b"three"))))
    assert b"onetwothree".startswith(b"".join(taken))


@given(place=st.integers(0, 200), bit=st.integers(0, 7))
def test_one_bit_anywhere_in_a_stream_of_records_is_found(place: int, bit: int):
    """Lengths, tags and bytes are all covered."""
    stream = bytearray(b"".join(records(b"one" * 20, b"two" * 20, b"three" * 10)))
    stream[place % len(stream)] ^= 1 << bit
    reader = RecordReader(SECRET)
    taken = b""
    try:
        taken = reader.receive_data(bytes(stream))
    except (WrongTag, PeerViolation):
        return
    assert reader.held > 0  # A longer length: it waits for bytes that never come.
    assert (b"one" * 20 + b"two" * 20).startswith(taken)


@given(data=st.binary(max_size=2000), chunk=st.integers(1, 2000))
def test_no_bytes_bring_the_parsers_down(data: bytes, chunk: int):
    """Arbitrary bytes end in words, and hold no more than a message."""
    parsers: list[KeyLayer | RecordReader] = [*pair(), RecordReader(SECRET)]
    for parser in parsers:
        taken = 0
        try:
            while taken < len(data):
                parser.receive_data(data[taken : taken + chunk])
                taken += chunk
        except (NotProven, WrongTag, PeerViolation):
            pass
        assert not getattr(parser, "established", False)


@given(tail=st.binary(max_size=1100), kind=st.integers(0, 5), length=st.integers(0, 1200))
def test_no_message_of_the_right_form_brings_the_parsers_down(tail: bytes, kind: int, length: int):
    """The same with a header that passes, so that the bodies are reached."""
    head = b"AGTK\x01" + bytes([kind]) + length.to_bytes(2, "big")
    for parser in pair():
        with pytest.raises(NotProven):
            parser.receive_data(head + tail + bytes(2000))  # So many that none of them waits for more.
        assert not parser.established
