"""TLS without a socket: bytes of the wire in, bytes of the application out, and the other way round.

The standard library's TLS works on memory as well as on sockets. Used like this it is one more core without I/O, so
that every driver can put it under its own way of moving bytes, and what went wrong can be said in words at one place.
A handshake that fails still leaves an alert in `data_to_send`: a peer that is refused should learn why.
"""

import ssl
from typing import Final

from agt.transport._errors import TransportError
from agt.transport.trust._certificates import PeerCertificate

HANDSHAKE_BYTES_MAX: Final = 65536
"""Most bytes taken from a peer before its handshake is complete: room for long certificate chains, and no more."""
_READ_SIZE: Final = 65536

_EXPLAINED: Final = {
    9: "its certificate is not valid yet: check both clocks",
    10: "its certificate has expired: renew it",
    18: "its certificate is self-signed and not one that we trust: give it, or the authority that signs it, as `ca`",
    19: "its certificate is signed by an authority that we don't trust: give that authority's certificate as `ca`",
    20: "its certificate is signed by an authority that we don't trust: give that authority's certificate as `ca`",
    21: "its certificate is signed by an authority that we don't trust: give that authority's certificate as `ca`",
    23: "its certificate has been revoked",
    26: "its certificate was not issued for this purpose (server or client)",
    62: "its certificate is for other names: connect by a name in it, or give `server_hostname`",
    64: "its certificate is for other addresses: connect by a name in it, or give `server_hostname`",
}
"""What to do about OpenSSL's verification codes."""
_ALERTS: Final = (
    ("CERTIFICATE_REQUIRED", "the peer asks for a client certificate and we showed none: give `certificate` and `key`"),
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "it showed no client certificate, and one is required"),
    ("ALERT_UNKNOWN_CA", "the peer doesn't trust the authority that signed our certificate"),
    ("ALERT_CERTIFICATE_EXPIRED", "the peer says that our certificate has expired: renew it"),
    ("ALERT_BAD_CERTIFICATE", "the peer does not accept our certificate"),
    ("ALERT_UNSUPPORTED_CERTIFICATE", "the peer does not accept our certificate for this purpose"),
    ("HANDSHAKE_FAILURE", "the two sides have no way of encrypting in common, or a client certificate is missing"),
    ("PROTOCOL_VERSION", "the two sides have no TLS version in common; we speak 1.2 and newer"),
    ("UNSUPPORTED_PROTOCOL", "the two sides have no TLS version in common; we speak 1.2 and newer"),
    ("WRONG_VERSION_NUMBER", "the peer does not speak TLS here"),
    ("HTTP_REQUEST", "the peer does not speak TLS here"),
    ("UNKNOWN_PROTOCOL", "the peer does not speak TLS here"),
    ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "a record was damaged on the way, or somebody changed it"),
)
"""What to do about OpenSSL's reasons, found by a part of their names, which differ between versions."""


class TLSFailure(TransportError):
    """Raised when the handshake failed or a record was damaged; the connection is of no more use."""


class TLSLayer:
    """One end of one TLS connection, in memory."""

    __slots__ = ("_early", "_incoming", "_object", "_outgoing", "ended", "established")

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool = False, server_hostname: str | None = None
    ) -> None:
        """Begin a handshake; a client's first words are in `data_to_send` at once."""
        self.established = False
        """Whether the handshake is complete and the peer's certificate, where one is asked for, verified."""
        self.ended = False
        """Whether the peer has said that nothing follows."""
        self._early = 0
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        if not server_side:
            self.receive_data(b"")

    @property
    def peer_certificate(self) -> PeerCertificate | None:
        """The peer's verified certificate; None when it showed none, or none was verified."""
        return self._object.getpeercert() or None

    @property
    def version(self) -> str:
        """The TLS version in use, `TLSv1.3` say; empty before the handshake."""
        return self._object.version() or ""

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes from the wire and return what they hold for the application, if anything yet.

        Raises:
            TLSFailure: in words that say what to do; an alert for the peer may be in `data_to_send`.
        """
        self._incoming.write(data)
        parts: list[bytes] = []
        try:
            if not self.established:
                self._early += len(data)
                if self._early > HANDSHAKE_BYTES_MAX:
                    raise TLSFailure(f"its handshake takes more than {HANDSHAKE_BYTES_MAX} bytes")
                self._object.do_handshake()
                self.established = True
            while chunk := self._object.read(_READ_SIZE):
                parts.append(chunk)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise TLSFailure(explain(error)) from error
        return b"".join(parts)

    def send_data(self, data: bytes) -> None:
        """Encrypt; the bytes for the wire are then in `data_to_send`."""
        if data:
            self._object.write(data)

    def data_to_send(self) -> bytes:
        """Return, once, the bytes that should go to the peer now."""
        return self._outgoing.read()


def explain(error: ssl.SSLError) -> str:
    """Say in one line what went wrong with TLS, and what to do about it."""
    code: int | None = getattr(error, "verify_code", None)
    if code is not None:
        return _EXPLAINED.get(code, f"its certificate does not verify: {getattr(error, 'verify_message', '')}")
    reason = (error.reason or "").upper()
    return next((words for part, words in _ALERTS if part in reason), f"TLS failed: {reason or error}")
