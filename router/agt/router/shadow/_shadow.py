"""Mirrored messages: what the other runtime would have done, without acting on the world.

Messages that one runtime carried are handed to a *twin* of the device on the other one, and what came of both is
compared by field. What only asks may be mirrored to the tried runtime itself (`readers`); whatever may act goes to a
twin or nowhere. Where nobody takes it, nothing is sent and only counted (a decision, no act).

Nothing here is done on behalf of control. Offering a message is a constant amount of work: a look at two numbers and
an append. Handing it on, decoding and comparing happen later, in turns of the loop that are bounded in number and
time; call-backs of handles do nothing but append. Everything that is kept has a limit: what waits and what is being
compared together `queue_max`, each comparison `timeout_s`, fields and examples those of the tally.

The same serves both directions: whichever runtime is tried out, candidate before the cut-over, control after it.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Final

from agt.router._path import Message
from agt.router._position import percentage_hundredths, position_hundredths
from agt.router.shadow._classify import Act, Classifier, act_of, everything_writes
from agt.router.shadow._compare import Comparison, compare_leaves
from agt.router.shadow._fields import Extractor, raw_fields
from agt.router.shadow._pair import Pair
from agt.router.shadow._rules import NO_RULES, ShadowRules
from agt.router.shadow._tally import Tally
from agt.router.shadow._twin import Twin, TwinGuard
from agt.transport import Delivery

SHADOW_QUEUE_MAX: Final = 1000
"""Messages that wait for their twin or are being compared."""
SHADOW_BATCH: Final = 100
"""Messages handed to twins, and comparisons made, in one turn of the loop."""
SHADOW_TURN_S: Final = 0.002
"""Longest turn; whoever is not served has to wait for the next."""
TIMEOUT_S: Final = 35.0
"""How long a message is compared: somewhat longer than the default deadline of a send."""
FLOOR_SALT: Final = "agt/shadow/floor"


class ShadowWork:
    """What the shadow did, apart from what the comparisons say."""

    __slots__ = ("decided", "reads", "shed", "stray_replies", "timed_out", "void", "writes")

    def __init__(self) -> None:
        self.decided = 0
        """Messages that had no twin, so that only the decision was counted."""
        self.reads = 0
        """Mirrored messages that only ask."""
        self.writes = 0
        """Mirrored messages that may act."""
        self.timed_out = 0
        """Comparisons that were ended by their time."""
        self.void = 0
        """Mirrored messages of which nothing could be compared: unsettled, or moved to the tried runtime."""
        self.stray_replies = 0
        """Replies to messages that nobody compares."""
        self.shed: Counter[str] = Counter()
        """Messages not mirrored: `queue`, `full` (the twin's own queue), `resting`, `broken`."""


class Shadow:
    """Mirrors to twins by runtime, and compares.

    Args:
        twins: Stand-ins that take mirrored messages, by the runtime that is tried out.
        readers: What takes mirrored reads in their place, by the runtime that is tried out; may be the real thing.
        floor_twins: A second stand-in of the runtime that carries, by that: how often it differs from what was
            carried is the noise floor.
        floor_readers: What takes reads in its place, by the runtime that carries; may be the real thing.
        classifier: Says which messages only ask; without one every message is a write.
        extract: Decodes replies into fields.
        rules: What counts as a difference.
        floor_percent: Share of the devices whose mirrored messages the floor is asked about too.
        reply_wait: Whether comparisons wait for `replied`, up to `timeout_s`.
        declared_floor: The share of messages that may differ where there is no second control.
        queue_max: Messages that wait or are being compared.
        timeout_s: Longest comparison.
        clock: Seconds, monotonic; a router puts its own in the place of this and the next.
        wall: Seconds since the epoch: the end of ignore rules.
    """

    def __init__(
        self,
        twins: Mapping[str, Twin] | None = None,
        *,
        readers: Mapping[str, Twin] | None = None,
        floor_twins: Mapping[str, Twin] | None = None,
        floor_readers: Mapping[str, Twin] | None = None,
        classifier: Classifier = everything_writes,
        extract: Extractor = raw_fields,
        rules: ShadowRules = NO_RULES,
        floor_percent: float = 100.0,
        reply_wait: bool = False,
        declared_floor: float = 0.0,
        queue_max: int = SHADOW_QUEUE_MAX,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.twins: dict[str, Twin] = dict(twins or {})
        self.readers: dict[str, Twin] = dict(readers or {})
        self.floor_twins: dict[str, Twin] = dict(floor_twins or {})
        self.floor_readers: dict[str, Twin] = dict(floor_readers or {})
        self.rules = rules
        """What counts as a difference; may be replaced at any time."""
        self.declared_floor = declared_floor
        self.counts = ShadowWork()
        self.tallies: dict[str, Tally] = {}
        """What the comparisons add up to, by the runtime that is tried out."""
        self.tried = ""
        """The runtime that was tried out last."""
        self._classifier, self._extract, self._reply_wait = classifier, extract, reply_wait
        self._floor_share = percentage_hundredths(floor_percent)
        self._queue_max, self._timeout_s = queue_max, timeout_s
        self._clock, self._wall = clock, wall
        self._queue: deque[Pair] = deque()
        self._open: dict[Pair, None] = {}
        """What is being compared, oldest first."""
        self._ready: deque[Pair] = deque()
        """Of these, what has all its answers."""
        self._awaited: dict[tuple[str, int], Pair] = {}
        """By device and number, what waits for the device's reply."""
        self._guards: dict[tuple[str, str], TwinGuard] = {}

    @property
    def waiting(self) -> int:
        """Messages that can be mirrored or compared now: a reason for a turn of the loop."""
        return len(self._queue) + len(self._ready)

    @property
    def held(self) -> int:
        """Messages that are kept: waiting, or being compared."""
        return len(self._queue) + len(self._open)

    def next_deadline(self) -> float:
        """When the oldest comparison is ended, on the shadow's clock; infinity when there is none."""
        return next((pair.deadline for pair in self._open), float("inf"))

    def keep_time(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        """Use these clocks from now on; called by the router, before anything is offered."""
        self._clock, self._wall = clock, wall

    def offer(self, runtime: str, message: Message, carried: Delivery) -> None:
        """Queue a message for the twin of a runtime; sheds rather than waits."""
        if runtime not in self.twins and runtime not in self.readers:
            self.counts.decided += 1
        elif len(self._queue) + len(self._open) >= self._queue_max:
            self.counts.shed["queue"] += 1
        else:
            pair = Pair(runtime, message, carried, awaits_reply=self._reply_wait)
            if self._reply_wait:
                self._awaited[message.device, message.number] = pair
            self._queue.append(pair)

    def replied(self, device: str, number: int, reply: bytes, *, latency_s: float | None = None) -> None:
        """Tell what a device replied to a message where it was carried.

        Args:
            device: whose reply it is.
            number: the message's number.
            reply: the reply as it came.
            latency_s: seconds from send to reply, where somebody measured them.
        """
        pair = self._awaited.pop((device, number), None)
        if pair is None:
            self.counts.stray_replies += 1
        else:
            pair.replied(reply, latency_s)

    def pump(self) -> None:
        """Mirror and compare some of what waits; called between turns of the loop."""
        began = self._clock()
        self._expire(began)
        for work in (self._compare_next, self._mirror_next):
            for _ in range(SHADOW_BATCH):
                if not work() or self._clock() - began > SHADOW_TURN_S:
                    break

    def restart(self) -> None:
        """Forget what the comparisons said: after a change of either system the old counts speak of another."""
        self.tallies.clear()

    def _mirror_next(self) -> bool:
        if not self._queue:
            return False
        pair = self._queue.popleft()
        act = act_of(self._classifier, pair.message)
        guard = self._guard("tried", pair.tried, self.readers if act is Act.READ else {}, self.twins)
        if guard is None:
            self.counts.decided += 1
        else:
            pair.mirrored = guard.send(pair.message, self._shed)
        if pair.mirrored is None:
            self._forget(pair)
            return True
        self.tried = pair.tried
        self.counts.reads += act is Act.READ
        self.counts.writes += act is Act.WRITE
        pair.floor = self._ask_floor(pair, act)
        pair.deadline = self._clock() + self._timeout_s
        self._open[pair] = None
        pair.follow(self._ready.append)
        return True

    def _ask_floor(self, pair: Pair, act: Act) -> Delivery | None:
        if position_hundredths(pair.message.device, FLOOR_SALT) >= self._floor_share:
            return None
        readers = self.floor_readers if act is Act.READ else {}
        guard = self._guard("floor", pair.carrying, readers, self.floor_twins)
        return None if guard is None else guard.send(pair.message, _unnoticed)

    def _guard(
        self, role: str, runtime: str, readers: Mapping[str, Twin], twins: Mapping[str, Twin]
    ) -> TwinGuard | None:
        reader = readers.get(runtime)
        twin = reader if reader is not None else twins.get(runtime)
        if twin is None:
            return None
        key = (f"{role} {'reader' if reader is not None else 'twin'}", runtime)
        guard = self._guards.get(key)
        if guard is None or guard.twin is not twin:
            guard = self._guards[key] = TwinGuard(twin, self._clock)
        return guard

    def _shed(self, why: str) -> None:
        self.counts.shed[why] += 1

    def _compare_next(self) -> bool:
        if not self._ready:
            return False
        pair = self._ready.popleft()
        if pair in self._open:
            self._finish(pair)
        return True

    def _expire(self, now: float) -> None:
        """End what has had its time; a handle that never settles keeps nothing."""
        for _ in range(SHADOW_BATCH):
            pair = next(iter(self._open), None)
            if pair is None or pair.deadline > now:
                return
            pair.abandon()
            self.counts.timed_out += 1
            self._finish(pair)

    def _finish(self, pair: Pair) -> None:
        self._forget(pair)
        mirrored = pair.mirrored
        assert mirrored is not None, "only what was mirrored is compared"
        if pair.void:
            self.counts.void += 1
            return
        floor = self._comparison(pair, pair.floor) if pair.floor is not None else None
        tally = self.tallies.setdefault(pair.tried, Tally())
        tally.has_floor = tally.has_floor or pair.carrying in self.floor_twins or pair.carrying in self.floor_readers
        message = pair.message
        tally.add(message.device, message.number, self._comparison(pair, mirrored), floor, error=pair.error)

    def _comparison(self, pair: Pair, other: Delivery) -> Comparison:
        ours, theirs = pair.leaves(other, self._extract)
        return compare_leaves(ours, theirs, self.rules, device=pair.message.device, now=self._wall())

    def _forget(self, pair: Pair) -> None:
        self._open.pop(pair, None)
        key = (pair.message.device, pair.message.number)
        if self._awaited.get(key) is pair:
            del self._awaited[key]


def _unnoticed(_: str) -> None:
    """Count nothing: a second control that doesn't answer only leaves a message unpaired."""
