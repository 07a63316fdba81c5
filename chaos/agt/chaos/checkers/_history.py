"""The joined picture of a run: each message with what its sender was told and what it did.

Device order is the order of the device's own log. A message that nobody sent stays in `unsent`: it can only come
from a bug in the thing under test, or in the logs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from agt.chaos.checkers._records import Effect, Ignored, Record, Sent, Told


@dataclass(slots=True)
class Fate:
    """One message, from its sender's hand to its effects."""

    device: str
    number: int
    sent: Sent
    told: Told | None = None
    """None when nobody ever told the sender anything."""
    effects: list[Effect] = field(default_factory=list)
    """In the device's order; more than one when it arrived and acted more than once."""
    ignored: int = 0
    """How often the device recognised it as passed already, and did nothing."""

    @property
    def applied(self) -> int:
        """How often it acted: its first arrival, and each later one that changed something."""
        return min(len(self.effects), 1) + sum(effect.changed for effect in self.effects[1:])

    @property
    def redelivered(self) -> int:
        """How often it arrived again and changed nothing."""
        return len(self.effects) - self.applied + self.ignored

    @property
    def name(self) -> str:
        """How reports call it."""
        return f"{self.device} #{self.number}"


@dataclass(slots=True)
class History:
    """All messages of a run by device and number, and the effects in each device's order."""

    fates: dict[tuple[str, int], Fate] = field(default_factory=dict)
    """In the order in which they were sent."""
    effects: dict[str, list[Effect]] = field(default_factory=dict)
    """By device, in its own order."""
    unsent: list[Effect] = field(default_factory=list)
    """Effects of messages that no source ever sent."""
    retold: list[Told] = field(default_factory=list)
    """What was told a second time, or about a message that was never sent."""


def join(sources: Iterable[Record], devices: Iterable[Record]) -> History:
    """Join what sources and devices wrote."""
    history = History()
    for record in sources:
        if isinstance(record, Sent):
            history.fates[record.device, record.number] = Fate(record.device, record.number, record)
        elif isinstance(record, Told):
            _tell(history, record)
    for record in devices:
        fate = history.fates.get((record.device, record.number))
        if isinstance(record, Ignored) and fate is not None:
            fate.ignored += 1
        elif isinstance(record, Effect):
            history.effects.setdefault(record.device, []).append(record)
            if fate is None:
                history.unsent.append(record)
            else:
                fate.effects.append(record)
    return history


def _tell(history: History, told: Told) -> None:
    fate = history.fates.get((told.device, told.number))
    if fate is None or fate.told is not None:
        history.retold.append(told)
    else:
        fate.told = told
