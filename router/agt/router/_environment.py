"""Environment variables over the selector: the switch that operators reach for first.

A variable can only make the route more careful than the selector file says, never bolder: a percentage from a
variable is capped by the file's own, a kill switch anywhere wins, and among several variables the most careful
one counts. Where the file leaves the percentage open, a variable may set it (document 000 knows nothing but
its variable). A value that can't be read counts as its most careful meaning, and is named as a problem.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from agt.router._problem import Problem
from agt.router._selector import Meaning, Selector

ENV_FILE_MAX_BYTES = 1 << 16
"""Largest `agt.env` that is read."""

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Overlaid:
    """A selector as the environment leaves it, and which variable changed what."""

    selector: Selector
    sources: Mapping[str, str]
    """Field of `[runtime]` to the variable that set it, `percentage` to `CANARY_PERCENTAGE=5`."""
    problems: tuple[Problem, ...]
    """Values that could not be read."""

    def because(self, field: str) -> str:
        """Return ` (CANARY_PERCENTAGE=5)` when a variable set this field, else nothing."""
        source = self.sources.get(field)
        return f" ({source})" if source else ""


def overlay(selector: Selector, environment: Mapping[str, str]) -> Overlaid:
    """Lay the variables that the selector knows over its route."""
    caps: list[tuple[float, str]] = []
    changes: dict[str, object] = {}
    sources: dict[str, str] = {}
    problems: list[Problem] = []
    for name, meaning in sorted(selector.variables.items()):
        text = environment.get(name, "").strip()
        if not text:
            continue
        shown = f"{name}={text[:80]}"
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
    return Overlaid(changed, sources, tuple(problems))


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


def _cap(
    selector: Selector, caps: list[tuple[float, str]], changes: dict[str, object], sources: dict[str, str]
) -> None:
    """Let the smallest percentage of all variables cap the selector's own."""
    if not caps:
        return
    cap, shown = min(caps)
    # The kill switch and `enabled` have rules of their own; here only the share that the file intends counts.
    written = 100.0 if selector.default_is_candidate else selector.runtime.percentage
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
