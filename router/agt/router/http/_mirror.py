"""The shadow of requests: what the other runtime would have answered, without acting and without slowing anybody.

A request is mirrored after its own answer has ended, out of copies that were made on the way, from a bounded queue, by
few hands with connections of their own. Reads go to the other runtime. Writes go to its twin, or are only decided.
Whatever finds no room is shed and counted: nothing here is ever waited for by a caller. What the two answers are worth
is judged by `agt.router.shadow`, as for messages.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import h11

from agt.router._path import Message
from agt.router._router import Router
from agt.router.http._address import Address
from agt.router.http._asked import Asked
from agt.router.http._compare import Answer, answer_leaves
from agt.router.http._config import HttpConfig, Upstream
from agt.router.http._connection import Connection
from agt.router.http._errors import Broken, UpstreamFailure
from agt.router.http._headers import MIRRORED, first, upstream_headers
from agt.router.http._pool import Pool
from agt.router.http._recording import Memory, Recording
from agt.router.shadow import Shadow, Tally, compare_leaves
from agt.transport import Outcome, TransportMetrics

SHADOW_SUFFIX: Final = "-shadow"
"""Behind a runtime's name it labels what is measured of mirrored requests: no gate judges a runtime by them."""
_PARTIAL: Final = (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range")
"""Headers under which two right answers may differ, since each service has entity tags and times of its own."""


class Mirror:
    """Mirrors requests, and has the answers compared.

    Args:
        config: What it was told.
        router: Says who is mirrored.
        shadow: Counts and compares.
        clock: Seconds, monotonic.
    """

    def __init__(self, config: HttpConfig, router: Router, shadow: Shadow, clock: Callable[[], float]) -> None:
        self._settings, self._router, self._shadow, self._clock = config.mirror, router, shadow, clock
        self._trusted = config.trust_forwarded
        self._memory = Memory(config.mirror.memory_max_bytes)
        self._queue: deque[Recording] = deque()
        self._free: deque[asyncio.Future[None]] = deque()
        services = config.upstreams.items()
        self._readers = {name: _pool(config, one, one.url) for name, one in services}
        self._twins = {name: _pool(config, one, one.twin) for name, one in services if one.twin}
        self._nameless = 0
        self.metrics = {name: TransportMetrics(f"{name}{SHADOW_SUFFIX}") for name in config.upstreams}
        """Figures of mirrored requests, by the runtime that was tried."""

    @property
    def waiting(self) -> int:
        """Requests that wait to be mirrored."""
        return len(self._queue)

    @property
    def held_bytes(self) -> int:
        """What all copies hold now."""
        return self._memory.held

    def recording(self, asked: Asked, runtime: str) -> Recording | None:
        """Return what takes the copies of a request that a runtime is about to answer; None when it isn't mirrored."""
        tried = self._router.tried_beside(asked.caller.name or self._name(), runtime)
        if tried is None:
            return None
        if not asked.treatment.reads and tried not in self._twins:
            self._shadow.counts.decided += 1
            return None
        if any(first(asked.headers, name) is not None for name in _PARTIAL):
            self._shed("partial")
            return None
        if len(self._queue) >= self._settings.queue_max:
            self._shed("queue")
            return None
        return Recording(
            asked,
            tried,
            memory=self._memory,
            body_max=self._settings.body_max_bytes,
            answer_max=self._settings.answer_max_bytes,
            finished=self._offer,
            shed=self._shed,
        )

    async def run(self) -> None:
        """Mirror until cancelled."""
        pools = (*self._readers.values(), *self._twins.values())
        try:
            async with asyncio.TaskGroup() as hands:
                for _ in range(self._settings.concurrent):
                    hands.create_task(self._work())
                while True:
                    await asyncio.sleep(1.0)
                    for pool in pools:
                        pool.tidy()
        finally:
            for pool in pools:
                pool.close()

    def _name(self) -> str:
        """Return a name for a caller without one, so that a share of such requests can be mirrored."""
        self._nameless += 1
        return f"nameless-{self._nameless}"

    def _shed(self, why: str) -> None:
        self._shadow.counts.shed[why] += 1

    def _offer(self, recording: Recording) -> None:
        if len(self._queue) >= self._settings.queue_max:
            self._shed("queue")
            recording.free()
            return
        self._queue.append(recording)
        while self._free:
            hand = self._free.popleft()
            if not hand.done():
                hand.set_result(None)
                break

    async def _work(self) -> None:
        while True:
            while not self._queue:
                hand = asyncio.get_running_loop().create_future()
                self._free.append(hand)
                await hand
            recording = self._queue.popleft()
            try:
                await self._mirror(recording)
            finally:
                recording.free()

    async def _mirror(self, recording: Recording) -> None:
        asked, tried = recording.asked, recording.tried
        reads = asked.treatment.reads
        counts, metrics = self._shadow.counts, self.metrics[tried]
        counts.reads += reads
        counts.writes += not reads
        self._shadow.tried = tried
        metrics.accepted += 1
        began = self._clock()
        other: Answer | None = None
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                other = await self._ask(recording, self._readers[tried] if reads else self._twins[tried])
        except TimeoutError:
            counts.timed_out += 1
        except TooLarge:
            self._shed("large")
            metrics.outcomes[Outcome.DELIVERED] += 1
            return
        except UpstreamFailure:
            other = None
        failed = other is None or other.status >= 500
        metrics.outcomes[Outcome.INDETERMINATE if failed else Outcome.DELIVERED] += 1
        if other is not None:
            metrics.observe_latency(self._clock() - began)
        self._compare(recording, other or Answer(0, (), b""), error=failed and recording.answer.status < 500)

    def _compare(self, recording: Recording, other: Answer, *, error: bool) -> None:
        asked, settings = recording.asked, self._settings
        # Rules speak of paths here: differences belong to endpoints, while callers come and go.
        message = Message(device=asked.path, number=recording.number, payload=b"")
        ours, theirs = (
            answer_leaves(one, message, headers=settings.headers, body_max=settings.answer_max_bytes)
            for one in (recording.answer, other)
        )
        found = compare_leaves(ours, theirs, settings.rules, device=asked.path, now=time.time())
        tally = self._shadow.tallies.setdefault(recording.tried, Tally())
        tally.add(f"{asked.method} {asked.path}", recording.number, found, error=error)

    async def _ask(self, recording: Recording, pool: Pool) -> Answer:
        """Send the copy and return its answer."""
        connection = await pool.take()
        try:
            return await self._exchange(recording, pool, connection)
        except BaseException:
            connection.abort()
            raise
        finally:
            pool.give(connection)

    async def _exchange(self, recording: Recording, pool: Pool, connection: Connection) -> Answer:
        asked, body = recording.asked, recording.body
        headers = upstream_headers(
            asked.headers,
            caller=asked.host,
            scheme=asked.scheme,
            trusted=self._trusted,
            authority=pool.address.authority,
        )
        headers = [item for item in headers if item[0] not in (b"content-length", b"transfer-encoding")]
        if asked.body:
            headers.append((b"content-length", b"%d" % len(body)))
        headers.append(MIRRORED)
        connection.send(
            h11.Request(method=asked.method, target=pool.target(asked.target), headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        await connection.drain()
        head: h11.Response | None = None
        answer = bytearray()
        while True:
            event = await connection.next_event()
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                if len(answer) + len(event.data) > self._settings.answer_max_bytes:
                    raise TooLarge
                answer += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                fields = tuple((bytes(name), bytes(value)) for name, value in head.headers)
                return Answer(head.status_code, fields, bytes(answer))
            elif not isinstance(event, h11.InformationalResponse):
                raise Broken("the service ended the connection without an answer")


def _pool(config: HttpConfig, upstream: Upstream, url: str) -> Pool:
    """Return connections of the mirror's own: it takes none from callers."""
    return Pool(
        Address.parse(url),
        connections_max=config.mirror.concurrent,
        waiting_max=config.mirror.concurrent,
        connect_s=config.mirror.timeout_s,
        keep_alive_s=upstream.keep_alive_s,
        headers_max=config.listen.headers_max_bytes,
        rewrite=upstream.rewrite,
    )


class TooLarge(Exception):
    """Raised when a mirrored answer is larger than what is compared."""
