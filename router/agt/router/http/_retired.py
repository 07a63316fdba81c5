"""Endpoints on their way out: first headers that say so, then 410 Gone with a body that says where to go.

`Deprecation` is RFC 9745's (a date as `@seconds`), `Sunset` RFC 8594's (an HTTP date), and where to go is a `Link` to
the `successor-version` (RFC 5829). Which of the two it is, is the selector's to say (`legacy_listener`), so that a plan
can bring it and the way back takes it away again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from typing import Literal
from urllib.parse import quote

from agt.router.http._config import Retired
from agt.router.http._errors import body_of
from agt.router.http._pattern import PathPattern

Phase = Literal["deprecated", "gone"]


@dataclass(frozen=True, slots=True)
class Retirement:
    """What is said about one request's endpoint."""

    gone: bool
    headers: tuple[tuple[bytes, bytes], ...]
    rule: Retired
    successor: str

    @property
    def body(self) -> bytes:
        """The body of the 410."""
        says = self.rule.says or "this endpoint has been retired"
        hint = f"use {self.successor}" if self.successor else "see the links in the headers" if self.rule.policy else ""
        more = {
            "successor": self.successor,
            "policy": self.rule.policy,
            "deprecated": self.rule.deprecated.isoformat() if self.rule.deprecated else "",
            "sunset": self.rule.sunset.isoformat() if self.rule.sunset else "",
        }
        return body_of("gone", says, hint, **{key: value for key, value in more.items() if value})


class Retirements:
    """Finds the first rule about an endpoint."""

    def __init__(self, rules: Sequence[Retired]) -> None:
        self._rules = tuple((rule, PathPattern(rule.path), frozenset(rule.methods)) for rule in rules)

    def of(self, method: str, path: str, runtime: str, *, listener: str) -> Retirement | None:
        """Return what is said about a request that a runtime would answer.

        Args:
            method: The request's.
            path: Its path, percent-decoded.
            runtime: Who would answer.
            listener: The selector's `legacy_listener`.
        """
        for rule, pattern, methods in self._rules:
            if (methods and method not in methods) or rule.runtime not in ("", runtime):
                continue
            names = pattern.match(path)
            if names is None:
                continue
            phase = _phase(rule, listener)
            if phase is not None:
                successor = _filled(rule.successor, names)
                return Retirement(phase == "gone", _headers(rule, successor), rule, successor)
        return None


def _phase(rule: Retired, listener: str) -> Phase | None:
    if rule.state != "selector":
        return rule.state
    return {"warn": "deprecated", "refuse": "gone"}.get(listener)  # type: ignore[return-value]  # two of its values


def _headers(rule: Retired, successor: str) -> tuple[tuple[bytes, bytes], ...]:
    said: list[tuple[bytes, bytes]] = []
    if rule.deprecated is not None:
        said.append((b"deprecation", b"@%d" % int(rule.deprecated.timestamp())))
    if rule.sunset is not None:
        said.append((b"sunset", format_datetime(rule.sunset.astimezone(UTC), usegmt=True).encode()))
    if successor:
        said.append((b"link", f'<{successor}>; rel="successor-version"'.encode("latin-1")))
    if rule.policy:
        said.append((b"link", f'<{rule.policy}>; rel="deprecation"; type="text/html"'.encode("latin-1")))
    return tuple(said)


def _filled(successor: str, names: dict[str, str]) -> str:
    """Put the path's names into the successor's address, quoted: they are the caller's words."""
    for name, value in names.items():
        successor = successor.replace(f"{{{name}}}", quote(value, safe="/" if name == "rest" else ""))
    return successor
