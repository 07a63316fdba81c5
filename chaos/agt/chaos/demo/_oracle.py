"""The count after a run: what sources and devices wrote, joined, and held against the gateway's own ledger.

A message counts for the path of its last attempt. Where nobody was told anything, it counts for the path that its
device was last known on. `delivered` is what acted, whoever said so; `lost` is what vanished; the two, with
`not_delivered` and `indeterminate`, add up to `sent`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from agt.chaos.checkers import (
    Counts,
    History,
    Violation,
    count,
    nothing_doubled,
    nothing_lost,
    nothing_untrue,
    one_owner,
    order_kept,
)
from agt.chaos.demo._ledger import Counters, LedgerBook, contradictions

Role = Literal["control", "candidate"]
ROLES: tuple[Role, ...] = ("control", "candidate")


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """When a phase was active, in seconds since the Unix epoch."""

    name: str
    since: float
    until: float


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What the oracle says about a run."""

    counts: dict[Role, Counts]
    shares: dict[str, float | None]
    """By phase, the share of messages that the candidate carried; None without messages."""
    violations: tuple[Violation, ...]
    ledger_agrees: bool
    disagreements: tuple[str, ...]
    """Where the ledger and the logs differ, in words."""
    redelivered: int
    """Messages that arrived again and changed nothing: harmless, and counted."""


def examine(
    history: History,
    roles: Mapping[str, Role],
    book: LedgerBook,
    spans: Iterable[Span],
    *,
    counters: Counters | None = None,
) -> Finding:
    """Count a run.

    Args:
        history: The joined logs.
        roles: Which runtime is which, by name.
        book: What the gateway's journal says.
        spans: The phases.
        counters: What the router said it had counted, when it could still be asked.
    """
    violations = (
        *nothing_lost(history),
        *nothing_doubled(history),
        *order_kept(history),
        *nothing_untrue(history),
        *one_owner(book.owned),
    )
    carried = _carried_by(history, roles)
    disagreements = contradictions(history, book, counters)
    return Finding(
        counts=_count(history, carried),
        shares={span.name: _share(history, carried, span) for span in spans},
        violations=violations,
        ledger_agrees=not disagreements,
        disagreements=disagreements,
        redelivered=sum(fate.redelivered for fate in history.fates.values()),
    )


def _carried_by(history: History, roles: Mapping[str, Role]) -> dict[tuple[str, int], Role]:
    """Say for each message whose it is; an untold one is its device's last known runtime's."""
    last: dict[str, Role] = {}
    carried: dict[tuple[str, int], Role] = {}
    for key, fate in history.fates.items():
        role = roles.get(fate.told.runtime) if fate.told is not None else None
        carried[key] = last[fate.device] = role or last.get(fate.device, "control")
    return carried


def _count(history: History, carried: Mapping[tuple[str, int], Role]) -> dict[Role, Counts]:
    return {
        role: count(history, (fate for key, fate in history.fates.items() if carried[key] == role)) for role in ROLES
    }


def _share(history: History, carried: Mapping[tuple[str, int], Role], span: Span) -> float | None:
    roles = Counter(carried[key] for key, fate in history.fates.items() if span.since <= fate.sent.t < span.until)
    total = roles.total()
    return round(roles["candidate"] / total, 4) if total else None
