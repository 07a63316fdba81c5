"""What a plan says of a sink."""

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from agt.supervisor.view import Severity

SOURCES: Final = ("env:", "file:")
"""Where a secret may be: an environment variable, a file."""


class Sink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where alerts go beside the ledger."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    """What alerts and `agt status` call it."""
    kind: Literal["log", "webhook", "command"]
    """A structured line in the supervisor's log, an HTTP POST, or a program that reads JSON from its standard input."""
    severity: Severity = "warn"
    """The mildest that is sent."""
    url: str = ""
    """For a webhook: `https://...`, or `env:NAME` or `file:PATH` where the address itself is a secret."""
    secret: str = ""
    """For a webhook: `env:NAME` or `file:PATH`; sent as a bearer token, read anew for each alert, never logged."""
    command: tuple[str, ...] = ()
    """For a command: program and arguments; `{python}` and `{run}` are filled in; no shell."""
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 5.0
    """What one try may take."""
    attempts: Annotated[int, Meta(ge=1, le=10)] = 4
    """Tries an alert, 1 s, 2 s, 4 s ... apart, at most 30 s."""


def sink_problem(sink: Sink) -> tuple[str, str]:
    """Return which key of a sink makes no sense and why; two empty strings when all do."""
    if bool(sink.url) != (sink.kind == "webhook"):
        return "url", "a webhook needs a url" if sink.kind == "webhook" else f"a {sink.kind} sink has no url"
    if bool(sink.command) != (sink.kind == "command"):
        return "command", "say what to run" if sink.kind == "command" else f"a {sink.kind} sink has no command"
    if sink.secret and sink.kind != "webhook":
        return "secret", f"a {sink.kind} sink has no secret"
    if sink.secret and not sink.secret.startswith(SOURCES):
        return "secret", "a secret doesn't belong into a plan: write env:NAME or file:PATH"
    if sink.url and not sink.url.startswith(SOURCES) and not _is_http(sink.url):
        return "url", f"{sink.url!r} is no http or https address"
    return "", ""


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
