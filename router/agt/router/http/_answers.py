"""Answers of our own: a status, a JSON body with a code, what happened and what to do."""

from dataclasses import dataclass

from agt.router.http._errors import HINTS, Refused, UpstreamFailure, body_of
from agt.router.http._exchange import Send
from agt.router.http._headers import RUNTIME

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """An answer that no runtime gave."""

    status: int
    body: bytes
    headers: Headers = ()

    async def give(self, send: Send, *, close: bool, head_only: bool) -> None:
        """Send it; `close` where the caller still holds a body back that nobody will read."""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self.body)),
            (b"cache-control", b"no-store"),
            *self.headers,
        ]
        if close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head_only else self.body, "more_body": False})


def refusal(error: Refused) -> OwnAnswer:
    """Return the answer to a request that isn't carried."""
    headers: Headers = ((b"retry-after", b"%d" % error.retry_after_s),) if error.retry_after_s else ()
    return OwnAnswer(error.status, body_of(error.code, error.says, error.hint), headers)


def unanswered(error: UpstreamFailure, runtime: str, *, show: bool) -> OwnAnswer:
    """Return the answer where a runtime gave none."""
    headers: Headers = ((RUNTIME, runtime.encode("latin-1", "replace")),) if show else ()
    if error.status == 503:
        headers += ((b"retry-after", b"1"),)
    more = {"runtime": runtime} if show else {}
    body = body_of(error.code, error.says, HINTS[error.code], sent=error.sent, **more)
    return OwnAnswer(error.status, body, headers)
