"""Writes an incident report after each way back, by itself: document 001 wants one before anybody tries again.

Once when the decision is in the journal and once more when the last old path has settled, which knows more and replaces
the first. Nothing waits for it, and a disk that refuses it is an alert.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import msgspec

from agt.supervisor._errors import SupervisorError
from agt.supervisor.reports import FOLDER, read_archive, rollback_report, write_report
from agt.supervisor.rollout import Rollout
from agt.supervisor.view import View

REPORTS: Final = "reports"
"""Source of the alert that stands while no report can be written."""
LOOKS_BACK_S: Final = 2 * 3600.0
"""Samples from before are not read: the report shows one hour."""


class Reporter:
    """The incident reports of one rollout."""

    def __init__(
        self, run: Path, rollout: Rollout, view: Callable[[], View], *, clock: Callable[[], float] = time.time
    ) -> None:
        """Listen to a rollout; nothing is written before `run`.

        Args:
            run: The run directory; reports go below it.
            rollout: Whose ways back.
            view: Returns what an operator would see now.
            clock: Seconds since the epoch.
        """
        self._run, self._rollout, self._view, self._clock = run, rollout, view, clock
        self._wake = anyio.Event()
        self._pictured = 0.0
        rollout.books.on_back = self._went_back

    async def run(self) -> None:
        """Write a report whenever something went back, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            await self._report()

    def _went_back(self) -> None:
        self._wake.set()

    async def _report(self) -> None:
        try:
            await self._keep_picture()
            await anyio.to_thread.run_sync(self._write)
        except SupervisorError as error:
            self._rollout.raise_alert("warn", REPORTS, f"no incident report: {error}")
        else:
            self._rollout.resolve_alerts(REPORTS)

    async def _keep_picture(self) -> None:
        """Keep the view once for each way back: as it was then, and not as it is when all has settled."""
        view = self._view()
        newest = view.rollbacks[-1].at if view.rollbacks else 0.0
        if newest != self._pictured:
            self._pictured = newest
            await self._rollout.books.keep_picture(msgspec.json.encode(view))

    def _write(self) -> None:
        now = self._clock()
        archive = read_archive(self._run, plan=self._rollout.plan, samples_since=now - LOOKS_BACK_S)
        write_report(rollback_report(archive, now=now), self._run / FOLDER)
