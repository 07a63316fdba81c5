"""What a receiver must remember of a sender, as one small record.

It is opaque to stores: a name and some bytes, so that an application's own database needs one table of two columns,
and a newer version of us can remember more without anyone changing a schema.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

VERSION: Final = 1
Number = Annotated[int, Meta(ge=0)]


class Mark(msgspec.Struct, array_like=True, frozen=True):
    """How far one channel of a sender has been dealt with."""

    through: Number
    """Everything up to this sequence was committed, refused or skipped."""
    exceptions: dict[int, int] = {}
    """Codes of those at or below it that were not committed, while the sender may not know."""


class SenderRecord(msgspec.Struct, array_like=True, frozen=True):
    """One sender."""

    version: Number
    epoch: Number
    """The incarnation of its outbox that the marks are about."""
    generation: Number
    """The highest number that a process of it was given."""
    holder: Number
    """The incarnation whose claim on the name counts; 0 for none."""
    holder_generation: Number
    """The number of that claim."""
    memory: Number
    """The token that this memory has for it."""
    marks: dict[int, Mark] = {}
    """Per channel."""


def encode_record(record: SenderRecord) -> bytes:
    """Return the bytes that a store keeps."""
    return msgspec.msgpack.encode(record)


def decode_record(name: str, data: bytes) -> SenderRecord:
    """Read what a store has kept.

    Raises:
        ValueError: when it isn't a record that we understand.
    """
    try:
        record = msgspec.msgpack.decode(data, type=SenderRecord)
    except msgspec.MsgspecError as error:
        raise ValueError(f"the record of sender {name!r} can't be read: {error}") from error
    if record.version != VERSION:
        raise ValueError(f"the record of sender {name!r} has version {record.version}, this agt reads {VERSION}")
    return record
