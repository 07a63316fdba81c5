"""Why a device is where it is, in the form that `agt explain DEVICE --json` prints."""

from collections.abc import Mapping

import msgspec

from agt.router._decision import DEFAULT_RUNTIMES, ChainLink, Decision, Situation, Subject, decide_in
from agt.router._position import POSITION_VERSION, moves_at, position
from agt.router._selector import Runtimes, Selector


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One device's decision, with every link that led to it."""

    device: str
    runtime: str
    reason: str
    position: float
    """0.00 to 99.99, in percent."""
    moves_at: float
    """Smallest percentage that takes this device to the candidate where the percentage decides, 0.01 to 100."""
    held_by: str = ""
    """The rule or veto because of which no percentage moves this device now; empty when the percentage decides."""
    held_because: str = ""
    """What that rule says."""
    position_version: int = POSITION_VERSION
    """Version of the rule that positions are made by."""
    attached: bool | None = None
    """Whether the router that answers knows the device; None where no router was asked."""
    chain: tuple[ChainLink, ...]


def explain(
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
) -> Explanation:
    """Explain the decision for one device; arguments as for `decide`."""
    situation = Situation(selector, environment=environment, runtimes=runtimes, killed=killed)
    return explain_in(situation, Subject(device, session, component, mode, now, live_on, candidate_ready))


def explain_in(situation: Situation, subject: Subject) -> Explanation:
    """Explain in a situation that was prepared before."""
    decision = decide_in(situation, subject)
    salt = situation.selector.runtime.salt if situation.selector else ""
    held = _held(situation, subject)
    return Explanation(
        device=subject.device,
        runtime=decision.runtime,
        reason=decision.reason,
        position=position(subject.device, salt),
        moves_at=moves_at(subject.device, salt),
        held_by=held.rule if held else "",
        held_because=held.reason if held else "",
        chain=decision.chain,
    )


def _held(situation: Situation, subject: Subject) -> Decision | None:
    """Return the decision that stays the same whatever the percentage; None when that decides."""
    decided = [decide_in(situation.at_share(percentage), subject) for percentage in (0.0, 100.0)]
    return decided[1] if decided[0].runtime == decided[1].runtime else None
