"""The routes of the books: audit, incidents, snapshots, alerts."""

from typing import Any, Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agt.supervisor.books import (
    AuditCheck,
    AuditPage,
    Incident,
    IncidentEnd,
    IncidentOrder,
    IncidentPage,
    RestoreCheck,
    SnapshotMeta,
    SnapshotOrder,
    SnapshotPage,
)
from agt.supervisor.control._alerts import ALERT_TYPES, Alerts, alert_routes, describe_alerts
from agt.supervisor.control._describe import FLAG, get, in_path, post, query
from agt.supervisor.control._requests import read_flag, read_number, read_order

ROWS: Final = 100
ROWS_MAX: Final = 1000
NUMBER_MAX: Final = 10**9


class Books(Alerts, Protocol):
    """The books as the control API sees them; every method may raise `Refused`."""

    async def audit(self, *, limit: int) -> AuditPage:
        """Return the newest rows."""
        ...

    async def verify_audit(self, *, head: str) -> AuditCheck:
        """Walk the chain."""
        ...

    async def incidents(self, *, only_open: bool) -> IncidentPage:
        """Return the newest incidents."""
        ...

    async def open_incident(self, order: IncidentOrder) -> Incident:
        """Open one."""
        ...

    async def close_incident(self, number: int, end: IncidentEnd) -> Incident:
        """Close one."""
        ...

    async def snapshots(self) -> SnapshotPage:
        """Return the snapshots that are there."""
        ...

    async def take_snapshot(self, order: SnapshotOrder) -> SnapshotMeta:
        """Take one now."""
        ...

    async def check_snapshot(self, name: str) -> RestoreCheck:
        """Dry-run a restore."""
        ...


def book_routes(books: Books) -> tuple[BaseRoute, ...]:
    """Return the routes."""

    async def audit(request: Request) -> Response:
        return _json(
            await books.audit(limit=read_number(request.query_params.get("limit", str(ROWS)), "limit", ROWS_MAX))
        )

    async def verify(request: Request) -> Response:
        return _json(await books.verify_audit(head=request.query_params.get("head", "")))

    async def incidents(request: Request) -> Response:
        if request.method == "POST":
            return _json(await books.open_incident(await read_order(request, IncidentOrder)))
        return _json(await books.incidents(only_open=read_flag(request, "open")))

    async def close(request: Request) -> Response:
        number = read_number(request.path_params["number"], "the incident's number", NUMBER_MAX)
        return _json(await books.close_incident(number, await read_order(request, IncidentEnd)))

    async def snapshots(request: Request) -> Response:
        if request.method == "POST":
            return _json(await books.take_snapshot(await read_order(request, SnapshotOrder)))
        return _json(await books.snapshots())

    async def check(request: Request) -> Response:
        return _json(await books.check_snapshot(request.path_params["name"]))

    return (
        Route("/v1/audit", audit),
        Route("/v1/audit/verification", verify),
        Route("/v1/incidents", incidents, methods=["GET", "POST"]),
        Route("/v1/incidents/{number}/close", close, methods=["POST"]),
        Route("/v1/snapshots", snapshots, methods=["GET", "POST"]),
        Route("/v1/snapshots/{name}/check", check),
        *alert_routes(books),
    )


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def describe_books() -> dict[str, Any]:
    """Return the paths of the OpenAPI document."""
    limit = {"type": "integer", "minimum": 0, "maximum": ROWS_MAX}
    number = {"type": "integer", "minimum": 0, "maximum": NUMBER_MAX}
    return {
        "/v1/audit": get(
            "The newest operator actions, newest first.", "AuditPage", query("limit", "At most so many rows.", limit)
        ),
        "/v1/audit/verification": get(
            "Walk the audit's chain.", "AuditCheck", query("head", "A head noted elsewhere, `NUMBER:HASH`.")
        ),
        "/v1/incidents": get("The newest incidents.", "IncidentPage", query("open", "Only those that stand.", FLAG))
        | post("Open an incident.", "Incident", takes="IncidentOrder"),
        "/v1/incidents/{number}/close": post(
            "Close an incident with its cause.",
            "Incident",
            in_path("number", "The incident's number.", number),
            takes="IncidentEnd",
        ),
        "/v1/snapshots": get("The snapshots that are there.", "SnapshotPage")
        | post("Take a snapshot now.", "SnapshotMeta", takes="SnapshotOrder"),
        "/v1/snapshots/{name}/check": get("Dry-run a restore.", "RestoreCheck", in_path("name", "The snapshot's id.")),
        **describe_alerts(),
    }


BOOK_TYPES: Final = (
    AuditPage,
    AuditCheck,
    IncidentPage,
    Incident,
    IncidentOrder,
    IncidentEnd,
    SnapshotPage,
    SnapshotMeta,
    SnapshotOrder,
    RestoreCheck,
    *ALERT_TYPES,
)
"""The bodies, for the OpenAPI document."""
