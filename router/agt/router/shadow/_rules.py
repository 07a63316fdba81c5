"""What counts as a difference: ignore rules that end, numbers with room, values that mean the same.

Written by hand as `shadow.toml`, checked as a whole, and reported with every problem at once.
"""

import datetime
import fnmatch
import math
import tomllib
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from agt.router._errors import RouterError
from agt.router._ignore import IgnoreRule, check_ignore
from agt.router._problem import Problem
from agt.router.shadow._fields import LATENCY, is_number

RULES_MAX_BYTES = 256 << 10
"""Longest text of rules that is read."""
Pattern = Annotated[str, Meta(min_length=1, max_length=200)]
NotNegative = Annotated[float, Meta(ge=0)]


class RulesInvalid(RouterError):
    """Raised when the shadow's rules make no sense; names every problem."""

    def __init__(self, problems: tuple[Problem, ...], origin: str) -> None:
        super().__init__(f"{origin}: {'; '.join(str(problem) for problem in problems)}")
        self.problems, self.origin = problems, origin


class Room(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far two numbers may be apart and still be equal: either bound is enough."""

    field: Pattern
    """Path, `reply.price`; `*` stands for anything."""
    absolute: NotNegative = 0.0
    """In the field's own unit."""
    relative: NotNegative = 0.0
    """A fraction of the larger of the two: 0.01 is 1 %."""

    def holds(self, one: float, other: float) -> bool:
        """Tell whether two numbers are close enough."""
        return abs(one - other) <= max(self.absolute, self.relative * max(abs(one), abs(other)))


class Same(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values of a field that mean the same: a category."""

    field: Pattern
    """Path, `reply.status`; `*` stands for anything."""
    values: Annotated[tuple[str | int | float | bool | None, ...], Meta(min_length=2, max_length=1000)]
    """`["ok", "done", 200]`."""


class ShadowRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that one comparison goes by."""

    ignore: tuple[IgnoreRule, ...] = ()
    """Expected differences, each with an owner, a reason and an end; `key` is the device."""
    room: Annotated[tuple[Room, ...], Meta(max_length=1000)] = ()
    """Numbers with room; the first that fits counts."""
    same: Annotated[tuple[Same, ...], Meta(max_length=1000)] = ()
    """Categories; the first that holds both values counts."""

    def equal(self, field: str, one: object, other: object) -> bool:
        """Tell whether two values of a field count as equal, ignore rules apart."""
        if _identical(one, other):
            return True
        if any(_fits(rule.field, field) and _among(one, rule) and _among(other, rule) for rule in self.same):
            return True
        if isinstance(one, int | float) and isinstance(other, int | float) and is_number(one) and is_number(other):
            room = next((rule for rule in self.room if _fits(rule.field, field)), _NO_ROOM.get(field))
            return one == other or (room is not None and room.holds(one, other))
        return False


NO_RULES = ShadowRules()
_NO_ROOM = {LATENCY: Room(field=LATENCY, absolute=math.inf)}
"""What is measured and never twice the same counts only where a rule says how far it may be apart."""


def parse_shadow_rules(text: str, *, origin: str = "shadow.toml") -> ShadowRules:
    """Read rules as written by hand.

    Raises:
        RulesInvalid: with everything that is wrong.
    """
    if len(text) > RULES_MAX_BYTES:
        raise RulesInvalid((Problem("", f"is longer than {RULES_MAX_BYTES} characters"),), origin)
    try:
        rules = msgspec.convert(tomllib.loads(text), ShadowRules)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise RulesInvalid((Problem("", str(error)),), origin) from error
    problems = tuple(check_rules(rules))
    if problems:
        raise RulesInvalid(problems, origin)
    return rules


def check_rules(rules: ShadowRules) -> Iterator[Problem]:
    """Yield what is wrong with rules beyond their shape."""
    yield from check_ignore(rules.ignore)
    for index, room in enumerate(rules.room):
        if not room.absolute and not room.relative:
            yield Problem(f"room[{index}]", "gives no room; set absolute or relative above 0")


def until(rule: IgnoreRule) -> str:
    """Say until when a rule counts, for people."""
    return f"{rule.expires.astimezone(datetime.UTC):%Y-%m-%d %H:%M}Z"


def _identical(one: object, other: object) -> bool:
    """Tell whether two values are the same; true is not 1, and no number is one."""
    if type(one) is not type(other):
        return False
    return one == other or (one != one and other != other)  # noqa: PLR0124 - only "not a number" differs from itself.


def _among(value: object, rule: Same) -> bool:
    return any(_identical(value, known) for known in rule.values)


def _fits(pattern: str, field: str) -> bool:
    return fnmatch.fnmatchcase(field, pattern) or fnmatch.fnmatchcase(field, f"{pattern}.*")
