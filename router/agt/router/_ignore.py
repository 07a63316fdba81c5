"""Differences that are known and expected, each with an owner, a reason and a date on which it counts again.

Projection parity, no-regression runs and the shadow all compare two systems, and all meet the same harmless
differences (a time stamp, a renamed field). A rule without an end would hide a real fault some day, so each has an
expiry, and what has expired is named in the result. `now` is wall-clock time in seconds.
"""

import datetime
import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from agt.router._problem import Problem

RULES_MAX = 1000
"""Ignore rules of one comparison."""
Pattern = Annotated[str, Meta(min_length=1, max_length=200)]


class IgnoreRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One expected difference."""

    field: Pattern
    """Path of what may differ, `body.updated_at`; `*` stands for anything, and a path covers all beneath it.
    `*` alone also covers what exists on one side only."""
    key: Pattern = "*"
    """Whose: the key of a row, the name of a request or device; `*` stands for anything."""
    owner: Annotated[str, Meta(min_length=1)]
    """Who answers for it."""
    reason: Annotated[str, Meta(min_length=1)]
    """Why it is no fault."""
    expires: datetime.datetime
    """When it counts again, with an offset (`2026-12-31T00:00:00Z`)."""

    def covers(self, field: str, key: str = "") -> bool:
        """Tell whether the rule speaks of this place, expired or not."""
        if self.key != "*" and not fnmatch.fnmatchcase(key, self.key):
            return False
        return fnmatch.fnmatchcase(field, self.field) or fnmatch.fnmatchcase(field, f"{self.field}.*")

    def expired(self, *, now: float) -> bool:
        """Tell whether the rule counts no longer."""
        return now >= self.expires.timestamp()


def ignored_by(rules: Sequence[IgnoreRule], field: str, key: str = "", *, now: float) -> IgnoreRule | None:
    """Return the first rule in force that covers a difference; None when it counts."""
    return next((rule for rule in rules if not rule.expired(now=now) and rule.covers(field, key)), None)


def expired_rules(rules: Sequence[IgnoreRule], *, now: float) -> tuple[IgnoreRule, ...]:
    """Return the rules that hide nothing any more, to be shown."""
    return tuple(rule for rule in rules if rule.expired(now=now))


def check_ignore(rules: Sequence[IgnoreRule], prefix: str = "ignore") -> Iterator[Problem]:
    """Yield what is wrong with rules that came out of a file."""
    if len(rules) > RULES_MAX:
        yield Problem(prefix, f"has {len(rules)} rules; at most {RULES_MAX}")
    for index, rule in enumerate(rules):
        if rule.expires.tzinfo is None:
            yield Problem(f"{prefix}[{index}].expires", "needs an offset: write it with Z or +02:00 at the end")


def field_path(parts: Iterable[str | int]) -> str:
    """Return the path of a field as rules write it: `items.3.price`; a name with a dot in it is quoted."""
    return ".".join(_step(part) for part in parts)


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return str(part)
    if not part.isprintable():
        return ascii(part)  # A line end or half a character would break the line that shows it.
    return f'"{part}"' if "." in part or not part else part
