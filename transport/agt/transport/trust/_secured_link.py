"""A link as it looks from below TLS, for one connection: what a fast carrier sees of it.

The loop's own callbacks move the encrypted bytes; here they become the link's and back, with nothing in between. Made
when the handshake is over, by `TLSByteStream.secured`.
"""

import contextlib
import ssl

from agt.transport._errors import PeerViolation
from agt.transport._link import Link
from agt.transport._wire import WireTraits
from agt.transport.trust._tls_layer import TLSFailure, TLSLayer


class SecuredLink:
    """Bytes of TLS on one side, a link on the other; as much of a `Link` as a carrier needs."""

    __slots__ = ("_heard", "_layer", "_link")

    def __init__(self, link: Link, layer: TLSLayer, heard: bytes) -> None:
        """Carry a link.

        Args:
            link: what speaks inside.
            layer: our end of TLS, its handshake over.
            heard: what was decrypted already and nobody has looked at.
        """
        self._link, self._layer, self._heard = link, layer, heard

    @property
    def traits(self) -> WireTraits:
        """What the wire inside can promise."""
        return self._link.traits

    @property
    def in_flight(self) -> int:
        """Messages written to the wire and not settled yet."""
        return self._link.in_flight

    @property
    def queued(self) -> int:
        """Messages accepted and not yet written."""
        return self._link.queued

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take encrypted bytes from the peer, cut anywhere.

        Raises:
            PeerViolation: when TLS itself ends the connection, in its words.
        """
        try:
            plain = self._layer.receive_data(data)
        except TLSFailure as failure:
            raise PeerViolation(str(failure)) from failure
        if self._heard:
            plain, self._heard = self._heard + plain, b""
        if plain:
            self._link.receive_data(plain, now=now)

    def data_to_send(self, *, now: float) -> bytes:
        """Return, once, the encrypted bytes that should go to the peer now."""
        if self._heard:
            self.receive_data(b"", now=now)
        with contextlib.suppress(ssl.SSLError):  # After TLS has ended, there is only its alert left to send.
            self._layer.send_data(self._link.data_to_send(now=now))
        return self._layer.data_to_send()
