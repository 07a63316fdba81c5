"""Live sessions over all routers: one page of their lists, one order to all of them, and the answers added up.

A session belongs to one router, and nobody but that router knows it, so everybody is asked; a router that doesn't have
a session says so, and only what nobody has is refused.
"""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlencode

import anyio
import msgspec

from agt.supervisor.actions import Refused
from agt.supervisor.measure import RequestFailed, Response, request
from agt.supervisor.sessions import PAGE_MAX, SessionList, SessionOrder, SessionReceipt, SessionView

LIST_TIMEOUT_S: Final = 5.0
RESTART_TIMEOUT_S: Final = 8.0
"""A router answers when its drains are settled, after 6 s at the latest."""
_UNKNOWN: Final = "no such session"
_LISTS: Final = ("restarted", "timed_out", "waiting", "moving", "unchanged")
_Body = TypeVar("_Body")


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    """A router's page; keys that a newer router adds are ignored."""

    generation: int
    total: int
    sessions: tuple[SessionView, ...] = ()
    after: str = ""


class _Facts(msgspec.Struct):
    code: str = "unavailable"
    message: str = ""


class _Error(msgspec.Struct):
    error: _Facts


class SessionDesk:
    """Asks every router of a run about its sessions."""

    def __init__(self, sockets: Mapping[str, Path]) -> None:
        self._sockets = sockets

    async def page(
        self, *, runtime: str = "", pinned: bool = False, after: str = "", limit: int = PAGE_MAX
    ) -> SessionList:
        """Return the sessions that come next after a device, at most so many.

        Raises:
            Refused: when no router has such a runtime.
        """
        limit = max(1, min(limit, PAGE_MAX))
        asked = {"runtime": runtime, "pinned": str(int(pinned)), "after": after, "limit": str(limit)}
        bodies = dict.fromkeys(self._sockets, b"")
        answers, missing = await self._ask("GET", f"/sessions?{urlencode(asked)}", bodies, LIST_TIMEOUT_S)
        pages = {name: self._decoded(name, answer, _Page, missing) for name, answer in answers.items()}
        found = {name: page for name, page in pages.items() if page is not None}
        if not found and (unknown := _first_unknown(answers)):
            raise Refused("unknown", unknown)
        every = (
            msgspec.structs.replace(session, router=name) for name, page in found.items() for session in page.sessions
        )
        ordered = sorted(every, key=lambda session: (session.device, session.router))
        shown = tuple(ordered[:limit])
        more = len(ordered) > limit or any(page.after for page in found.values())
        return SessionList(
            total=sum(page.total for page in found.values()),
            sessions=shown,
            after=shown[-1].device if more and shown else "",
            generations={name: page.generation for name, page in found.items()},
            missing=missing,
        )

    async def restart(self, order: SessionOrder) -> SessionReceipt:
        """Let the routers restart sessions; returns when none of them drains any more, or they have said enough."""
        bodies = {name: _body(order, name) for name in self._sockets}
        answers, missing = await self._ask("POST", "/sessions/restart?wait=settled", bodies, RESTART_TIMEOUT_S)
        receipts = [self._decoded(name, answer, SessionReceipt, missing) for name, answer in answers.items()]
        return _added(order, [one for one in receipts if one is not None], missing)

    async def _ask(
        self, method: str, target: str, bodies: Mapping[str, bytes], timeout_s: float
    ) -> tuple[dict[str, Response], dict[str, str]]:
        answers: dict[str, Response] = {}
        missing: dict[str, str] = {}

        async def one(name: str, path: Path) -> None:
            try:
                answers[name] = await request(path, method, target, body=bodies[name], timeout_s=timeout_s)
            except RequestFailed as error:
                missing[name] = error.says

        async with anyio.create_task_group() as group:
            for name, path in self._sockets.items():
                group.start_soon(one, name, path)
        return dict(sorted(answers.items())), missing

    def _decoded(self, name: str, answer: Response, kind: type[_Body], missing: dict[str, str]) -> _Body | None:
        """Read an answer; one that is no success, or can't be read, is noted as missing."""
        try:
            if answer.ok:
                return msgspec.json.decode(answer.body, type=kind)
            missing[name] = msgspec.json.decode(answer.body, type=_Error).error.message
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            missing[name] = f"answers {answer.status} with what can't be read: {error}"
        return None


def _body(order: SessionOrder, router: str) -> bytes:
    """Write an order down for one router, with the generation that the list named for it."""
    return msgspec.json.encode(
        {
            "sessions": order.sessions,
            "redial": order.redial,
            "dry_run": order.dry_run,
            "generation": order.generations.get(router),
        }
    )


def _first_unknown(answers: Mapping[str, Response]) -> str:
    """Return what the first router said that doesn't know what was asked about; empty when none did."""
    for answer in answers.values():
        if answer.status == HTTPStatus.NOT_FOUND:
            return msgspec.json.decode(answer.body, type=_Error).error.message
    return ""


def _added(order: SessionOrder, receipts: list[SessionReceipt], missing: dict[str, str]) -> SessionReceipt:
    """Add up what the routers said; a name that one of them took is not unknown."""
    lists = {key: tuple(name for one in receipts for name in getattr(one, key)) for key in _LISTS}
    taken = {name for names in lists.values() for name in names}
    refused: dict[str, str] = {}
    for one in receipts:
        refused |= {name: why for name, why in one.refused.items() if name not in taken and why != _UNKNOWN}
    for name in order.sessions:  # What nobody knows may belong to a router that didn't answer.
        if name not in taken and name not in refused:
            refused[name] = "; ".join(f"{router} {why}" for router, why in sorted(missing.items())) or _UNKNOWN
    return SessionReceipt(
        **lists,
        refused=refused,
        resent=sum(one.resent for one in receipts),
        indeterminate=sum(one.indeterminate for one in receipts),
        missing=missing,
        dry_run=order.dry_run,
    )
