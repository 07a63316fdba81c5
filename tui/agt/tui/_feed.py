"""Keeps a stream of views coming: attach, read, and when it breaks try again, ever more patiently.

It knows no widget: what it learns goes out through two callbacks. Delays are `RETRY_MIN_S`, doubling up to
`RETRY_MAX_S`; a view that arrives starts them over. While the supervisor is still starting it tries at the shortest
delay all the time.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from agt.supervisor.actions import Refused
from agt.supervisor.client import Client, NoSupervisor
from agt.supervisor.view import View
from agt.tui.messages import Connection

RETRY_MIN_S: Final = 0.1
RETRY_MAX_S: Final = 5.0

Sleep = Callable[[float], Awaitable[None]]


class Feed:
    """One screen's connection to its supervisor."""

    def __init__(
        self,
        client: Client,
        *,
        on_view: Callable[[View], object],
        on_connection: Callable[[Connection], object],
        now: Callable[[], float],
        starting: str = "",
        sleep: Sleep = anyio.sleep,
    ) -> None:
        self._client = client
        self._on_view, self._on_connection = on_view, on_connection
        self._now, self._sleep = now, sleep
        self._starting = starting
        self._last_view_at: float | None = None
        self._lost_at: float | None = None
        self._delay_s = RETRY_MIN_S

    async def run(self) -> None:
        """Follow the supervisor until cancelled."""
        while True:
            self._tell(await self._follow())
            await self._sleep(self._delay_s)
            if not self._is_starting:
                self._delay_s = min(RETRY_MAX_S, self._delay_s * 2)

    @property
    def _is_starting(self) -> bool:
        return bool(self._starting) and self._last_view_at is None

    async def _follow(self) -> str:
        """Read one stream to its end and return why it ended."""
        try:
            async for view in self._client.stream():
                self._arrived(view)
        except NoSupervisor as error:
            return error.reason or "nobody answers"
        except Refused as error:
            return str(error)
        return "the supervisor stopped"

    def _arrived(self, view: View) -> None:
        first = self._lost_at is not None or self._last_view_at is None
        self._last_view_at, self._lost_at, self._delay_s = self._now(), None, RETRY_MIN_S
        self._on_view(view)
        if first:
            self._on_connection(Connection("live", since=self._now(), last_view_at=self._last_view_at))

    def _tell(self, reason: str) -> None:
        if self._is_starting:
            self._on_connection(Connection("starting", since=self._now(), reason=self._starting))
            return
        if self._lost_at is None:
            self._lost_at = self._now()
        self._on_connection(Connection("lost", self._lost_at, reason, self._last_view_at))
