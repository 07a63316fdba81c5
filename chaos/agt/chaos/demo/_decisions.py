"""The gates as they stood when the rollout decided, read from its journal after the run.

A view shows the last check; a decision may rest on one that no view ever showed. So the journal has the last word.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from agt.chaos.demo._story import ENDED, Visit
from agt.supervisor.view import GateView


class _Gate(msgspec.Struct):
    name: str
    verdict: str
    reason: str
    samples: int = 0


class _Numbers(msgspec.Struct):
    gates: tuple[_Gate, ...] = ()


class _State(msgspec.Struct):
    phase: int
    status: str


def apply_decisions(visits: Sequence[Visit], records: Path, phases: Sequence[str]) -> None:
    """Give each visit that was ended by a decision the gates of that decision.

    Args:
        visits: In order, as they were seen.
        records: The supervisor's database; without it, what was seen stays.
        phases: The plan's phases by name.
    """
    open_visits = iter(visits)
    for name, numbers in _leavings(records, phases):
        visit = next((visit for visit in open_visits if visit.name == name), None)
        if visit is None:
            return
        if numbers.gates:
            visit.gates = tuple(msgspec.convert(gate, GateView, from_attributes=True) for gate in numbers.gates)


def _leavings(records: Path, phases: Sequence[str]) -> Iterator[tuple[str, _Numbers]]:
    """Yield each phase that a decision left, and the decision's numbers."""
    left: int | None = None
    for numbers, state in _entries(records):
        after = msgspec.json.decode(state, type=_State)
        if left is not None and (after.phase != left or after.status in ENDED):
            yield phases[left], msgspec.json.decode(numbers, type=_Numbers)
        left = None if after.status in ENDED else after.phase


def _entries(records: Path) -> list[tuple[bytes, bytes]]:
    if not records.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"file:{records}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT numbers, state FROM journal ORDER BY number").fetchall()
    except sqlite3.Error:
        return []  # What was seen has to do.
