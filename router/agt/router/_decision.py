"""Which runtime a device belongs to, and why: a pure function of selector, device and moment.

First selection: rules in a fixed order, of which the first that answers wins. Then vetoes, which can only take
back to control. The same tables serve the fast answer (`choose`, one runtime) and the whole one (`decide`,
with every link of the chain), so that the explanation can never differ from what is done.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from agt.router._environment import Overlaid, overlay
from agt.router._position import order, percentage_hundredths, position, position_hundredths
from agt.router._selector import Runtimes, Selector

NO_ATTACHMENT: Final = "no candidate attachment"
"""Reason of the veto that holds a device on control until its candidate attachment is up."""
DEFAULT_RUNTIMES: Final = Runtimes(control="control", candidate="candidate")
"""Names used where no selector has ever been read."""


class ChainLink(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, and what it said about this device."""

    rule: str
    verdict: str
    """`decides`, `passes` or `not reached` for rules; `vetoes` or `agrees` for vetoes."""
    runtime: str | None = None
    """Where the rule sends the device, when it decides or vetoes."""
    says: str = ""
    """Why, in words."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Where a device belongs now."""

    runtime: str
    reason: str
    rule: str = ""
    """Name of the rule or veto that had the last word."""
    chain: tuple[ChainLink, ...] = ()
    """Every rule in order, then every veto."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is asked about: one device at one moment."""

    device: str
    session: str | None = None
    """The session's own name, where it differs from the device's."""
    component: str | None = None
    """Part of the system that asks (document 002); None asks for none."""
    mode: str | None = None
    """Network mode, when one has been measured."""
    now: float = 0.0
    """Seconds since the Unix epoch; only the expiry of overrides asks for it."""
    live_on: str | None = None
    """Runtime that carries the device's live session; None when it has just come."""
    candidate_ready: bool = True
    """Whether the device has an attachment that the candidate could use."""


class Situation:
    """What holds for all devices: the selector as the environment leaves it, and the kill latch."""

    __slots__ = ("cohort", "killed", "last", "overlaid", "overrides", "runtimes", "selector", "threshold")

    def __init__(
        self,
        selector: Selector | None,
        *,
        environment: Mapping[str, str] | None = None,
        runtimes: Runtimes = DEFAULT_RUNTIMES,
        killed: str = "",
    ) -> None:
        self.overlaid: Overlaid | None = overlay(selector, environment or {}) if selector else None
        self.selector = self.overlaid.selector if self.overlaid else None
        """The selector with the environment laid over it; None when none is readable."""
        self.runtimes = self.selector.runtimes if self.selector else runtimes
        self.killed = killed
        """Why everything is on control, when the kill latch holds; empty otherwise."""
        route = self.selector.runtime if self.selector else None
        self.cohort = frozenset(route.cohort) if route else frozenset()
        self.overrides = {item.device: item for item in self.selector.overrides} if self.selector else {}
        self.last = order(route.up_to, route.salt) if route and route.up_to else None
        """The last device of the share, where one is named: those after it are out."""
        share = (100.0 if self.last else 0.0) if route is None or route.percentage is None else route.percentage
        self.threshold = percentage_hundredths(share)
        """The percentage in hundredths: a device whose position is below it is in."""

    def at_share(self, percentage: float) -> "Situation":
        """Return the same situation with another percentage, and no last device; the environment stays laid over."""
        selector = self.selector
        if selector is not None:
            selector = selector.with_route(percentage=percentage, up_to="", default=self.runtimes.control)
        return Situation(selector, runtimes=self.runtimes, killed=self.killed)

    def because(self, field: str) -> str:
        """Return which variable set a field of the route, in brackets, or nothing."""
        return self.overlaid.because(field) if self.overlaid else ""


_Answer = tuple[str | None, str]
"""Runtime and reason; without a runtime the rule passes the question on, and the reason says why."""


def choose(situation: Situation, subject: Subject) -> str:
    """Return the runtime alone: what `decide` says, without its chain."""
    runtime = situation.runtimes.control
    for _, rule in RULES:
        answer, _ = rule(situation, subject)
        if answer is not None:
            runtime = answer
            break
    if runtime == situation.runtimes.candidate and any(veto(situation, subject)[0] for _, veto in VETOES):
        return situation.runtimes.control
    return runtime


def decide_in(situation: Situation, subject: Subject) -> Decision:
    """Decide with the whole chain, for a situation that was prepared before."""
    chain: list[ChainLink] = []
    decided: tuple[str, str, str] | None = None
    for name, rule in RULES:
        if decided is not None:
            chain.append(ChainLink(rule=name, verdict="not reached"))
            continue
        answer, says = rule(situation, subject)
        chain.append(ChainLink(rule=name, verdict="decides" if answer else "passes", runtime=answer, says=says))
        if answer is not None:
            decided = (answer, says, name)
    assert decided is not None, "the last rule always answers"
    runtime, reason, by = decided
    for name, veto in VETOES:
        if decided[0] == situation.runtimes.control:
            chain.append(ChainLink(rule=name, verdict="not reached", says="already on control"))
            continue
        answer, says = veto(situation, subject)
        chain.append(ChainLink(rule=name, verdict="vetoes" if answer else "agrees", runtime=answer, says=says))
        if answer is not None and runtime != situation.runtimes.control:
            runtime, reason, by = answer, says, name
    return Decision(runtime=runtime, reason=reason, rule=by, chain=tuple(chain))


