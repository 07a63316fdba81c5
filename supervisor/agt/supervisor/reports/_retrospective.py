"""Data for a retrospective: what took how long, what went back and why, drills and incidents. Pure.

Document 004's template has four sections for people; they stay headings, since what went well is not in a journal.
"""

from collections import Counter
from collections.abc import Iterator

import msgspec

from agt.supervisor.records import Alert
from agt.supervisor.reports._archive import Archive, Decision
from agt.supervisor.reports._heading import Heading, heading
from agt.supervisor.reports._incident import cause_of, rollbacks
from agt.supervisor.reports._levels import Levels
from agt.supervisor.reports._trouble import Troubles, troubles
from agt.supervisor.rollout import parse_duration
from agt.supervisor.view import RollbackView

DRILL = "drill"
"""Source of the alerts that drills leave."""


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One stay in a phase."""

    phase: str
    visit: int
    """1 for the first time."""
    entered: float
    left: float | None
    """None while it lasts."""
    planned: str
    """The soak as the plan writes it."""
    planned_s: float
    """The same in seconds, at the plan's speed."""
    took_s: float
    carried_s: float
    """What routers had carried when it was left; 0 while it lasts."""
    ended_by: str
    """The decision that ended it; empty while it lasts."""


class Back(msgspec.Struct, frozen=True, kw_only=True):
    """One way back."""

    number: int
    """Of the journal."""
    at: float
    kind: str
    says: str
    cause: str
    """What somebody recorded; empty when nobody did."""
    account: RollbackView | None


class RetrospectiveReport(msgspec.Struct, frozen=True, kw_only=True):
    """The run as data."""

    heading: Heading
    status: str
    took_s: float
    planned_s: float
    """The sum of all soaks, at the plan's speed."""
    visits: tuple[Visit, ...]
    backs: tuple[Back, ...]
    drills: tuple[Alert, ...]
    incidents: Troubles
    faults: tuple[str, ...]
    """Times that the rollout waited for something that wasn't the candidate's fault."""
    forced: tuple[str, ...]
    """Advances that an operator forced over open gates."""
    actions: dict[str, int]
    """Operator actions in the audit, refused ones included, by name."""


def retrospective_report(archive: Archive, *, now: float) -> RetrospectiveReport:
    """Return the data of a whole run."""
    last = archive.decisions[-1].state if archive.decisions else None
    return RetrospectiveReport(
        heading=heading(archive, "retrospective", start=archive.begun, end=archive.ended, now=now),
        status=last.status.value if last else "never begun",
        took_s=archive.ended - archive.begun,
        planned_s=archive.plan.total_soak_s,
        visits=tuple(_visits(archive)),
        backs=tuple(_back(archive, one) for one in rollbacks(archive)),
        drills=tuple(one for one in archive.alerts if one.source == DRILL),
        incidents=troubles(Levels.of(archive), start=archive.begun, end=archive.ended),
        faults=tuple(one.says for one in archive.decisions if one.kind == "fault-seen"),
        forced=tuple(
            one.says for one in archive.decisions if one.kind == "advanced" and "all gates passed" not in one.says
        ),
        actions=dict(sorted(Counter(row.action for row in archive.audit).items())),
    )


def _visits(archive: Archive) -> Iterator[Visit]:
    """Yield each stay: from the decision that entered a phase to the one that left it."""
    begun: tuple[int, float] | None = None
    stays: Counter[int] = Counter()  # The engine counts each entry, also into a phase that was never left.
    for one in archive.decisions:
        if one.state is None:
            continue
        if begun is None:
            begun = one.state.phase, one.at
        elif one.state.phase != begun[0] or one.kind == "completed":
            stays[begun[0]] += 1
            yield _visit(archive, *begun, one, number=stays[begun[0]])
            begun = None if one.kind == "completed" else (one.state.phase, one.at)
    if begun is not None:
        yield _visit(archive, *begun, None, number=stays[begun[0]] + 1)


def _visit(archive: Archive, place: int, entered: float, end: Decision | None, *, number: int) -> Visit:
    phase = archive.plan.phases[min(place, len(archive.plan.phases) - 1)]
    return Visit(
        phase=phase.name,
        visit=number,
        entered=entered,
        left=end.at if end else None,
        planned=phase.soak,
        planned_s=parse_duration(phase.soak) / archive.plan.squeeze,
        took_s=(end.at if end else archive.ended) - entered,
        carried_s=end.numbers.carried_s if end else 0.0,
        ended_by=f"{end.kind}: {end.says}" if end else "",
    )


def _back(archive: Archive, turn: Decision) -> Back:
    account = turn.numbers.rollback
    for one in archive.decisions:
        if account is not None and one.numbers.rollback is not None and one.numbers.rollback.at == account.at:
            account = one.numbers.rollback
    return Back(
        number=turn.number, at=turn.at, kind=turn.kind, says=turn.says, cause=cause_of(archive, turn), account=account
    )


def _by_hand(one: Decision) -> bool:
    return ": forced by " in one.says
