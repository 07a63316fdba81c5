"""The control API: what screens, the command line and scripts talk to: a Unix socket, and TCP if asked.

`serve_control(backend, path)` is all that a supervisor needs; everything it shows and does comes from the `Backend`.
"""

from agt.supervisor.control._app import create_app
from agt.supervisor.control._backend import Backend
from agt.supervisor.control._hub import Change, Hub, Snapshot, Subscription, TooManySubscribers
from agt.supervisor.control._idempotency import KeyConflict, Receipts
from agt.supervisor.control._openapi import openapi_document
from agt.supervisor.control._serve import TcpListening, serve_control
from agt.supervisor.control._socket import ListeningSocket, SocketUnusable, open_socket
from agt.supervisor.control._tokens import Tokens

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
    "TcpListening",
    "Tokens",
    "TooManySubscribers",
    "create_app",
    "open_socket",
    "openapi_document",
    "serve_control",
)
