"""One blocking request over a Unix socket, with the standard library only.

For the command line, whose start-up time matters (httpx costs 200 ms) and which has no event loop: a command is one
question and one answer. Screens and scripts use `client`.
"""

import http.client
import socket
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from agt.supervisor.actions import Action, RefusalCode, Refused
from agt.supervisor.books import (
    AlertOrder,
    AlertPrune,
    AlertsPruned,
    AuditCheck,
    AuditPage,
    Incident,
    IncidentEnd,
    IncidentOrder,
    IncidentPage,
    RestoreCheck,
    SinkPage,
    SnapshotMeta,
    SnapshotOrder,
    SnapshotPage,
)
from agt.supervisor.care import ComponentList, ComponentOrder, ComponentReceipt, Verb, Why
from agt.supervisor.sessions import SessionList, SessionOrder, SessionReceipt
from agt.supervisor.tokens import TokenMade, TokenOrder, TokenPage, TokenRevoked
from agt.supervisor.view import AlertView, Preview, Receipt, View

TIMEOUT_S = 10.0
RESTART_TIMEOUT_S = 20.0
"""Sessions drain before a restart is answered."""
COMPONENT_TIMEOUT_S = 60.0
"""An archive may have a gigabyte to copy."""
SNAPSHOT_TIMEOUT_S = 30.0
"""A projection is asked, and everything is written to the disk."""
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

    def audit(self, *, limit: int) -> AuditPage:
        """Return the newest operator actions."""
        return self._ask("GET", f"/v1/audit?{urlencode({'limit': limit})}", AuditPage)

    def verify_audit(self, *, head: str) -> AuditCheck:
        """Walk the audit's chain."""
        return self._ask("GET", f"/v1/audit/verification?{urlencode({'head': head})}", AuditCheck)

    def incidents(self, *, only_open: bool) -> IncidentPage:
        """Return the newest incidents."""
        return self._ask("GET", f"/v1/incidents?open={int(only_open)}", IncidentPage)

    def open_incident(self, order: IncidentOrder) -> Incident:
        """Open an incident."""
        return self._ask("POST", "/v1/incidents", Incident, msgspec.json.encode(order))

    def close_incident(self, number: int, end: IncidentEnd) -> Incident:
        """Close an incident with its cause."""
        return self._ask("POST", f"/v1/incidents/{number}/close", Incident, msgspec.json.encode(end))

    def snapshots(self) -> SnapshotPage:
        """Return the snapshots that are there."""
        return self._ask("GET", "/v1/snapshots", SnapshotPage)

    def take_snapshot(self, order: SnapshotOrder) -> SnapshotMeta:
        """Take a snapshot now."""
        return self._ask(
            "POST", "/v1/snapshots", SnapshotMeta, msgspec.json.encode(order), timeout_s=SNAPSHOT_TIMEOUT_S
        )

    def acknowledge_alert(self, number: int, order: AlertOrder) -> AlertView:
        """Acknowledge an alert."""
        return self._ask("POST", f"/v1/alerts/{number}/ack", AlertView, msgspec.json.encode(order))

    def prune_alerts(self, order: AlertPrune) -> AlertsPruned:
        """Forget old resolved alerts."""
        return self._ask("POST", "/v1/alerts/prune", AlertsPruned, msgspec.json.encode(order))

    def try_sinks(self, order: AlertOrder) -> SinkPage:
        """Send each sink a trial alert."""
        body = msgspec.json.encode(order)
        return self._ask("POST", "/v1/sinks/tests", SinkPage, body, timeout_s=SNAPSHOT_TIMEOUT_S)

    def check_snapshot(self, name: str) -> RestoreCheck:
        """Dry-run a restore."""
        route = f"/v1/snapshots/{quote(name, safe='')}/check"
        return self._ask("GET", route, RestoreCheck, timeout_s=SNAPSHOT_TIMEOUT_S)

    def tokens(self) -> TokenPage:
        """Return all tokens, by name."""
        return self._ask("GET", "/v1/tokens", TokenPage)

    def create_token(self, order: TokenOrder) -> TokenMade:
        """Make a token."""
        return self._ask("POST", "/v1/tokens", TokenMade, msgspec.json.encode(order))

    def revoke_token(self, name: str, *, by: str) -> TokenRevoked:
        """Let a token count no longer."""
        route = f"/v1/tokens/{quote(name, safe='')}?{urlencode({'by': by})}"
        return self._ask("DELETE", route, TokenRevoked)

    def components(self) -> ComponentList:
        """Return all components, in start order."""
        return self._ask("GET", "/v1/components", ComponentList)

    def why(self, name: str) -> Why:
        """Say why a component is as it is."""
        return self._ask("GET", f"/v1/components/{quote(name, safe='')}/why", Why)

    def order_component(self, name: str, verb: Verb, order: ComponentOrder) -> ComponentReceipt:
        """Ask something of one component; returns when it has happened, or after a while."""
        route, body = f"/v1/components/{quote(name, safe='')}/{verb}", msgspec.json.encode(order)
        return self._ask("POST", route, ComponentReceipt, body, timeout_s=COMPONENT_TIMEOUT_S)

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
