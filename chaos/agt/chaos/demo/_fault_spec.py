"""Reads `KIND:TARGET[:AMOUNT]@PHASE`, the way a fault is asked for on the command line.

The words are checked here, all of them, before anything is started; whether the phase exists only the plan knows.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, cast

from agt.supervisor.rollout import parse_duration

AmountKind = Literal["duration", "share", "count", "rate", "none"]

TRAFFIC_TARGETS = ("candidate", "control", "all")
PROCESS_TARGETS = ("gateway", "daemon", "fleet")


@dataclass(frozen=True, slots=True)
class _Form:
    """What may stand behind one kind."""

    amount: AmountKind
    targets: tuple[str, ...]
    example: str


FORMS: dict[str, _Form] = {
    "latency": _Form("duration", TRAFFIC_TARGETS, "latency:candidate:2s@canary-25"),
    "jitter": _Form("duration", TRAFFIC_TARGETS, "jitter:all:200ms@canary-25"),
    "drop": _Form("share", TRAFFIC_TARGETS, "drop:all:0.1@canary-25"),
    "duplicate": _Form("share", TRAFFIC_TARGETS, "duplicate:candidate:0.1@canary-25"),
    "reorder": _Form("share", TRAFFIC_TARGETS, "reorder:candidate:0.1@canary-25"),
    "corrupt": _Form("share", TRAFFIC_TARGETS, "corrupt:candidate:0.1@canary-25"),
    "reset": _Form("share", TRAFFIC_TARGETS, "reset:candidate:0.01@canary-25"),
    "stall": _Form("none", TRAFFIC_TARGETS, "stall:candidate@canary-50"),
    "cut": _Form("duration", TRAFFIC_TARGETS, "cut:candidate:5s@canary-25"),
    "bandwidth": _Form("rate", TRAFFIC_TARGETS, "bandwidth:candidate:200mbit@canary-25"),
    "slice": _Form("share", TRAFFIC_TARGETS, "slice:candidate:0.1@canary-25"),
    "limit": _Form("count", TRAFFIC_TARGETS, "limit:candidate:65536@canary-25"),
    "slow_close": _Form("duration", TRAFFIC_TARGETS, "slow_close:all:2s@canary-25"),
    "down": _Form("duration", ("all",), "down:all:5s@canary-25"),
    "kill": _Form("none", PROCESS_TARGETS, "kill:gateway@canary-50"),
    "lose": _Form("count", ("candidate",), "lose:candidate:3@canary-50"),
}
"""Every kind that can be asked for."""


_RATES = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One fault that was asked for."""

    text: str
    """As it was written."""
    kind: str
    target: str
    phase: str
    """Where it strikes, soon after the phase was entered; empty for at once."""
    amount: float = 0.0
    """Seconds, share, count or bits a second, by kind; 0 where the kind has none."""


class WrongFault(ValueError):
    """Raised when faults can't be understood; says everything that is wrong."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


def parse_faults(texts: Iterable[str], *, phases: Iterable[str] | None = None) -> tuple[FaultSpec, ...]:
    """Read faults, and check their phases when the plan's are given.

    Raises:
        WrongFault: naming every problem of every fault at once.
    """
    known = None if phases is None else tuple(phases)
    specs: list[FaultSpec] = []
    problems: list[str] = []
    for text in texts:
        spec, wrong = _parse(text, known)
        problems += [f"--fault {text}: {problem}" for problem in wrong]
        if spec is not None:
            specs.append(spec)
    if problems:
        raise WrongFault(problems)
    return tuple(specs)


def _parse(text: str, phases: tuple[str, ...] | None) -> tuple[FaultSpec | None, list[str]]:
    what, at, phase = text.partition("@")
    words = what.split(":")
    form = FORMS.get(words[0])
    if form is None:
        return None, [f"unknown kind {words[0]!r}; there are {', '.join(FORMS)}"]
    wanted = f"write it as {form.example}"
    problems: list[str] = []
    if not at or not phase:
        problems.append(f"it names no phase; {wanted}")
    elif phases is not None and phase not in phases:
        problems.append(f"the plan has no phase {phase!r}; it has {', '.join(phases)}")
    if len(words) < 2 or words[1] not in form.targets:
        target = words[1] if len(words) > 1 else ""
        problems.append(f"{target!r} is no target of {words[0]}; there are {', '.join(form.targets)}")
    if len(words) != (2 if form.amount == "none" else 3):
        problems.append(f"{'it takes no' if form.amount == 'none' else 'it needs one'} amount; {wanted}")
        return None, problems
    amount, problem = _amount(form.amount, words[2] if len(words) == 3 else "")
    if problem:
        problems.append(problem)
    return (None if problems else FaultSpec(text, words[0], words[1], phase, amount)), problems


def _amount(kind: AmountKind, text: str) -> tuple[float, str]:
    if kind == "none":
        return 0.0, ""
    try:
        if kind in _READ:
            return _READ[kind](text), ""
        amount = float(text) if kind == "share" else int(text)
    except ValueError as error:
        return 0.0, str(error) if kind in _READ else f"{text!r} is no number"
    if kind == "share" and not 0 < amount <= 1:
        return 0.0, f"{text} is no share; write a number above 0 and at most 1"
    if kind == "count" and amount < 1:
        return 0.0, f"{text} is no count; write a number of at least 1"
    return cast("float", amount), ""


def _rate(text: str) -> float:
    """Return bits a second.

    Raises:
        ValueError: when it is no rate above zero.
    """
    number, unit = text[:-4], text[-4:].lower()
    if unit not in _RATES or not re.fullmatch(r"\d+(\.\d+)?", number) or not float(number):
        raise ValueError(f"{text!r} is no rate; write 200mbit, 64kbit or 1.5gbit")
    return float(number) * _RATES[unit]


_READ: dict[str, Callable[[str], float]] = {"duration": parse_duration, "rate": _rate}
"""Kinds of amount that say themselves what is wrong with one."""
