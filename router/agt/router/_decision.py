"""Which runtime a device belongs to, and why: a pure function of selector, device and moment.

First selection: rules in a fixed order, of which the first that answers wins. Then vetoes, which can only take
back to control. The same tables serve the fast answer (`choose`, one runtime) and the whole one (`decide`,
with every link of the chain), so that the explanation can never differ from what is done. `choose` asks only the rules
that can decide anything under this selector, and makes no words.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from agt.router._environment import Overlaid, overlay
from agt.router._position import order, percentage_hundredths, position_hundredths
from agt.router._selector import UNKNOWN_MODE, ForcedMode, Route, Runtimes, Selector

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


class Subject(msgspec.Struct, frozen=True, gc=False):
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
    hundredths: int | None = None
    """Its position under the situation's salt, where that is known already."""

    def at(self, hundredths: int) -> "Subject":
        """Return the same question about a device whose position is known."""
        return msgspec.structs.replace(self, hundredths=hundredths)


class Situation:
    """What holds for all devices: the selector as the environment leaves it, and the kill latch."""

    __slots__ = (
        "by_share",
        "cohort",
        "deciding",
        "deciding_unnamed",
        "inside",
        "killed",
        "last",
        "named",
        "outside",
        "overlaid",
        "overrides",
        "runtimes",
        "salt",
        "selector",
        "threshold",
        "vetoing",
    )

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
        self.salt = route.salt if route else ""
        self.deciding = tuple(rule.decide for rule in RULES if rule.matters(self))
        """The rules that can decide something here, in order."""
        self.deciding_unnamed = tuple(rule.decide for rule in RULES if rule.matters(self) and not rule.by_name)
        """Those that can decide something about devices that are not `named`."""
        self.vetoing = tuple(veto.decide for veto in VETOES if veto.matters(self))
        self.named = self.cohort | self.overrides.keys()
        """Devices and sessions that a rule names."""
        self.by_share = self.last is None and not (self.selector and (self.selector.modes or self.pins))
        """Whether, of devices without name or component, nothing but the position decides: `inside` or `outside`."""
        self.inside = choose(self, Subject("", hundredths=0))
        self.outside = choose(self, Subject("", hundredths=10_000))

    @property
    def pins(self) -> bool:
        """Whether live sessions are pinned to control; a kill breaks every pin."""
        return self.selector is not None and not self.killed and self.selector.runtime.pin_live_sessions

    def at_share(self, percentage: float) -> "Situation":
        """Return the same situation with another percentage, and no last device; the environment stays laid over."""
        selector = self.selector
        if selector is not None:
            selector = selector.with_route(percentage=percentage, up_to="", default=self.runtimes.control)
        return Situation(selector, runtimes=self.runtimes, killed=self.killed)

    def forced_mode(self, now: float) -> ForcedMode | None:
        """Return the mode that is forced at a moment (seconds since the epoch); None when the measured one counts."""
        forced = self.selector.forced_mode if self.selector else None
        if forced is None or (forced.expires is not None and forced.expires.timestamp() <= now):
            return None
        return forced

    def because(self, field: str) -> str:
        """Return which variable set a field of the route, in brackets, or nothing."""
        return self.overlaid.because(field) if self.overlaid else ""


class Rule(NamedTuple):
    """One rule, or one veto."""

    name: str
    decide: Callable[[Situation, Subject], str | None]
    """Where it sends a device; None passes the question on, or agrees."""
    says: Callable[[Situation, Subject], str]
    """Why it decides so, in words."""
    matters: Callable[[Situation], bool] = lambda _: True
    """Whether it can decide anything in a situation."""
    by_name: bool = False
    """Whether it asks for nothing but names that the selector lists."""


def choose(situation: Situation, subject: Subject) -> str:
    """Return the runtime alone: what `decide` says, without its chain."""
    named = subject.device in situation.named or subject.session in situation.named
    for rule in situation.deciding if named else situation.deciding_unnamed:
        runtime = rule(situation, subject)
        if runtime is not None:
            break
    else:
        raise AssertionError("the last rule always answers")
    control = situation.runtimes.control
    if runtime != control:
        for veto in situation.vetoing:
            if veto(situation, subject) is not None:
                return control
    return runtime


