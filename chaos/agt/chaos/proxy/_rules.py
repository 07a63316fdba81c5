"""Whom a fault strikes, how often and for how long: the rule around it.

A scope is a predicate on the flow, one direction of one connection. It is asked again for each frame, so that it
may follow something that changes while the proxy runs (which devices are on the candidate now, say).
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from agt.chaos.faults import Fault, Passage
from agt.chaos.proxy._framing import WireName

Direction = Literal["to_target", "to_client"]


@dataclass(slots=True)
class Flow:
    """One direction of one connection through the proxy."""

    wire: WireName
    direction: Direction
    peer: str = ""
    """Who dialled, as its first frame says; empty until then."""


Scope = Callable[[Flow], bool]


def everything(flow: Flow) -> bool:  # noqa: ARG001  # A scope takes the flow.
    """Strike every connection, both ways."""
    return True


def towards(direction: Direction) -> Scope:
    """Strike one direction of every connection."""

    def chosen(flow: Flow) -> bool:
        return flow.direction == direction

    return chosen


def peers(*names: str) -> Scope:
    """Strike the connections of these peers, both ways."""
    wanted = frozenset(names)

    def chosen(flow: Flow) -> bool:
        return flow.peer in wanted

    return chosen


@dataclass(eq=False, slots=True)
class Rule:
    """A fault, and when it strikes."""

    fault: Fault
    scope: Scope = everything
    probability: float = 1.0
    """Share of the frames in scope that are struck; standing faults ignore it."""
    until: float = math.inf
    """When it ends, by the proxy's clock."""


class Rules:
    """The rules in force, in the order in which they were added, and how often each kind has struck."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self.struck: Counter[str] = Counter()

    def add(self, rule: Rule) -> None:
        """Put a rule in force."""
        self._rules.append(rule)

    def remove(self, rule: Rule) -> None:
        """Take a rule out of force; a no-op when it isn't there."""
        if rule in self._rules:
            self._rules.remove(rule)

    def clear(self) -> None:
        """Take all rules out of force."""
        self._rules.clear()

    def strike(self, flow: Flow, passage: Passage, rng: Random, now: float) -> None:
        """Let each rule that is meant act on one frame."""
        for rule in self._rules:
            if rule.fault.standing or now >= rule.until or not rule.scope(flow):
                continue
            if rule.probability >= 1.0 or rng.random() < rule.probability:
                self.struck[rule.fault.kind] += 1
                rule.fault.act(passage, rng)

    def standing(self, flow: Flow, rng: Random, now: float) -> Passage:
        """Say what the standing faults make of this flow now."""
        passage = Passage()
        for rule in self._rules:
            if rule.fault.standing and now < rule.until and rule.scope(flow):
                rule.fault.act(passage, rng)
        return passage
