"""One blocking request over a Unix socket, with the standard library only.

For the command line, whose start-up time matters (httpx costs 200 ms) and which has no event loop: a command is one
question and one answer. Screens and scripts use `client`.
"""

import http.client
import socket
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from agt.supervisor.actions import Action, RefusalCode, Refused
from agt.supervisor.sessions import SessionList, SessionOrder, SessionReceipt
from agt.supervisor.view import AlertView, Preview, Receipt, View

TIMEOUT_S = 10.0
RESTART_TIMEOUT_S = 20.0
"""Sessions drain before a restart is answered."""
ANSWER_MAX_BYTES = 16 << 20

_Body = TypeVar("_Body")


class NoAnswer(Exception):
    """Raised when nobody answers on a socket."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"nobody answers on {path} ({why})")
        self.path, self.why = path, why


class _Facts(msgspec.Struct):
    code: RefusalCode = "unavailable"
    message: str = ""
    hint: str = ""


class _Error(msgspec.Struct):
    error: _Facts


class _Alerts(msgspec.Struct):
    alerts: tuple[AlertView, ...]


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def request(
    path: Path, method: str, route: str, body: bytes = b"", *, timeout_s: float = TIMEOUT_S
) -> tuple[int, bytes]:
    """Ask once and return status and body.

    Raises:
        NoAnswer: when nobody listens, the answer is late, or it is no HTTP.
    """
    connection = _UnixConnection(path, timeout_s)
    try:
        connection.request(method, route, body=body or None, headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read(ANSWER_MAX_BYTES)
    except TimeoutError as error:
        raise NoAnswer(path, f"silent for {timeout_s:g} s") from error
    except OSError as error:
        raise NoAnswer(path, (error.strerror or str(error)).lower()) from error
    except http.client.HTTPException as error:
        raise NoAnswer(path, "what answers is no HTTP server") from error
    finally:
        connection.close()


class Control:
    """The control API's verbs for someone without an event loop.

    Every call raises `NoAnswer` when there is no supervisor, and `Refused` when it says no.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def view(self) -> View:
        """Return the present picture."""
        return self._ask("GET", "/v1/view", View)

    def alerts(self) -> tuple[AlertView, ...]:
        """Return the alert ledger, newest first."""
        return self._ask("GET", "/v1/alerts", _Alerts).alerts

    def act(self, action: Action, *, timeout_s: float = TIMEOUT_S) -> Receipt:
        """Do what is asked and return what came of it."""
        return self._ask("POST", "/v1/actions", Receipt, msgspec.json.encode(action), timeout_s=timeout_s)

    def preview(self, action: Action) -> Preview:
        """Return what the action would do; nothing is changed."""
        return self._ask("POST", "/v1/previews", Preview, msgspec.json.encode(action))

    def sessions(self, *, runtime: str, pinned: bool, after: str, limit: int) -> SessionList:
        """Return a page of the live sessions."""
        asked = {"runtime": runtime, "pinned": str(int(pinned)), "after": after, "limit": str(limit)}
        return self._ask("GET", f"/v1/sessions?{urlencode(asked)}", SessionList)

    def restart_sessions(self, order: SessionOrder) -> SessionReceipt:
        """Restart sessions and return what became of each."""
        body = msgspec.json.encode(order)
        return self._ask("POST", "/v1/sessions/restarts", SessionReceipt, body, timeout_s=RESTART_TIMEOUT_S)

    def _ask(
        self, method: str, route: str, kind: type[_Body], body: bytes = b"", *, timeout_s: float = TIMEOUT_S
    ) -> _Body:
        status, answer = request(self.path, method, route, body, timeout_s=timeout_s)
        try:
            if status == http.client.OK:
                return msgspec.json.decode(answer, type=kind)
            facts = msgspec.json.decode(answer, type=_Error).error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NoAnswer(self.path, f"what answers speaks another version: {error}") from error
        raise Refused(facts.code, facts.message, facts.hint)
