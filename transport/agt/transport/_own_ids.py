"""Messages that bring their own id, recognised when they come again: the documents' LRU cache.

Sequences already keep the native wire from handing one message out twice. What they can't see is an application that
sends the same command again: after its process lost its outbox, or after it was told that nobody knows. Such a message
carries an id in its payload, and `own_id` reads it. An id is remembered from when its message was handed out until
`ttl_s` later or until `size` newer ones came, whichever is first, but never shorter than it takes to process; within
that it is handed out once, and each further copy ends as the first one did: acknowledged when that was processed,
refused when that was. A refused id is forgotten, since whoever sends it again wants it done.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from agt.transport._config import ReliableConfig
from agt.transport._events import Received
from agt.transport._metrics import TransportMetrics

logger = logging.getLogger("agt.transport")

OwnId = Callable[[bytes], Hashable | None]
"""Reads the id that a payload brings; None where it brings none."""


@dataclass(slots=True)
class _Known:
    """One remembered id."""

    since: float
    token: int
    """Of the message that was handed out."""
    processed: bool = False
    copies: list[int] = field(default_factory=list)
    """Tokens of the copies that wait for its answer."""


class OwnIds:
    """The ids that one peer's messages have brought."""

    __slots__ = ("__weakref__", "_known", "_metrics", "_own_id", "_pending", "_size", "_ttl_s")

    def __init__(self, own_id: OwnId, *, size: int, ttl_s: float, metrics: TransportMetrics) -> None:
        """Start with nothing remembered.

        Args:
            own_id: reads the id out of a payload; when it raises, the payload counts as one without an id.
            size: ids remembered at most, beside those whose messages are being processed, which the link bounds.
            ttl_s: for how long, in seconds.
            metrics: where hits, evictions and the size count.
        """
        self._own_id, self._size, self._ttl_s, self._metrics = own_id, size, ttl_s, metrics
        self._known: OrderedDict[Hashable, _Known] = OrderedDict()
        self._pending: dict[int, Hashable] = {}
        """Token to id, of those that were handed out and not answered."""
        metrics.own_ids.add(self)

    def __len__(self) -> int:
        return len(self._known)

    def sift(self, event: Received, now: float) -> tuple[list[Received], list[int]]:
        """Return the runs that are to be handed out, and the tokens of copies that can be acknowledged at once."""
        runs: list[Received] = []
        done: list[int] = []
        begin = 0
        for place, payload in enumerate(event.payloads):
            token, key = event.token + place, self._read(payload)
            if key is None:
                continue
            known = self._recall(key, now)
            if known is None:
                self._remember(key, token, now)
                continue
            (done if known.processed else known.copies).append(token)
            runs += _run(event, begin, place)
            begin = place + 1
        return [*runs, *_run(event, begin, len(event.payloads))], done

    def processed(self, token: int, count: int = 1) -> list[int]:
        """Note that messages were processed; return the copies that have waited for that."""
        copies: list[int] = []
        for known in self._answered(token, count):
            known.processed = True
            copies += known.copies
            known.copies = []
        return copies

    def refused(self, token: int) -> list[int]:
        """Note that a message was refused, so that its next copy is new; return the copies that share its fate."""
        key = self._pending.get(token)
        copies = [copy for known in self._answered(token, 1) for copy in known.copies]
        if key is not None and (known := self._known.get(key)) is not None and known.token == token:
            del self._known[key]
        return copies

    def _answered(self, token: int, count: int) -> Iterator[_Known]:
        if not self._pending:
            return
        for each in range(token, token + count):
            key = self._pending.pop(each, None)
            known = self._known.get(key) if key is not None else None
            if known is not None and known.token == each:
                yield known

    def _read(self, payload: bytes) -> Hashable | None:
        try:
            key = self._own_id(payload)
            hash(key)
        except Exception:  # the application's own function, on whatever a peer sent
            logger.debug("no id could be read from a message of %d bytes", len(payload), exc_info=True)
            return None
        return key

    def _recall(self, key: Hashable, now: float) -> _Known | None:
        known = self._known.get(key)
        if known is None:
            return None
        if known.processed and known.since + self._ttl_s <= now:
            del self._known[key]
            return None
        self._known.move_to_end(key)
        self._metrics.dedup_hits += 1
        self._metrics.duplicates_dropped += 1
        return known

    def _remember(self, key: Hashable, token: int, now: float) -> None:
        self._known[key] = _Known(now, token)
        self._pending[token] = key
        if len(self._known) > self._size:
            oldest = next((key for key, known in self._known.items() if known.processed), None)
            if oldest is not None:
                del self._known[oldest]
                self._metrics.dedup_evictions += 1


def memory_of_ids(own_id: OwnId, config: ReliableConfig, metrics: TransportMetrics) -> OwnIds:
    """Return a memory with a transport's settings."""
    return OwnIds(own_id, size=config.dedup_cache_size, ttl_s=config.dedup_ttl_seconds, metrics=metrics)


def _run(event: Received, begin: int, end: int) -> list[Received]:
    if begin >= end:
        return []
    if (begin, end) == (0, len(event.payloads)):
        return [event]
    sequence = event.sequence if event.sequence < 0 else event.sequence + begin
    return [Received(event.token + begin, event.payloads[begin:end], sequence, event.channel)]
