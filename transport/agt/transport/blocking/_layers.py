"""What stands between link and socket on the way to a connection: TLS, or nothing."""

import ssl

from agt.transport._connections import Connection
from agt.transport.blocking._conduit import Layer
from agt.transport.trust import TLSLayer


def layer_towards(connection: Connection) -> Layer | None:
    """Return the dialling end of what a connection asks for."""
    context: ssl.SSLContext | None = getattr(connection, "context", None)
    if context is None:
        return None
    name: str | None = getattr(connection, "server_hostname", None) or getattr(connection, "host", None)
    return TLSLayer(context, server_hostname=name)
