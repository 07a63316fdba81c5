"""Dialling over TLS: TCP, a handshake, and one clear error when either fails."""

import ssl

import anyio
import msgspec
from anyio.abc import ByteStream

from agt.transport._connections import TCPConnection
from agt.transport._errors import ConnectionUnavailable
from agt.transport.trust._tls_contexts import tls_client_context
from agt.transport.trust._tls_layer import TLSFailure, TLSLayer
from agt.transport.trust._tls_stream import TLSByteStream


class TLSConnection(msgspec.Struct, frozen=True):
    """A TCP address to dial and speak TLS with; the server's certificate and its names are verified."""

    host: str
    port: int
    context: ssl.SSLContext = msgspec.field(default_factory=tls_client_context)
    """TLS settings, see `tls_client_context`; by default the system's authorities and no certificate of ours."""
    server_hostname: str | None = None
    """The name that the server's certificate must have; `host` when None."""

    @property
    def address(self) -> str:
        """The place in words: `host:port`."""
        return f"{self.host}:{self.port}"

    async def connect(self, *, timeout_s: float = 5.0) -> ByteStream:
        """Dial, shake hands, and return the connection.

        Raises:
            ConnectionUnavailable: when there is none within the timeout, or the server could not be verified.
        """
        deadline = anyio.current_time() + timeout_s
        stream = await TCPConnection(self.host, self.port).connect(timeout_s=timeout_s)
        secure = TLSByteStream(stream, TLSLayer(self.context, server_hostname=self.server_hostname or self.host))
        try:
            with anyio.fail_after(deadline - anyio.current_time()):
                await secure.handshake()
        except BaseException as error:
            await anyio.aclose_forcefully(stream)
            if isinstance(error, TimeoutError):
                why = f"no TLS handshake within {timeout_s:g} s"
            elif isinstance(error, TLSFailure):
                why = str(error)
            elif isinstance(error, (anyio.EndOfStream, anyio.BrokenResourceError, OSError)):
                why = "the peer hung up in the TLS handshake; does it speak TLS there?"
            else:
                raise
            raise ConnectionUnavailable(self.address, why) from error
        return secure
