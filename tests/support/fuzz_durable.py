"""Fuzz targets for what a store gives back after a crash: rows that may be damaged, or of a newer agt."""

import contextlib
from zlib import crc32

from agt.transport.durable._inbox_record import decode_record, encode_record
from agt.transport.durable._writes import Segment, unpack
from support.fuzz_support import Target


def sender_record(data: bytes) -> None:
    """A sender's record is read or refused, and written back the same."""
    with contextlib.suppress(ValueError):
        record = decode_record("lamp-1", data)
        assert decode_record("lamp-1", encode_record(record)) == record


def outbox_segment(data: bytes) -> None:
    """A segment whose checksum holds is read or refused, whoever wrote it; one whose checksum fails is refused."""
    segment = Segment(0, 1, 3, data)
    with contextlib.suppress(ValueError):
        messages = unpack(segment, crc32(data, 1))
        assert len(messages) == 3
        assert all(message.ended or isinstance(message.payload, bytes) for message in messages)
    try:
        unpack(segment, crc32(data, 1) ^ 1)
    except ValueError:
        return
    raise AssertionError("a segment with a wrong checksum was read")


TARGETS = (
    Target("sender_record", sender_record, (b"\x97\x01", b"\x92", b"\x80", b"\xcf" + bytes(8))),
    Target("outbox_segment", outbox_segment, (b"\x94", b"\xcb" + bytes(8), b"\xc0", b"\xc4\x01x")),
)
