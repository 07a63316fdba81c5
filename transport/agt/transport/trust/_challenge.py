"""What the two ends of a keyed connection say before anything else: hello, challenge, proof.

Theory of operation. Both ends know a secret K by its id. The dialling side says who it is, which key it has, and a
fresh nonce. The accepting side answers with who it is, a nonce of its own and its proof; the dialling side, convinced,
gives its own proof. A proof is keyed BLAKE2b, with K as the key, over a hash of everything that both have said
(versions, key id, both names, both nonces), under a label that tells the two proofs apart. Therefore:

- a proof that was overheard is worth nothing: the other side's nonce is new each time;
- a proof can't be thrown back: the label says which side gave it;
- nothing that was said can be changed on the way, neither names nor versions: both sides hash what they saw.

From the same hash come the two keys for the tags on everything that follows (`_records`), one for each direction.

This file is the form of those words and the arithmetic; who says what when is in `_key_layer`.
"""

import enum
import hmac
import struct
from hashlib import blake2b
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from agt.transport._errors import PeerViolation
from agt.transport.trust._keys import KEY_ID_MAX, PreSharedKey

MAGIC: Final = b"AGTK"
"""The first four bytes of a keyed connection; as a native frame's length they would be over every limit."""
VERSION: Final = 1
NONCE_SIZE: Final = 32
PROOF_SIZE: Final = 32
KEY_SIZE: Final = 32
_HEADER: Final = struct.Struct("!4sBBH")
"""Magic, version, kind, bytes that follow."""
HEADER_SIZE: Final = _HEADER.size
PROOF_MESSAGE_SIZE: Final = HEADER_SIZE + PROOF_SIZE
MESSAGE_MAX: Final = 1024 - PROOF_MESSAGE_SIZE
"""Largest message in bytes: a hello and a proof together stay within 1 KiB."""

Nonce = Annotated[bytes, Meta(min_length=NONCE_SIZE, max_length=NONCE_SIZE)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
KeyId = Annotated[str, Meta(min_length=1, max_length=KEY_ID_MAX)]
Version = Annotated[int, Meta(ge=1, le=255)]


class Kind(enum.IntEnum):
    """What a message is; the numbers are the wire's."""

    HELLO = 1
    CHALLENGE = 2
    PROOF = 3
    REFUSED = 4


class KeyHello(msgspec.Struct, array_like=True, frozen=True):
    """The dialling side begins."""

    version_min: Version
    """Oldest version of these words that it speaks."""
    version_max: Version
    """Newest version."""
    key_id: KeyId
    """Which key it has."""
    name: Name
    """Who it is."""
    nonce: Nonce
    """What has never been said before."""


class KeyChallenge(msgspec.Struct, array_like=True, frozen=True):
    """The accepting side answers; its proof follows."""

    version: Version
    """The version that both speak."""
    name: Name
    """Who it is."""
    nonce: Nonce
    """What has never been said before."""


class KeyRefused(msgspec.Struct, array_like=True, frozen=True):
    """The accepting side ends the connection; anybody could say this, so it is never believed to be final."""

    text: Annotated[str, Meta(max_length=256)]
    """Why, for people."""


_Body = TypeVar("_Body", KeyHello, KeyChallenge, KeyRefused)


def encode_message(kind: Kind, body: KeyHello | KeyChallenge | KeyRefused | None, proof_size: int = 0) -> bytes:
    """Return a message, without the proof that may follow it but with room for it in its length."""
    data = msgspec.msgpack.encode(body) if body is not None else b""
    return _HEADER.pack(MAGIC, VERSION, kind, len(data) + proof_size) + data


def decode_body(data: bytes, form: type[_Body]) -> _Body:
    """Read the body of a message.

    Raises:
        PeerViolation: when it isn't one.
    """
    try:
        return msgspec.msgpack.decode(data, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PeerViolation(f"unreadable {form.__name__}: {error}", data) from error


def message_size(data: bytes, kinds: frozenset[Kind]) -> int:
    """Return the whole size of the message that begins here; only the header has to be there.

    Raises:
        PeerViolation: when it is no message of these kinds, or too large.
    """
    magic, version, kind, length = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise PeerViolation("no key exchange", data)
    if version != VERSION or kind not in kinds:
        raise PeerViolation(f"message {kind} of version {version} in the key exchange")
    size = HEADER_SIZE + int(length)
    if size > MESSAGE_MAX:
        raise PeerViolation(f"a message of {size} bytes in the key exchange, the limit is {MESSAGE_MAX}")
    return size


def common_version(hello: KeyHello) -> int | None:
    """Return the version of these words that both speak, or None."""
    return VERSION if hello.version_min <= VERSION <= hello.version_max else None


class Secrets:
    """What both ends of one connection compute alike, and nobody else can."""

    __slots__ = ("accepting_proof", "dialling_proof", "to_accepting", "to_dialling")

    def __init__(self, key: PreSharedKey, hello: bytes, challenge: bytes) -> None:
        """Compute from the two messages as they went over the wire, the challenge without its proof."""
        transcript = blake2b(hello + challenge, digest_size=KEY_SIZE, person=b"agt1 transcript").digest()
        secret = key.reveal()

        def derive(label: bytes) -> bytes:
            return blake2b(transcript, key=secret, digest_size=KEY_SIZE, person=label).digest()

        self.accepting_proof = derive(b"agt1 accepts")
        """What the accepting side proves itself with."""
        self.dialling_proof = derive(b"agt1 dials")
        """What the dialling side proves itself with."""
        self.to_accepting = derive(b"agt1 to-accept")
        """The key for the tags of what the dialling side writes."""
        self.to_dialling = derive(b"agt1 to-dial")
        """The key for the tags of what the accepting side writes."""

    def __repr__(self) -> str:
        return "Secrets(...)"


def same(proof: bytes, expected: bytes) -> bool:
    """Whether a proof is right, in a time that says nothing about where it is wrong."""
    return hmac.compare_digest(proof, expected)