def decide_in(situation: Situation, subject: Subject) -> Decision:
    """Decide with the whole chain, for a situation that was prepared before."""
    chain: list[ChainLink] = []
    decided: ChainLink | None = None
    for rule in RULES:
        if decided is not None:
            chain.append(ChainLink(rule=rule.name, verdict="not reached"))
            continue
        chain.append(_asked(rule, situation, subject, ("decides", "passes")))
        if chain[-1].runtime is not None:
            decided = chain[-1]
    assert decided is not None, "the last rule always answers"
    selected = decided
    for veto in VETOES:
        if selected.runtime == situation.runtimes.control:
            chain.append(ChainLink(rule=veto.name, verdict="not reached", says="already on control"))
            continue
        chain.append(_asked(veto, situation, subject, ("vetoes", "agrees")))
        if chain[-1].runtime is not None and decided is selected:
            decided = chain[-1]
    assert decided.runtime is not None, "what decides names a runtime"
    return Decision(runtime=decided.runtime, reason=decided.says, rule=decided.rule, chain=tuple(chain))


def _asked(rule: Rule, situation: Situation, subject: Subject, words: tuple[str, str]) -> ChainLink:
    runtime = rule.decide(situation, subject)
    verdict = words[0] if runtime is not None else words[1]
    return ChainLink(rule=rule.name, verdict=verdict, runtime=runtime, says=rule.says(situation, subject))


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


def _control(situation: Situation, _: Subject) -> str:
    return situation.runtimes.control


def _route(situation: Situation) -> Route:
    assert situation.selector is not None, "the first rule answers when there is no selector"
    return situation.selector.runtime


def _killing(situation: Situation) -> bool:
    return bool(situation.killed) or situation.selector is None or situation.selector.runtime.kill_switch


def _kill(situation: Situation, _: Subject) -> str | None:
    return situation.runtimes.control if _killing(situation) else None


def _kill_says(situation: Situation, _: Subject) -> str:
    if situation.killed:
        return f"killed: {situation.killed}"
    if situation.selector is None:
        return "no readable selector"
    if situation.selector.runtime.kill_switch:
        return f"kill switch is on{situation.because('kill_switch')}"
    return "no kill switch"


def _enabled(situation: Situation, _: Subject) -> str | None:
    return None if _route(situation).enabled else situation.runtimes.control


def _enabled_says(situation: Situation, _: Subject) -> str:
    return f"{situation.runtimes.candidate} is {'' if _route(situation).enabled else 'not '}enabled"


def _override(situation: Situation, subject: Subject) -> str | None:
    override = situation.overrides.get(subject.device)
    if override is None or (override.expires is not None and override.expires.timestamp() <= subject.now):
        return None
    return override.runtime


def _override_says(situation: Situation, subject: Subject) -> str:
    override = situation.overrides.get(subject.device)
    if override is None:
        return "no override"
    if override.expires is not None and override.expires.timestamp() <= subject.now:
        return f"override by {override.owner} expired at {override.expires.isoformat()}"
    return f"override by {override.owner}{': ' + override.reason if override.reason else ''}"


def _cohort(situation: Situation, subject: Subject) -> str | None:
    inside = subject.device in situation.cohort or subject.session in situation.cohort
    return situation.runtimes.candidate if inside else None


def _cohort_says(situation: Situation, subject: Subject) -> str:
    for name in (subject.device, subject.session):
        if name in situation.cohort:
            return f"{name} is in the cohort{situation.because('cohort')}"
    return f"not among the {len(situation.cohort)} of the cohort{situation.because('cohort')}"


def _pin(situation: Situation, subject: Subject) -> str | None:
    # Only control holds its sessions: a pin must never stand in the way of going back.
    control = situation.runtimes.control
    return control if _route(situation).pin_live_sessions and subject.live_on == control else None


def _pin_says(situation: Situation, subject: Subject) -> str:
    if not _route(situation).pin_live_sessions:
        return "live sessions are not pinned"
    control = situation.runtimes.control
    if subject.live_on == control:
        return f"live session stays on {control} until it restarts"
    return f"no live session on {control}"


def _by_default(situation: Situation) -> bool:
    return situation.selector is not None and situation.selector.default_is_candidate


