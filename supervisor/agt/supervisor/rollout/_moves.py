"""What a change of route would move, as routers preview it, and all of them together."""

from collections import Counter
from collections.abc import Iterable
from heapq import nsmallest
from typing import Final

import msgspec

NAMES_MAX: Final = 100
"""Devices that a preview names; the counts are whole."""


class Moves(msgspec.Struct, frozen=True, kw_only=True):
    """A router's answer to `POST /preview`, or those of all; keys that a newer router adds are ignored."""

    moves: int = 0
    """Devices that would change runtime."""
    to_candidate: int = 0
    to_control: int = 0
    waiting: int = 0
    """Devices meant for the candidate that stay on control until their attachment to it is up."""
    by_kind: dict[str, int] = {}
    """Moves by how the device changes path."""
    in_flight: int = 0
    """Messages on the paths that would be left."""
    unconfirmed: int = 0
    """Of these, at most so many that can't be confirmed."""
    devices: tuple[str, ...] = ()
    """Names of those that would move, sorted, the first `NAMES_MAX`."""


def added(answers: Iterable[Moves]) -> Moves:
    """Return the sum of all routers' answers."""
    found = tuple(answers)
    kinds: Counter[str] = Counter()
    for one in found:
        kinds.update(one.by_kind)
    return Moves(
        moves=sum(one.moves for one in found),
        to_candidate=sum(one.to_candidate for one in found),
        to_control=sum(one.to_control for one in found),
        waiting=sum(one.waiting for one in found),
        by_kind=dict(sorted(kinds.items())),
        in_flight=sum(one.in_flight for one in found),
        unconfirmed=sum(one.unconfirmed for one in found),
        devices=tuple(nsmallest(NAMES_MAX, (name for one in found for name in one.devices))),
    )


def in_words(moves: Moves, *, percent: float, leaves: str) -> str:
    """Return the sentence that an operator confirms."""
    if not moves.moves:
        waits = f"; {_count(moves.waiting, 'device')} will when attached" if moves.waiting else ""
        return f"goes to {percent:g} %; moves no device{waits}"
    devices = f"moves {_count(moves.moves, 'device')}"
    if not moves.unconfirmed:
        return f"{devices}; every command on the way is accounted for"
    return f"{devices}; up to {_count(moves.unconfirmed, 'command')} on {leaves} can't be confirmed"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' if number != 1 else ''}"
