"""Messages that bring their own id: handed out once within the cache's limits, copies sharing the first's fate."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.transport import (
    Outcome,
    ReceivedMessage,
    ReliableConfig,
    ReliableListener,
    ReliableTransport,
    TCPConnection,
    TransportMetrics,
)
from agt.transport._events import Received
from agt.transport._own_ids import OwnIds


def own_id(payload: bytes) -> bytes | None:
    """The word before a colon."""
    head, colon, _ = payload.partition(b":")
    return head if colon else None


def memory(size: int = 1000, ttl_s: float = 300) -> tuple[OwnIds, TransportMetrics]:
    """A memory and what it counts in."""
    metrics = TransportMetrics()
    return OwnIds(own_id, size=size, ttl_s=ttl_s, metrics=metrics), metrics


def payloads_of(runs: list[Received]) -> list[bytes]:
    """What is handed out."""
    return [payload for run in runs for payload in run.payloads]


def test_a_run_is_cut_around_copies_and_keeps_tokens_and_sequences() -> None:
    """Token and sequence of what is left stay its own."""
    ids, _ = memory()
    event = Received(10, [b"a:1", b"a:1", b"plain", b"b:2", b"a:3", b"c:4"], 100)
    runs, done = ids.sift(event, now=0)
    assert [(run.token, run.sequence, run.payloads) for run in runs] == [
        (10, 100, [b"a:1"]),
        (12, 102, [b"plain", b"b:2"]),
        (15, 105, [b"c:4"]),
    ]
    assert done == []
    assert ids.processed(10, 6) == [11, 14]


def test_messages_without_an_id_pass_as_they_are() -> None:
    """Also those on whom the application's function fails, or returns what can't be remembered."""
    metrics = TransportMetrics()
    for broken in (lambda _: 1 / 0, lambda _: ["a list"], lambda _: None):
        ids = OwnIds(broken, size=10, ttl_s=10, metrics=metrics)
        event = Received(1, [b"a", b"a"], -1)
        assert ids.sift(event, now=0) == ([event], [])
    assert metrics.dedup_hits == metrics.dedup_size == 0


def test_a_copy_is_acknowledged_only_when_the_first_was_processed() -> None:
    """At once when that has happened; not before."""
    ids, metrics = memory()
    ids.sift(Received(1, [b"a:1"]), now=0)
    assert ids.sift(Received(2, [b"a:1"]), now=1) == ([], [])
    assert ids.processed(1) == [2]
    assert ids.sift(Received(3, [b"a:1"]), now=2) == ([], [3])
    assert (metrics.dedup_hits, metrics.duplicates_dropped) == (2, 2)


def test_a_refused_message_is_forgotten_and_its_waiting_copies_are_refused_too() -> None:
    """Whoever sends it again wants it done."""
    ids, _ = memory()
    ids.sift(Received(1, [b"a:1", b"a:1"]), now=0)
    assert ids.refused(1) == [2]
    runs, _ = ids.sift(Received(3, [b"a:1"]), now=1)
    assert payloads_of(runs) == [b"a:1"]


def test_an_id_is_forgotten_after_its_time_and_counts_until_then() -> None:
    """300 s by default; a copy does not make it last longer."""
    ids, _ = memory(ttl_s=300)
    ids.sift(Received(1, [b"a:1"]), now=0)
    ids.processed(1)
    assert ids.sift(Received(2, [b"a:1"]), now=299)[1] == [2]
    assert payloads_of(ids.sift(Received(3, [b"a:1"]), now=300)[0]) == [b"a:1"]


def test_the_least_recently_used_id_makes_room() -> None:
    """1,000 by default; one that came again lately stays."""
    ids, metrics = memory(size=3)
    for token, key in enumerate((b"a", b"b", b"c"), 1):
        ids.sift(Received(token, [key + b":"]), now=0)
        ids.processed(token)
    ids.sift(Received(4, [b"a:"]), now=0)
    ids.sift(Received(5, [b"d:"]), now=0)
    assert (metrics.dedup_size, metrics.dedup_evictions) == (3, 1)
    assert ids.sift(Received(6, [b"a:"]), now=0)[1] == [6]
    assert payloads_of(ids.sift(Received(7, [b"b:"]), now=0)[0]) == [b"b:"]


def test_what_is_being_processed_is_not_forgotten_however_long_it_takes() -> None:
    """Else its copy would be handed out beside it. The link bounds how many those are."""
    ids, metrics = memory(size=2, ttl_s=10)
    for token in range(1, 6):
        ids.sift(Received(token, [b"%d:" % token]), now=0)
    assert metrics.dedup_size == 5
    assert ids.sift(Received(6, [b"1:"]), now=99) == ([], [])
    assert ids.processed(1, 5) == [6]
    for token in range(7, 12):
        ids.sift(Received(token, [b"%d:" % token]), now=99)
        ids.processed(token)
    assert metrics.dedup_size <= 5


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["ack", "refuse", "later"])), max_size=60))
def test_every_token_is_answered_once_and_no_processed_id_twice(steps: list[tuple[int, str]]) -> None:
    """Whatever comes in whatever order is answered: each token exactly once, each id processed at most once."""
    ids, _ = memory()
    answers: Counter[int] = Counter()
    processed: Counter[bytes] = Counter()
    waiting: list[tuple[int, bytes]] = []
    for token, (number, what) in enumerate(steps, 1):
        key = b"%d:" % number
        runs, done = ids.sift(Received(token, [key]), now=float(token))
        answers.update(done)
        waiting += [(token, key)] * len(runs)
        if waiting and what != "later":
            first, key = waiting.pop(0)
            answers[first] += 1
            processed[key] += what == "ack"
            answers.update(ids.processed(first) if what == "ack" else ids.refused(first))
    for first, key in waiting:
        answers[first] += 1
        processed[key] += 1
        answers.update(ids.processed(first))
    assert answers == Counter(range(1, len(steps) + 1))
    assert all(count == 1 for count in processed.values() if count)


@pytest.mark.anyio
@pytest.mark.parametrize("acknowledged", [True, False])
async def test_a_command_that_is_sent_again_is_done_once_and_told_delivered(acknowledged: bool, until) -> None:
    """Over real sockets, from a second process of the same sender: a new outbox, and the same id."""
    taken: list[bytes] = []
    metrics = TransportMetrics()

    def take(message: ReceivedMessage) -> None:
        taken.append(message.payload)
        if not acknowledged:
            message.refuse("rejected")

    async with ReliableListener(on_message=take, own_id=own_id, metrics=metrics) as listener:
        outcomes = []
        for _process in range(2):
            async with ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="dev-1") as transport:
                sent = [await transport.send_reliable(payload) for payload in (b"cmd-7:on", b"cmd-7:on", b"no id")]
            outcomes += [delivery.outcome for delivery in sent]
    if acknowledged:
        assert taken == [b"cmd-7:on", b"no id", b"no id"]
        assert outcomes == [Outcome.DELIVERED] * 6
        assert (metrics.dedup_hits, metrics.duplicates_dropped) == (3, 3)
    else:
        assert taken == [b"cmd-7:on", b"cmd-7:on", b"no id"] * 2
        assert outcomes == [Outcome.NOT_DELIVERED] * 6


@pytest.mark.anyio
async def test_the_dialling_side_recognises_ids_too_and_its_settings_take_effect(until) -> None:
    """`dedup_cache_size` and `dedup_ttl_seconds` of the configuration, in its metrics."""
    taken: list[bytes] = []
    metrics = TransportMetrics()
    async with (
        ReliableListener() as listener,
        ReliableTransport(
            TCPConnection("127.0.0.1", listener.port),
            name="dev-1",
            config=ReliableConfig(dedup_cache_size=2, dedup_ttl_seconds=60),
            on_message=lambda message: taken.append(message.payload),
            own_id=own_id,
            metrics=metrics,
        ) as transport,
    ):
        await transport.wait_connected()
        await until(lambda: listener.sessions["dev-1"].connected)
        session = listener.sessions["dev-1"]
        for payload in (b"1:", b"1:", b"2:", b"3:", b"1:"):
            assert await session.send_nowait(payload)
        assert taken == [b"1:", b"2:", b"3:", b"1:"]
        assert (metrics.dedup_hits, metrics.dedup_evictions, metrics.dedup_size) == (1, 2, 2)
