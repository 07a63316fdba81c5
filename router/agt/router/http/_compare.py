"""One answer as fields, so that the shadow can compare two of them: status, chosen headers, the body by path.

A JSON body is taken apart; any other is one field. What is packed is unpacked first, since two services may pack
differently and mean the same.
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

from agt.router._path import Message
from agt.router.http._headers import RawHeaders, first
from agt.router.shadow import Leaf, json_fields, reply_leaves


class Answer(NamedTuple):
    """One answer, whole."""

    status: int
    headers: RawHeaders
    """Names in lower case."""
    body: bytes


def answer_leaves(answer: Answer, message: Message, *, headers: Sequence[str], body_max: int) -> dict[str, Leaf]:
    """Return an answer's fields by path.

    Args:
        answer: What was answered.
        message: To which request.
        headers: Names of the headers that count.
        body_max: Largest body that is unpacked, in bytes.
    """
    leaves = {"status": Leaf("status", str(answer.status))}
    for name in headers:
        value = first(answer.headers, name.lower().encode())
        if value is not None:
            path = f"header.{name.lower()}"
            leaves[path] = Leaf(path, value.decode("latin-1"))
    return leaves | reply_leaves(json_fields, message, unpacked(answer, body_max))


def unpacked(answer: Answer, body_max: int) -> bytes:
    """Return a body without gzip or deflate around it; as it is where it can't be unpacked within `body_max` bytes."""
    encoding = (first(answer.headers, b"content-encoding") or b"").strip().lower()
    if encoding not in (b"gzip", b"x-gzip", b"deflate"):
        return answer.body
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # Takes the header of either.
    try:
        body = unpacker.decompress(answer.body, body_max)
    except zlib.error:
        return answer.body
    return answer.body if unpacker.unconsumed_tail else body
