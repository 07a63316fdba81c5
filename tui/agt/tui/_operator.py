"""One wish of the operator from its key to its receipt: preview, question, action, answer.

Whatever goes wrong ends as one sentence on the screen. A request that turns out stale is previewed and asked again,
never repeated on its own: the operator agreed to another picture.
"""

import getpass
from collections.abc import Callable
from uuid import uuid4

import msgspec
from textual.app import App
from textual.notifications import SeverityLevel

from agt.supervisor.actions import Action, Refused
from agt.supervisor.client import Client, NoSupervisor
from agt.supervisor.view import Receipt
from agt.tui import _format
from agt.tui._requests import Request, with_version
from agt.tui.screens import ConfirmScreen, Question

_STALE = "The picture has changed since you were asked. This is the effect now:"
NOTICE_S = 10.0
"""Seconds that a receipt stays on the screen."""


def describe(receipt: Receipt) -> str:
    """Return a receipt as one sentence with its times."""
    facts: list[str] = []
    if receipt.routed_ms is not None:
        facts.append(f"routed in {_format.milliseconds(receipt.routed_ms, '')}")
    if receipt.settled_ms is not None:
        facts.append(f"settled in {_format.milliseconds(receipt.settled_ms, '')}")
    if receipt.moved:
        facts.append(f"{receipt.moved} devices moved")
    if receipt.missing:
        facts.append(f"not confirmed by {', '.join(receipt.missing)}")
    return f"{receipt.says}: {', '.join(facts)}" if facts else receipt.says


class Operator:
    """Carries out what keys ask for.

    Questions are opened at once, within the key's own handling, so that the next key typed already answers them: `b`
    and `y` typed in one go roll back.
    """

    def __init__(self, app: App[None], client: Client, *, new_key: Callable[[], str] = lambda: uuid4().hex) -> None:
        self._app, self._client, self._new_key = app, client, new_key

    def ask(self, request: Request, *, version: int, note: str = "") -> None:
        """Open the question; a yes acts and shows the receipt.

        `version` is the view's on the screen, for when the preview brings none.
        """
        screen = ConfirmScreen(self._question(request, note))

        def answered(yes: bool | None) -> None:  # noqa: FBT001 - Textual calls it with the screen's result.
            if yes:
                self._app.run_worker(self._carry_out(request, screen.version or version))

        self._app.push_screen(screen, answered)

    async def record_cause(self, reason: str) -> None:
        """Record why it went back; typing it was the question."""
        try:
            await self._act(Action(action="record-cause", reason=reason))
        except Refused as refused:
            self._say_refused(refused)

    async def _carry_out(self, request: Request, version: int) -> None:
        try:
            await self._act(with_version(request, version))
        except Refused as refused:
            if refused.code == "stale":
                self.ask(request, version=await self._version(version), note=_STALE)
            else:
                self._say_refused(refused)

    def _question(self, request: Request, note: str) -> Question:
        async def preview() -> str:
            answer = await self._client.preview(request.action)
            question.version = answer.version
            return answer.says

        question = Question(
            title=request.title,
            yes=request.yes,
            urgent=request.urgent,
            details=request.details,
            note=note,
            effect=preview,
        )
        return question

    async def _act(self, action: Action) -> None:
        signed = msgspec.structs.replace(action, by=getpass.getuser(), key=self._new_key())
        try:
            receipt = await self._client.act(signed)
        except NoSupervisor as lost:
            self._app.notify(f"not done, as far as known: {lost}", severity="error", timeout=NOTICE_S, markup=False)
            return
        severity: SeverityLevel = "warning" if receipt.missing else "information"
        self._app.notify(describe(receipt), severity=severity, timeout=NOTICE_S, markup=False)

    async def _version(self, fallback: int) -> int:
        try:
            return (await self._client.view()).version
        except (NoSupervisor, Refused):
            return fallback

    def _say_refused(self, refused: Refused) -> None:
        self._app.notify(str(refused), title="refused", severity="error", timeout=NOTICE_S, markup=False)