def _default(situation: Situation, _: Subject) -> str | None:
    return situation.runtimes.candidate if _by_default(situation) else None


def _default_says(situation: Situation, _: Subject) -> str:
    runtimes = situation.runtimes
    return f"{runtimes.candidate if _by_default(situation) else runtimes.control} is the default"


def _percentage(situation: Situation, subject: Subject) -> str | None:
    hundredths = subject.hundredths
    if hundredths is None:
        hundredths = position_hundredths(subject.device, situation.salt)
    if hundredths >= situation.threshold:
        return None
    if situation.last is not None and order(subject.device, situation.salt) > situation.last:
        return None
    return situation.runtimes.candidate


def _percentage_says(situation: Situation, subject: Subject) -> str:
    hundredths = position_hundredths(subject.device, situation.salt)
    where = f"position {hundredths / 100:.2f} is"
    if hundredths < situation.threshold and situation.last is not None:
        after = order(subject.device, situation.salt) > situation.last
        return f"{where} {'after' if after else 'not after'} {situation.last[1]}, the last device"
    share = f"below {situation.threshold / 100:g} %{situation.because('percentage')}"
    return f"{where} {'' if hundredths < situation.threshold else 'not '}{share}"


def _component(situation: Situation, subject: Subject) -> str | None:
    if subject.component is None or situation.selector is None:
        return None
    return None if situation.selector.components.get(subject.component, False) else situation.runtimes.control


def _component_says(situation: Situation, subject: Subject) -> str:
    if subject.component is None or situation.selector is None:
        return "no component asked"
    if situation.selector.components.get(subject.component, False):
        return f"component {subject.component} is on"
    known = "off" if subject.component in situation.selector.components else "unknown, and so off"
    return f"component {subject.component} is {known}"


def _mode(situation: Situation, subject: Subject) -> str | None:
    if situation.selector is None or not situation.selector.modes:
        return None
    policy = situation.selector.modes.get(_mode_of(situation, subject), True)
    if not isinstance(policy, bool):
        policy = subject.component is None or policy.get(subject.component, True)
    return None if policy else situation.runtimes.control


def _mode_says(situation: Situation, subject: Subject) -> str:
    mode = _mode_of(situation, subject)
    forced = situation.forced_mode(subject.now)
    by = f", forced by {forced.owner}{': ' + forced.reason if forced.reason else ''}" if forced else ""
    if _mode(situation, subject) is None:
        return f"network mode {mode} is allowed{by}" if mode != UNKNOWN_MODE else "no network mode measured"
    policies = situation.selector.modes if situation.selector else {}
    whom = "" if isinstance(policies.get(mode), bool) else f" for component {subject.component}"
    return f"network mode {mode} is kept on {situation.runtimes.control}{whom}{by}"


def _mode_of(situation: Situation, subject: Subject) -> str:
    forced = situation.forced_mode(subject.now)
    return forced.mode if forced else subject.mode or UNKNOWN_MODE


def _attachment(situation: Situation, subject: Subject) -> str | None:
    return None if subject.candidate_ready else situation.runtimes.control


def _attachment_says(_: Situation, subject: Subject) -> str:
    return "candidate attachment is up" if subject.candidate_ready else NO_ATTACHMENT


RULES: Final[tuple[Rule, ...]] = (
    Rule("kill", _kill, _kill_says, _killing),
    Rule("enabled", _enabled, _enabled_says, lambda situation: not (_killing(situation) or _route(situation).enabled)),
    Rule("override", _override, _override_says, lambda situation: bool(situation.overrides), by_name=True),
    Rule("cohort", _cohort, _cohort_says, lambda situation: bool(situation.cohort), by_name=True),
    Rule("pin", _pin, _pin_says, lambda situation: not _killing(situation) and _route(situation).pin_live_sessions),
    Rule("default", _default, _default_says, _by_default),
    Rule("percentage", _percentage, _percentage_says, lambda situation: situation.threshold > 0),
    Rule("control", _control, _percentage_says),
)
"""Selection, in order: the first rule that answers wins."""

VETOES: Final[tuple[Rule, ...]] = (
    Rule("component", _component, _component_says),
    Rule("mode", _mode, _mode_says),
    Rule("attachment", _attachment, _attachment_says),
)
"""What can take a selected device back to control."""
