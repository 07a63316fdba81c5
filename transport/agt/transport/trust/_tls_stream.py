"""TLS over any byte stream: the portable way, for asyncio and trio alike.

anyio's own TLS stream drops the alert of a handshake that fails; a peer that was refused would learn nothing. This
one is a thin driver of `TLSLayer`, which says what went wrong in words.
"""

import ssl
from collections.abc import Callable, Mapping
from typing import Any

import anyio
from anyio.abc import ByteStream

from agt.transport._link import Link
from agt.transport.trust._certificates import PeerCertificate
from agt.transport.trust._parting import part
from agt.transport.trust._secured_link import SecuredLink
from agt.transport.trust._tls_layer import TLSFailure, TLSLayer

READ_SIZE = 65536
"""Most bytes taken from the stream below at once."""


class SaidByTLS(anyio.BrokenResourceError):
    """Raised when TLS itself ended the connection; says why in words."""


class TLSByteStream(ByteStream):
    """A byte stream whose other end is known and whose contents are secret; one reader, one writer."""

    def __init__(self, stream: ByteStream, layer: TLSLayer) -> None:
        """Put the layer over the stream; use `handshake` first."""
        self._stream, self._layer = stream, layer
        self._plain = b""

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the stream below."""
        return self._stream.extra_attributes

    @property
    def peer_certificate(self) -> PeerCertificate | None:
        """The peer's verified certificate, if it showed one."""
        return self._layer.peer_certificate

    @property
    def below(self) -> ByteStream:
        """The stream that carries the encrypted bytes."""
        return self._stream

    def secured(self, link: Link) -> SecuredLink:
        """Return a link as it looks from below; this stream must not be used again."""
        heard, self._plain = self._plain, b""
        return SecuredLink(link, self._layer, heard)

    async def handshake(self) -> None:
        """Shake hands; the connection is of no use when this fails.

        Raises:
            TLSFailure: in words that say what to do.
            anyio.EndOfStream: when the peer hung up.
            anyio.BrokenResourceError: when the connection broke.
        """
        await self._flush()
        while not self._layer.established:
            data = await self._stream.receive(READ_SIZE)
            try:
                self._plain += self._layer.receive_data(data)
            except TLSFailure:
                await part(self._stream, self._layer.data_to_send())
                raise
            await self._flush()

    async def receive(self, max_bytes: int = READ_SIZE) -> bytes:
        """Return what has come, at most `max_bytes`, waiting for the first byte."""
        while not self._plain:
            if self._layer.ended:
                raise anyio.EndOfStream
            data = await self._stream.receive(READ_SIZE)
            try:
                # What TLS itself has to answer goes out with whatever is sent next, as RFC 8446 (4.6.3) lets it.
                self._plain = self._layer.receive_data(data)
            except TLSFailure as error:
                raise SaidByTLS(str(error)) from error
        data, self._plain = self._plain[:max_bytes], self._plain[max_bytes:]
        return data

    async def send(self, item: bytes) -> None:
        """Encrypt and send."""
        try:
            self._layer.send_data(item)
        except ssl.SSLError as error:
            raise anyio.BrokenResourceError("the TLS connection has ended") from error
        await self._flush()

    async def send_eof(self) -> None:
        """Say that no more bytes will be written, to the stream below: that nothing follows is no secret."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close the stream below; every wire says goodbye in its own words, so TLS needs none."""
        await self._stream.aclose()

    async def _flush(self) -> None:
        data = self._layer.data_to_send()
        if data:
            await self._stream.send(data)