def decide(
    selector: Selector | None,
    device: str,
    *,
    component: str | None = None,
    session: str | None = None,
    mode: str | None = None,
    now: float = 0.0,
    environment: Mapping[str, str] | None = None,
    live_on: str | None = None,
    candidate_ready: bool = True,
    runtimes: Runtimes = DEFAULT_RUNTIMES,
    killed: str = "",
) -> Decision:
    """Decide for one device.

    Args:
        selector: The selector; None when there is none that can be read.
        device: The device's id.
        component: A component's name, where one asks.
        session: The session's name, where it differs from the device's.
        mode: The measured network mode.
        now: Seconds since the Unix epoch, for overrides that expire.
        environment: Variables by name, as the process and `agt.env` give them.
        live_on: The runtime that carries the device's live session now.
        candidate_ready: Whether the device has an attachment for the candidate.
        runtimes: The names to answer with when there is no selector.
        killed: Why the kill latch holds; empty when it doesn't.
    """
    situation = Situation(selector, environment=environment, runtimes=runtimes, killed=killed)
    subject = Subject(device, session, component, mode, now, live_on, candidate_ready)
    return decide_in(situation, subject)


def _kill(situation: Situation, _: Subject) -> _Answer:
    control = situation.runtimes.control
    if situation.killed:
        return control, f"killed: {situation.killed}"
    if situation.selector is None:
        return control, "no readable selector"
    if situation.selector.runtime.kill_switch:
        return control, f"kill switch is on{situation.because('kill_switch')}"
    return None, "no kill switch"


def _enabled(situation: Situation, _: Subject) -> _Answer:
    assert situation.selector is not None, "the rule before answers when there is no selector"
    if not situation.selector.runtime.enabled:
        return situation.runtimes.control, f"{situation.runtimes.candidate} is not enabled"
    return None, f"{situation.runtimes.candidate} is enabled"


def _override(situation: Situation, subject: Subject) -> _Answer:
    override = situation.overrides.get(subject.device)
    if override is None:
        return None, "no override"
    if override.expires is not None and override.expires.timestamp() <= subject.now:
        return None, f"override by {override.owner} expired at {override.expires.isoformat()}"
    return override.runtime, f"override by {override.owner}{': ' + override.reason if override.reason else ''}"


def _cohort(situation: Situation, subject: Subject) -> _Answer:
    for name in (subject.device, subject.session):
        if name is not None and name in situation.cohort:
            return situation.runtimes.candidate, f"{name} is in the cohort{situation.because('cohort')}"
    return None, f"not among the {len(situation.cohort)} of the cohort{situation.because('cohort')}"


def _pin(situation: Situation, subject: Subject) -> _Answer:
    assert situation.selector is not None, "the first rule answers when there is no selector"
    if not situation.selector.runtime.pin_live_sessions:
        return None, "live sessions are not pinned"
    # Only control holds its sessions: a pin must never stand in the way of going back.
    if subject.live_on == situation.runtimes.control:
        return situation.runtimes.control, f"live session stays on {situation.runtimes.control} until it restarts"
    return None, f"no live session on {situation.runtimes.control}"


def _default(situation: Situation, _: Subject) -> _Answer:
    assert situation.selector is not None, "the first rule answers when there is no selector"
    if situation.selector.default_is_candidate:
        return situation.runtimes.candidate, f"{situation.runtimes.candidate} is the default"
    return None, f"{situation.runtimes.control} is the default"


def _percentage(situation: Situation, subject: Subject) -> _Answer:
    assert situation.selector is not None, "the first rule answers when there is no selector"
    route = situation.selector.runtime
    candidate = situation.runtimes.candidate
    inside = position_hundredths(subject.device, route.salt) < situation.threshold
    where = f"position {position(subject.device, route.salt):.2f}"
    if inside and situation.last is not None:
        inside = order(subject.device, route.salt) <= situation.last
        says = f"{where} is {'not after' if inside else 'after'} {route.up_to}, the last device"
        return (candidate if inside else None), says
    share = f"below {situation.threshold / 100:g} %{situation.because('percentage')}"
    return (candidate, f"{where} is {share}") if inside else (None, f"{where} is not {share}")


def _control(situation: Situation, subject: Subject) -> _Answer:
    assert situation.selector is not None, "the first rule answers when there is no selector"
    _, says = _percentage(situation, subject)
    return situation.runtimes.control, says


def _component_veto(situation: Situation, subject: Subject) -> _Answer:
    if subject.component is None:
        return None, "no component asked"
    assert situation.selector is not None, "without a selector nothing reaches a veto"
    if situation.selector.components.get(subject.component, False):
        return None, f"component {subject.component} is on"
    known = "off" if subject.component in situation.selector.components else "unknown, and so off"
    return situation.runtimes.control, f"component {subject.component} is {known}"


def _mode_veto(situation: Situation, subject: Subject) -> _Answer:
    if subject.mode is None:
        return None, "no network mode measured"
    assert situation.selector is not None, "without a selector nothing reaches a veto"
    if situation.selector.modes.get(subject.mode, True):
        return None, f"network mode {subject.mode} is allowed"
    return situation.runtimes.control, f"network mode {subject.mode} is kept on {situation.runtimes.control}"


def _attachment_veto(situation: Situation, subject: Subject) -> _Answer:
    if subject.candidate_ready:
        return None, "candidate attachment is up"
    return situation.runtimes.control, NO_ATTACHMENT


_Rule = Callable[[Situation, Subject], _Answer]

RULES: Final[tuple[tuple[str, _Rule], ...]] = (
    ("kill", _kill),
    ("enabled", _enabled),
    ("override", _override),
    ("cohort", _cohort),
    ("pin", _pin),
    ("default", _default),
    ("percentage", _percentage),
    ("control", _control),
)
"""Selection, in order: the first rule that answers wins."""

VETOES: Final[tuple[tuple[str, _Rule], ...]] = (
    ("component", _component_veto),
    ("mode", _mode_veto),
    ("attachment", _attachment_veto),
)
"""What can take a selected device back to control."""
