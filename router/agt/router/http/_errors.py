"""How a request can fail to be answered, and what its caller is told: one status, one JSON body."""

from typing import Final

import msgspec


class Refused(Exception):
    """Raised when a request gets our own answer instead of a runtime's; its facts are the answer's."""

    def __init__(self, status: int, code: str, says: str, hint: str, *, retry_after_s: int = 0) -> None:
        super().__init__(says)
        self.status, self.code, self.says, self.hint, self.retry_after_s = status, code, says, hint, retry_after_s


class UpstreamFailure(Exception):
    """Raised when a runtime gives no answer."""

    status = 502
    code = "no_answer"
    sent = True
    """Whether it may have got the request, or a part of it."""

    def __init__(self, says: str) -> None:
        super().__init__(says)
        self.says = says


class Unreachable(UpstreamFailure):
    """Raised when no connection could be had, so that nothing was sent."""

    code = "unreachable"
    sent = False


class ConnectTimeout(Unreachable):
    """Raised when a connection was not there in time; nothing was sent."""

    status = 504
    code = "connect_timeout"


class Crowded(Unreachable):
    """Raised when too many requests wait for a connection already; nothing was sent."""

    status = 503
    code = "crowded"


class Broken(UpstreamFailure):
    """Raised when the connection broke, or what came over it was no HTTP."""

    code = "broken"


class TooSlow(UpstreamFailure):
    """Raised when the answer, or its next piece, did not come in time."""

    status = 504
    code = "timeout"


class CallerGone(Exception):
    """Raised when the caller hung up, or went silent in the middle of its own request."""


HINTS: Final = {
    "unreachable": "look whether the service runs; `agt kill-switch on` sends everything to control",
    "connect_timeout": "look whether the service accepts connections; upstreams.NAME.connect_s is the limit",
    "crowded": "try again; upstreams.NAME.connections_max and waiting_max are the limits",
    "broken": "whether the request had an effect isn't known; ask before you send it again",
    "timeout": "whether the request had an effect isn't known; ask before you send it again",
    "no_answer": "whether the request had an effect isn't known; ask before you send it again",
}
"""What to do about each code."""


def body_of(code: str, says: str, hint: str, **more: object) -> bytes:
    """Return the body of an answer of our own."""
    return msgspec.json.encode({"error": {"code": code, "message": says, "hint": hint, **more}})
