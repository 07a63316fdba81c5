"""The two ends of a keyed connection: first the exchange of proofs, then tagged records; bytes in, bytes out.

Nothing of what a peer says is acted on before its proof was verified: the accepting side looks up the key by its id,
and that is all. What stands in for a limit on memory and time: one message of at most 984 bytes each way, a proof of
40, and nothing allocated by a number that the peer sent; the time is the driver's to limit.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from agt.transport._errors import PeerViolation, TransportError
from agt.transport.trust._challenge import (
    HEADER_SIZE,
    MAGIC,
    NONCE_SIZE,
    PROOF_SIZE,
    VERSION,
    KeyChallenge,
    KeyHello,
    KeyRefused,
    Kind,
    Secrets,
    common_version,
    decode_body,
    encode_message,
    message_size,
    same,
)
from agt.transport.trust._keys import PreSharedKey
from agt.transport.trust._records import RecordReader, RecordWriter

if TYPE_CHECKING:
    from random import Random

_TEXT_MAX = 256


class NotProven(TransportError):
    """Raised when the other end has not proven, or can't prove, that it has our key; nothing it said counts."""


class KeyLayer:
    """What both roles have in common: bytes gathered to messages, and records once both proofs are given."""

    __slots__ = ("_expected", "_gathered", "_outgoing", "_reader", "_writer", "established", "key", "peer")

    def __init__(self, expected: Kind) -> None:
        self.established = False
        """Whether both sides have proven that they have the key, as far as this one can know."""
        self.peer = ""
        """The other end's name; empty until its proof was verified."""
        self.key: PreSharedKey | None = None
        """The key that the connection was made with."""
        self._expected: frozenset[Kind] = frozenset({expected})
        self._gathered = b""
        self._outgoing = b""
        self._reader: RecordReader | None = None
        self._writer: RecordWriter | None = None

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes from the wire and return what the peer has written, once it is proven.

        Raises:
            NotProven: in words, when the exchange fails; a refusal for the peer may be in `data_to_send`.
            WrongTag: when a record is not the next one that the peer wrote.
            PeerViolation: when a record announces no bytes or too many.
        """
        if self._reader is not None:
            return self._reader.receive_data(data)
        self._gathered += data  # Never more than a message and one chunk: what exceeds a message ends the exchange.
        try:
            while len(self._gathered) >= HEADER_SIZE and self._reader is None:
                size = message_size(self._gathered, self._expected)
                if len(self._gathered) < size:
                    return b""
                message, self._gathered = self._gathered[:size], self._gathered[size:]
                self._take(message)
        except PeerViolation as violation:
            raise NotProven(self._not_understood(violation)) from violation
        if self._reader is None:
            return b""
        rest, self._gathered = self._gathered, b""
        return self._reader.receive_data(rest)

    def seal(self, data: bytes) -> bytes:
        """Return the bytes for the wire of what one flush wrote; only once `established`."""
        assert self._writer is not None, "nothing is written before both sides are known"
        return self._writer.seal(data)

    def data_to_send(self) -> bytes:
        """Return, once, the next words of the exchange."""
        data, self._outgoing = self._outgoing, b""
        return data

    def _take(self, message: bytes) -> None:
        raise NotImplementedError

    def _not_understood(self, violation: PeerViolation) -> str:
        raise NotImplementedError

    def _establish(self, peer: str, reads: bytes, writes: bytes) -> None:
        self.peer = peer
        self._reader, self._writer = RecordReader(reads), RecordWriter(writes)
        self.established = True


class DiallingLayer(KeyLayer):
    """The side that dialled: says hello, demands a proof, gives its own."""

    __slots__ = ("_hello", "_name")

    def __init__(self, key: PreSharedKey, name: str, *, rng: "Random") -> None:
        """Begin; the hello is in `data_to_send` at once.

        Args:
            key: what both sides know.
            name: who we are; at most 128 characters.
            rng: draws the nonce; one that nobody can guess, outside of tests.
        """
        super().__init__(Kind.CHALLENGE)
        self._expected = frozenset({Kind.CHALLENGE, Kind.REFUSED})
        self.key, self._name = key, name
        hello = KeyHello(VERSION, VERSION, key.id, name, rng.randbytes(NONCE_SIZE))
        self._outgoing = self._hello = encode_message(Kind.HELLO, hello)

    def _take(self, message: bytes) -> None:
        assert self.key is not None, "a dialling side has a key from the start"
        if message[len(MAGIC) + 1] == Kind.REFUSED:
            text = printable(decode_body(message[HEADER_SIZE:], KeyRefused).text)
            raise NotProven(f"the listener refused key {self.key.id!r}: {text}")
        challenge, proof = message[:-PROOF_SIZE], message[-PROOF_SIZE:]
        if len(challenge) < HEADER_SIZE:
            raise PeerViolation("a challenge without a proof")
        secrets = Secrets(self.key, self._hello, challenge)
        if not same(proof, secrets.accepting_proof):
            raise NotProven(
                f"the listener did not prove that it has key {self.key.id!r}: its key of that id is another one, "
                "or it is not our listener"
            )
        body = decode_body(challenge[HEADER_SIZE:], KeyChallenge)
        if body.version != VERSION:
            raise NotProven(f"the listener chose version {body.version} of the key exchange, which we did not offer")
        if body.name == self._name:
            raise NotProven(f"the listener calls itself {body.name!r}, as we do: is this our own listener?")
        if not self.key.allows(body.name):
            raise NotProven(f"key {self.key.id!r} is not for a listener of the name {printable(body.name)!r}")
        self._outgoing = encode_message(Kind.PROOF, None, PROOF_SIZE) + secrets.dialling_proof
        self._establish(body.name, secrets.to_dialling, secrets.to_accepting)

    def _not_understood(self, violation: PeerViolation) -> str:
        return f"the listener did not answer our challenge ({violation}); does it have keys?"


class AcceptingLayer(KeyLayer):
    """The side that was dialled: proves itself, and believes nothing until the caller has."""

    __slots__ = ("_caller", "_find", "_name", "_rng", "_secrets")

    def __init__(self, find: Callable[[str], PreSharedKey | None], name: str, *, rng: "Random") -> None:
        """Wait for a hello.

        Args:
            find: returns the key with an id, or None.
            name: who we are.
            rng: draws the nonce; one that nobody can guess, outside of tests.
        """
        super().__init__(Kind.HELLO)
        self._find, self._name, self._rng = find, name, rng
        self._caller = ""
        self._secrets: Secrets | None = None

    def _take(self, message: bytes) -> None:
        if self._secrets is None:
            self._take_hello(message)
        else:
            self._take_proof(message, self._secrets)

    def _take_hello(self, message: bytes) -> None:
        hello = decode_body(message[HEADER_SIZE:], KeyHello)
        if common_version(hello) is None:
            self._refuse(
                f"we speak version {VERSION} of the key exchange, not {hello.version_min} to {hello.version_max}"
            )
        if self._gathered:
            raise PeerViolation("it went on before it was challenged")
        key = self._find(hello.key_id)
        if key is None:
            self._refuse("no key of this id is known here")
        self.key, self._caller = key, hello.name
        challenge = encode_message(
            Kind.CHALLENGE, KeyChallenge(VERSION, self._name, self._rng.randbytes(NONCE_SIZE)), PROOF_SIZE
        )
        self._secrets = Secrets(key, message, challenge)
        self._outgoing = challenge + self._secrets.accepting_proof
        self._expected = frozenset({Kind.PROOF})

    def _take_proof(self, message: bytes, secrets: Secrets) -> None:
        if not same(message[HEADER_SIZE:], secrets.dialling_proof):
            self._refuse("the proof is wrong")
        self._secrets = None
        self._establish(self._caller, secrets.to_accepting, secrets.to_dialling)

    def _refuse(self, text: str) -> NoReturn:
        self._outgoing = encode_message(Kind.REFUSED, KeyRefused(text))
        raise NotProven(text)

    def _not_understood(self, violation: PeerViolation) -> str:
        return f"a caller did not complete the key exchange: {violation}"


def printable(text: str) -> str:
    """Return the text of somebody unknown such that it can do no harm in a log or a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text[:_TEXT_MAX])
