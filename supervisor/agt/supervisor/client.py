"""The client of the control API, for screens, the command line and scripts.

It speaks HTTP over the supervisor's Unix socket. httpx costs 180 ms to import, so it is imported by the first `Client`,
not by this module; the types that callers need are in `view` and `actions`.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import urlencode

import msgspec

from agt.supervisor._changes import decode_view, merge_change
from agt.supervisor._rundir import RunDirectory, default_run_directory
from agt.supervisor.actions import Action, RefusalCode, Refused
from agt.supervisor.sessions import PAGE_MAX, SessionList, SessionOrder, SessionReceipt
from agt.supervisor.view import AlertView, Preview, Receipt, View

REQUEST_TIMEOUT_S: Final = 10.0
SILENCE_S: Final = 15.0
"""A stream that is silent this long (the supervisor writes every 5 s) counts as lost."""

_BASE: Final = "http://supervisor"
_CODES: Final[dict[str, RefusalCode]] = {
    "stale": "stale",
    "refused": "refused",
    "unknown": "unknown",
    "invalid": "invalid",
    "unavailable": "unavailable",
}
_Body = TypeVar("_Body")


def default_socket() -> Path:
    """Return the control socket of the default run directory."""
    return RunDirectory(default_run_directory()).control


class NoSupervisor(Exception):
    """Raised when no supervisor answers on the socket, or it stopped answering."""

    def __init__(self, path: Path, reason: str = "") -> None:
        because = f" ({reason})" if reason else ""
        super().__init__(f"no supervisor answers on {path}{because}; start one with `agt up PLAN`")
        self.path, self.reason = path, reason


class _Facts(msgspec.Struct):
    code: str = "unavailable"
    message: str = ""
    hint: str = ""


class _Error(msgspec.Struct):
    error: _Facts


class _Alerts(msgspec.Struct):
    alerts: tuple[AlertView, ...]


def _refusal(status: int, body: bytes) -> Refused:
    try:
        facts = msgspec.json.decode(body, type=_Error).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        facts = _Facts(message=f"the supervisor answered {status} without saying why")
    return Refused(_CODES.get(facts.code, "unavailable"), facts.message, facts.hint)


class Client:
    """One supervisor, by its socket; an async context manager. Nothing is sent before the first call.

    Every call raises `NoSupervisor` when nobody answers, and `Refused` when the supervisor says no.
    """

    def __init__(self, path: Path) -> None:
        import httpx  # noqa: PLC0415 - 180 ms that only those pay who talk to a supervisor.

        self.path = Path(path)
        transport = httpx.AsyncHTTPTransport(
            uds=str(path),
            verify=False,
        )
        self._http = httpx.AsyncClient(transport=transport, base_url=_BASE, timeout=REQUEST_TIMEOUT_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop the connections."""
        await self._http.aclose()

    async def view(self) -> View:
        """Return the present picture."""
        return self._decode(await self._request("GET", "/v1/view"), View)

    async def alerts(self) -> tuple[AlertView, ...]:
        """Return the alert ledger, newest first."""
        return self._decode(await self._request("GET", "/v1/alerts"), _Alerts).alerts

    async def act(self, action: Action) -> Receipt:
        """Do what is asked and return what came of it."""
        return self._decode(await self._request("POST", "/v1/actions", action), Receipt)

    async def preview(self, action: Action) -> Preview:
        """Return what the action would do; nothing is changed."""
        return self._decode(await self._request("POST", "/v1/previews", action), Preview)

    async def sessions(
        self, *, runtime: str = "", pinned: bool = False, after: str = "", limit: int = PAGE_MAX
    ) -> SessionList:
        """Return the live sessions after a device, by device: of one runtime or all, all or only the pinned."""
        asked = {"runtime": runtime, "pinned": str(int(pinned)), "after": after, "limit": str(limit)}
        return self._decode(await self._request("GET", f"/v1/sessions?{urlencode(asked)}"), SessionList)

    async def restart_sessions(self, order: SessionOrder) -> SessionReceipt:
        """Restart sessions between commands and return what became of each."""
        return self._decode(await self._request("POST", "/v1/sessions/restarts", order), SessionReceipt)

    async def stream(self) -> AsyncIterator[View]:
        """Yield the whole view each time it changes, the present one first.

        Views come in the order of their versions; some may be left out when they come faster than they are read. Ends
        when the supervisor stops in good order. Coming back is the caller's business.

        Raises:
            NoSupervisor: When nobody answers, the connection breaks, or it is silent for `SILENCE_S`.
            Refused: When the supervisor takes no further stream.
        """
        import httpx_sse  # noqa: PLC0415 - as httpx above.

        view: View | None = None
        with self._translated():
            async with httpx_sse.aconnect_sse(self._http, "GET", "/v1/stream", timeout=SILENCE_S) as source:
                if source.response.status_code != 200:
                    raise _refusal(source.response.status_code, await source.response.aread())
                async for event in source.aiter_sse():
                    view = self._merged(view, event.event, event.data)
                    if view is not None:
                        yield view

    def _merged(self, view: View | None, event: str, data: str) -> View | None:
        try:
            if event == "snapshot":
                return decode_view(data)
            if event == "change" and view is not None:
                return merge_change(view, data)
        except msgspec.DecodeError as error:
            raise NoSupervisor(self.path, f"what answers speaks another version: {error}") from error
        return view

    async def _request(self, method: str, route: str, body: object | None = None) -> bytes:
        content = None if body is None else msgspec.json.encode(body)
        with self._translated():
            response = await self._http.request(method, route, content=content)
        if response.status_code != 200:
            raise _refusal(response.status_code, response.content)
        return response.content

    def _decode(self, body: bytes, kind: type[_Body]) -> _Body:
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NoSupervisor(self.path, f"what answers speaks another version: {error}") from error

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what httpx raises into our words."""
        import httpx  # noqa: PLC0415 - loaded by the constructor already.

        try:
            yield
        except httpx.TimeoutException as error:
            raise NoSupervisor(self.path, "it is silent") from error
        except httpx.TransportError as error:
            raise NoSupervisor(self.path, _reason(error)) from error


def _reason(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return str(error).lower()
