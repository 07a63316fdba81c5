"""Environment variables over the selector: the switch that operators reach for first.

A variable can only make the route more careful than the selector file says, never bolder: a percentage from a
variable is capped by the file's own, a kill switch anywhere wins, and among several variables the most careful
one counts. Where the file leaves the percentage open, a variable may set it (document 000 knows nothing but
its variable). A value that can't be read counts as its most careful meaning, and is named as a problem.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from agt.router._problem import Problem
from agt.router._selector import Meaning, Selector

ENV_FILE_MAX_BYTES = 1 << 16
"""Largest `agt.env` that is read."""

_KEYS: Final = {
    Meaning.FRACTION: "percentage",
    Meaning.PERCENTAGE: "percentage",
    Meaning.KILL_SWITCH: "kill_switch",
    Meaning.KILL_SWITCH_WHEN_FALSE: "kill_switch",
    Meaning.SHADOW: "shadow",
    Meaning.COHORT: "cohort",
}
"""What of `[runtime]` each meaning speaks about."""
_COHORT_SHOWN: Final = 5
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """One variable that is set, and what it does to the selector."""

    variable: str
    value: str
    """As it is set, its first 80 characters."""
    key: str
    """The key of `[runtime]` that it speaks about."""
    overrides: bool
    """Whether it changes what the selector says; false when the selector, or another variable, is as careful."""
    says: str
    """`percentage 25 -> 5 (CANARY_PERCENTAGE=5)`."""


@dataclass(frozen=True, slots=True)
class Overlaid:
    """A selector as the environment leaves it, and which variable changed what."""

    selector: Selector
    sources: Mapping[str, str]
    """Field of `[runtime]` to the variable that set it, `percentage` to `CANARY_PERCENTAGE=5`."""
    problems: tuple[Problem, ...]
    """Values that could not be read."""
    switches: tuple[Switch, ...] = ()
    """Every variable that is set, with its effect, by name."""

    def because(self, field: str) -> str:
        """Return ` (CANARY_PERCENTAGE=5)` when a variable set this field, else nothing."""
        source = self.sources.get(field)
        return f" ({source})" if source else ""


def overlay(selector: Selector, environment: Mapping[str, str]) -> Overlaid:
    """Lay the variables that the selector knows over its route."""
    present: dict[str, tuple[Meaning, str]] = {}
    caps: list[tuple[float, str]] = []
    changes: dict[str, object] = {}
    sources: dict[str, str] = {}
    problems: list[Problem] = []
    for name, meaning in sorted(selector.variables.items()):
        text = environment.get(name, "").strip()
        if not text:
            continue
        shown = f"{name}={text[:80]}"
        present[name] = meaning, text[:80]
        if meaning in (Meaning.FRACTION, Meaning.PERCENTAGE):
            caps.append((_percentage(name, text, meaning, problems), shown))
        elif meaning is Meaning.COHORT:
            names = tuple(item.strip() for item in text.split(",") if item.strip())
            kept = changes.get("cohort", names)
            assert isinstance(kept, tuple)
            changes["cohort"] = tuple(item for item in names if item in kept)
            sources["cohort"] = shown
            caps.append((0.0, shown))
        elif meaning is Meaning.SHADOW:
            mirrors = _flag(name, text, careful=False, problems=problems)
            if not mirrors or "shadow" not in changes:
                changes["shadow"] = "candidate" if mirrors else "off"
                sources["shadow"] = shown
        elif _kills(name, text, meaning, problems):
            changes["kill_switch"] = True
            sources["kill_switch"] = shown
    _cap(selector, caps, changes, sources)
    changed = selector.with_route(**changes) if changes else selector
    switches = tuple(_switch(name, *how, selector, changed, sources) for name, how in present.items())
    return Overlaid(changed, sources, tuple(problems), switches)


def parse_env_file(text: str) -> dict[str, str]:
    """Read the lines of an `agt.env` file, written as for systemd's EnvironmentFile.

    Raises:
        ValueError: naming the first line that can't be read; nothing of the file counts then.
    """
    variables: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip().removeprefix("export ").strip()
        if not line or line[0] in "#;":
            continue
        name, equals, value = line.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name.isidentifier():
            raise ValueError(f"line {number} is not NAME=value: {raw[:40]!r}")
        quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
        variables[name] = value[1:-1] if quoted else value
    return variables


def _switch(
    name: str, meaning: Meaning, value: str, before: Selector, after: Selector, sources: Mapping[str, str]
) -> Switch:
    """Say what one variable does."""
    key, shown = _KEYS[meaning], f"{name}={value}"
    written, effective = _shown(before, key), _shown(after, key)
    # A cohort of variables also ends the percentage; both are said where the names are.
    overrides = sources.get(key) == shown and written != effective
    changed, idle = f"{key} {written} -> {effective} ({shown})", f"{shown} changes nothing: {key} is {effective}"
    says = changed if overrides else idle
    return Switch(variable=name, value=value, key=key, overrides=overrides, says=says)


def _shown(selector: Selector, key: str) -> str:
    route = selector.runtime
    if key == "percentage":
        return f"{100.0 if selector.default_is_candidate else selector.written_share:g}"
    if key == "cohort":
        share = f", and {selector.written_share:g} %" if selector.written_share else ""
        names = ", ".join(route.cohort[:_COHORT_SHOWN]) + ", ..." * (len(route.cohort) > _COHORT_SHOWN)
        return f"{names or 'nobody'}{share}"
    return str(getattr(route, key)).lower()


def _cap(
    selector: Selector, caps: list[tuple[float, str]], changes: dict[str, object], sources: dict[str, str]
) -> None:
    """Let the smallest percentage of all variables cap the selector's own."""
    if not caps:
        return
    cap, shown = min(caps)
    # The kill switch and `enabled` have rules of their own; here only the share that the file intends counts.
    route = selector.runtime
    share = selector.written_share if route.up_to or route.percentage is not None else None
    written = 100.0 if selector.default_is_candidate else share
    if written is not None and written <= cap:
        return
    changes["percentage"] = cap
    changes["default"] = selector.runtimes.control
    sources["percentage"] = shown


def _percentage(name: str, text: str, meaning: Meaning, problems: list[Problem]) -> float:
    top = 1.0 if meaning is Meaning.FRACTION else 100.0
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= top:  # Not a number fails this too.
        problems.append(Problem(name, f"{text[:40]!r} is not a number from 0 to {top:g}; it counts as 0"))
        return 0.0
    # Rounded down to the steps of 0.01: never bolder than what was written.
    return math.floor(value * (10_000 / top) + 1e-6) / 100


def _flag(name: str, text: str, *, careful: bool, problems: list[Problem]) -> bool:
    word = text.lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    problems.append(Problem(name, f"{text[:40]!r} is neither true nor false; it counts as {str(careful).lower()}"))
    return careful


def _kills(name: str, text: str, meaning: Meaning, problems: list[Problem]) -> bool:
    if meaning is Meaning.KILL_SWITCH:
        return _flag(name, text, careful=True, problems=problems)
    return not _flag(name, text, careful=False, problems=problems)
