"""What holds for a request by its method and path: component, deadline, and whether it may change anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agt.router.http._config import RouteRule
from agt.router.http._pattern import PathPattern

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that ask for nothing to be changed (RFC 9110, 9.2.1), so far as we pass them on."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """How one request is treated."""

    component: str | None
    """The component that must be on for the candidate to answer; None for none."""
    reads: bool
    """Whether it changes nothing, so that it may be asked twice."""
    answer_s: float
    idle_s: float


class Rules:
    """Finds the first rule that matches."""

    def __init__(self, rules: Sequence[RouteRule], *, answer_s: float, idle_s: float) -> None:
        self._rules = tuple((rule, PathPattern(rule.path), frozenset(rule.methods)) for rule in rules)
        self._plain = {reads: Treatment(None, reads, answer_s, idle_s) for reads in (True, False)}

    def of(self, method: str, path: str) -> Treatment:
        """Return the treatment of a request; what no rule knows and no method calls safe is a write."""
        plain = self._plain[method in SAFE]
        for rule, pattern, methods in self._rules:
            if (not methods or method in methods) and pattern.match(path) is not None:
                return Treatment(
                    rule.component or None,
                    rule.kind == "read" if rule.kind else plain.reads,
                    rule.answer_s or plain.answer_s,
                    rule.idle_s or plain.idle_s,
                )
        return plain
