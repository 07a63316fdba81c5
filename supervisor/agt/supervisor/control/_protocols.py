"""How connections begin: the peer's uid at accept on the Unix socket, deadlines and one request each on TCP.

On TCP a connection that hasn't sent a whole request head within `HEAD_WITHIN_S` is closed, and each one serves a single
request. So a peer that sends a byte now and then holds a place for that long and no longer.
"""

import asyncio
import logging
import os
import socket
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from agt.supervisor.control._socket import peer_uid

HEAD_WITHIN_S: Final = 5.0
HEAD_MAX_BYTES: Final = 16 << 10
"""Of a request's line and headers."""

_LOG: Final = logging.getLogger(__name__)


class SameUserProtocol(H11Protocol):
    """HTTP/1.1, for peers with our own user id only."""

    refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Compare the peer's uid before a byte is read."""
        peer: socket.socket = transport.get_extra_info("socket")
        uid = peer_uid(peer)
        if uid != os.geteuid():
            self.refused = True
            _LOG.warning("refused a connection of user %d to the control socket", uid)
            transport.abort()
            return
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave out what was never taken in."""
        if not self.refused:
            super().connection_lost(exc)


class OneRequestProtocol(H11Protocol):
    """HTTP/1.1 on TCP: a head within a deadline, and then the connection's only request."""

    head_within_s = HEAD_WITHIN_S
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Start the clock."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.head_within_s, self._close_without_request, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop it."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _close_without_request(self, transport: Any) -> None:
        if self.cycle is None:  # No whole head has come.
            transport.abort()
