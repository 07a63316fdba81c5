"""The control API: what screens, the command line and scripts talk to, over one Unix socket.

`serve_control(backend, path)` is all that a supervisor needs; everything it shows and does comes from the `Backend`.
"""

from agt.supervisor.control._app import create_app
from agt.supervisor.control._backend import Backend
from agt.supervisor.control._hub import Change, Hub, Snapshot, Subscription, TooManySubscribers
from agt.supervisor.control._idempotency import KeyConflict, Receipts
from agt.supervisor.control._openapi import openapi_document
from agt.supervisor.control._serve import serve_control
from agt.supervisor.control._socket import ListeningSocket, SocketUnusable, open_socket

__all__ = (
    "Backend",
    "Change",
    "Hub",
    "KeyConflict",
    "ListeningSocket",
    "Receipts",
    "Snapshot",
    "SocketUnusable",
    "Subscription",
    "TooManySubscribers",
    "create_app",
    "open_socket",
    "openapi_document",
    "serve_control",
)
