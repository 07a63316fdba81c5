"""The runtime contracts: each number and rule of them, and what no order of events may break."""

import math
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.supervisor.contracts import (
    AckAnswer,
    Caller,
    Cursor,
    CursorLimits,
    Deliveries,
    LatencyLimits,
    LatencyWindow,
    Position,
    Projection,
    ProjectionConflict,
    Recovery,
    Refusal,
    SourceRegistry,
    SourceState,
    WindowVerdict,
    admit,
)
from agt.supervisor.contracts._latency import p95


def test_a_delivery_is_sent_five_times_two_seconds_apart_and_given_up() -> None:
    """The same token each time; at the end the source is degraded, until an ack of it comes."""
    deliveries = Deliveries()
    assert deliveries.issue("t1", "poller", now=0.0)
    assert not list(deliveries.due(now=1.999))
    for attempt in range(2, 6):
        (again,) = deliveries.due(now=2.0 * (attempt - 1))
        assert (again.token, again.attempt, again.exhausted) == ("t1", attempt, False)
    (last,) = deliveries.due(now=10.0)
    assert last.exhausted
    assert deliveries.degraded == {"poller"}
    assert deliveries.acknowledge("t1") is AckAnswer.ACK_RETRY_EXHAUSTED
    assert deliveries.degraded == {"poller"}
    deliveries.issue("t2", "poller", now=11.0)
    assert deliveries.acknowledge("t2") is AckAnswer.COMMITTED
    assert not deliveries.degraded


def test_a_second_ack_moves_nothing() -> None:
    """It is answered, and a token is never used twice."""
    deliveries = Deliveries()
    deliveries.issue("t", "poller", now=0.0)
    assert deliveries.acknowledge("t") is AckAnswer.COMMITTED
    assert deliveries.acknowledge("t") is AckAnswer.ALREADY_COMMITTED
    assert not deliveries.issue("t", "poller", now=1.0)
    assert deliveries.acknowledge("never") is AckAnswer.UNKNOWN
    assert deliveries.next_due() is None


def test_a_withdrawn_delivery_is_never_sent_again_and_its_late_ack_moves_nothing() -> None:
    """A receiver that began anew says by its cursor what it has: that ends a degraded source, too."""
    deliveries = Deliveries()
    deliveries.issue("t", "poller", now=0.0)
    assert deliveries.withdraw("t")
    assert not deliveries.withdraw("t")
    assert (deliveries.waiting, list(deliveries.due(now=99.0))) == (0, [])
    assert deliveries.acknowledge("t") is AckAnswer.UNKNOWN
    deliveries.issue("u", "poller", now=0.0)
    for now in range(2, 12, 2):
        list(deliveries.due(now=now))
    assert deliveries.degraded == {"poller"}
    deliveries.recovered("poller")
    assert not deliveries.degraded


def test_a_projection_is_restored_as_it_was_kept() -> None:
    """Versions and all, so that a writer goes on with what it knew; a checkpoint that contradicts itself is refused."""
    first = Projection()
    first.put("a", 1, expected=0)
    first.put("b", 2, expected=0)
    again = Projection.restored(first.kept(), state_version=first.state_version, conflicts=3)
    assert (again.rows(), again.state_version, again.conflicts) == ({"a": 1, "b": 2}, 2, 3)
    assert again.put("a", 5, expected=1) == 3
    assert first.get("a") == 1
    with pytest.raises(ValueError, match="version 2"):
        Projection.restored(first.kept(), state_version=1)


@given(st.lists(st.tuples(st.sampled_from(["issue", "ack", "due"]), st.integers(0, 5)), max_size=80))
def test_whatever_happens_a_token_is_committed_at_most_once(events: list[tuple[str, int]]) -> None:
    """And every attempt is at most the fifth."""
    deliveries, committed, now = Deliveries(), set[str](), 0.0
    for what, number in events:
        now += 0.7
        token = f"t{number}"
        if what == "issue":
            deliveries.issue(token, "s", now=now)
        elif what == "ack":
            if deliveries.acknowledge(token) is AckAnswer.COMMITTED:
                assert token not in committed
                committed.add(token)
        else:
            assert all(again.attempt <= 5 and again.token not in committed for again in deliveries.due(now=now))


def test_watermarks_never_go_back_and_nothing_is_committed_unfetched() -> None:
    """Both refusals change nothing."""
    cursor = Cursor(now=0.0)
    cursor.fetch(10)
    with pytest.raises(ValueError, match="never goes back"):
        cursor.fetch(9)
    with pytest.raises(ValueError, match="wasn't fetched"):
        cursor.commit(11)
    assert cursor.commit(7)
    assert not cursor.commit(7)
    assert cursor.position == Position(10, 7)
    with pytest.raises(ValueError, match="committed 3 of 2"):
        Cursor(Position(2, 3), now=0.0)


def test_a_checkpoint_is_due_after_thirty_seconds_or_five_hundred_events() -> None:
    """Whichever is first, and never for nothing."""
    cursor = Cursor(now=0.0)
    assert not cursor.checkpoint_due(now=1000.0)
    cursor.fetch(600)
    cursor.commit(499)
    assert not cursor.checkpoint_due(now=29.9)
    assert cursor.checkpoint_due(now=30.0)
    cursor.commit(500)
    assert cursor.checkpoint_due(now=1.0)
    cursor.checkpointed(cursor.position, now=1.0)
    assert not cursor.checkpoint_due(now=1000.0)


def test_a_restart_fetches_again_what_was_not_committed() -> None:
    """From the committed watermark on, and dedup remembers long enough for the widest rewind."""
    assert Cursor(Position(90, 40), now=0.0).position == Position(40, 40)
    limits = CursorLimits()
    assert limits.dedup_memory_s == 720.0
    cursor = Cursor(Position(50_000, 50_000), now=0.0)
    assert cursor.rewind_to(oldest=0) == 40_000
    assert cursor.rewind_to(oldest=49_000) == 49_000


def test_three_invalid_cursors_within_a_minute_read_everything_again() -> None:
    """One or two, or three that are further apart, only go back to the committed watermark."""
    cursor = Cursor(now=0.0)
    cursor.fetch(20)
    cursor.commit(10)
    assert cursor.invalid(now=0.0) is Recovery.RETRY_COMMITTED
    assert cursor.position == Position(10, 10)
    assert cursor.invalid(now=30.0) is Recovery.RETRY_COMMITTED
    assert cursor.invalid(now=61.0) is Recovery.RETRY_COMMITTED
    assert cursor.invalid_streak == 2
    assert cursor.invalid(now=62.0) is Recovery.FULL_RESYNC
    cursor.resynced(3, now=70.0)
    assert cursor.position == Position(3, 3)
    cursor.invalid(now=71.0)
    cursor.fetch(4)
    assert cursor.invalid_streak == 0


@given(st.lists(st.tuples(st.sampled_from(["fetch", "commit", "invalid"]), st.integers(0, 50)), max_size=60))
def test_no_order_of_events_commits_backwards(events: list[tuple[str, int]]) -> None:
    """Committed only grows, and never passes fetched."""
    cursor, committed = Cursor(now=0.0), 0
    for at, (what, number) in enumerate(events):
        try:
            if what == "fetch":
                cursor.fetch(number)
            elif what == "commit":
                cursor.commit(number)
            else:
                cursor.invalid(now=float(at))
        except ValueError:
            pass
        assert committed <= cursor.position.committed <= cursor.position.fetched
        committed = cursor.position.committed


def test_sources_come_fall_silent_and_come_back() -> None:
    """Pending until hello, stale after thirty seconds, active by the next heartbeat."""
    registry = SourceRegistry()
    assert registry.hello("a", "/a.sock", now=0.0) is None
    assert registry.register("a", "/a.sock", now=0.0) is SourceState.PENDING
    assert registry.heartbeat("a", now=0.0) is SourceState.PENDING
    assert not registry.admits("a", "/a.sock")
    assert registry.hello("a", "/a.sock", now=1.0) is SourceState.ACTIVE
    assert registry.admits("a", "/a.sock")
    assert not registry.look(now=31.0)
    assert [source.name for source in registry.look(now=31.1)] == ["a"]
    assert not registry.look(now=40.0)
    assert not registry.admits("a", "/a.sock")
    assert registry.heartbeat("a", now=41.0) is SourceState.ACTIVE


def test_a_moved_socket_has_to_register_again_and_a_revoked_source_stays_out() -> None:
    """A name alone admits nobody."""
    registry = SourceRegistry()
    registry.register("a", "/a.sock", now=0.0)
    registry.hello("a", "/a.sock", now=0.0)
    assert registry.hello("a", "/b.sock", now=1.0) is None
    assert not registry.admits("a", "/b.sock")
    assert registry.register("a", "/b.sock", now=1.0) is SourceState.PENDING
    assert not registry.admits("a", "/a.sock")
    assert registry.revoke("a", "leaked its key")
    assert registry.register("a", "/b.sock", now=2.0) is SourceState.REVOKED
    assert registry.hello("a", "/b.sock", now=2.0) is SourceState.REVOKED
    assert registry.heartbeat("a", now=2.0) is SourceState.REVOKED
    assert registry.states() == {"a": SourceState.REVOKED}
    assert not registry.revoke("nobody", "")


def test_a_projection_changes_only_for_those_who_know_its_version() -> None:
    """0 says new; a conflict is counted and changes nothing."""
    projection = Projection()
    first = projection.put("pane-1", {"title": "sh"}, expected=0)
    with pytest.raises(ProjectionConflict, match="'pane-1' was believed to be new and is at version 1"):
        projection.put("pane-1", {}, expected=0)
    with pytest.raises(ProjectionConflict, match="is not there"):
        projection.remove("pane-2", expected=4)
    assert (projection.state_version, projection.conflicts, projection.get("pane-1")) == (1, 2, {"title": "sh"})
    second = projection.put("pane-1", {"title": "vi"}, expected=first)
    assert second == projection.state_version == 2
    assert projection.remove("pane-1", expected=second) == 3
    assert len(projection) == 0
    assert projection.version("pane-1") == 0


@pytest.mark.parametrize(("count", "index"), [(1, 0), (19, 18), (20, 18), (200, 189), (201, 190)])
def test_p95_is_the_sample_at_the_index_of_the_contract(count: int, index: int) -> None:
    """ceil(0.95 n) - 1 of the sorted samples."""
    assert p95([float(number) for number in reversed(range(count))]) == index
    assert math.ceil(0.95 * count) - 1 == index


def test_three_breaches_degrade_and_the_fourth_rolls_back() -> None:
    """A good window in between starts over, one with too few samples changes nothing."""
    window = LatencyWindow(LatencyLimits(limit_s=0.1), now=0.0)
    said: list[WindowVerdict | None] = []
    for number, (latency, count) in enumerate([(0.2, 200), (0.2, 199), (0.2, 200), (0.05, 200), *[(0.2, 200)] * 4]):
        for _ in range(count):
            window.add(latency)
        said.append(window.evaluate(now=600.0 * (number + 1)))
    breach, few, within = WindowVerdict.BREACH, WindowVerdict.FEW, WindowVerdict.WITHIN
    assert said == [breach, few, breach, within, breach, breach, WindowVerdict.DEGRADED, WindowVerdict.ROLL_BACK]
    assert window.latest == 0.2


def test_a_window_counts_once() -> None:
    """Nobody gets two breaches out of the same samples by looking twice."""
    window = LatencyWindow(LatencyLimits(limit_s=0.1), now=0.0)
    for _ in range(300):
        window.add(0.5)
    assert window.evaluate(now=599.9) is None
    assert window.evaluate(now=600.0) is WindowVerdict.BREACH
    assert window.evaluate(now=600.0) is None
    assert window.evaluate(now=1200.0) is WindowVerdict.FEW


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({}, None),
        ({"directory_mode": 0o755}, Refusal.DIRECTORY_OPEN),
        ({"socket_mode": 0o666}, Refusal.SOCKET_OPEN),
        ({"uid": 1}, Refusal.OTHER_USER),
        ({"nonce": b"older"}, Refusal.WRONG_NONCE),
        ({"source": "b"}, Refusal.NOT_REGISTERED),
        ({"socket": "/moved.sock"}, Refusal.NOT_REGISTERED),
    ],
)
def test_admission_needs_all_of_its_conditions(changed: dict[str, object], refusal: Refusal | None) -> None:
    """One wrong is enough to be refused."""
    registry = SourceRegistry()
    registry.register("a", "/a.sock", now=0.0)
    registry.hello("a", "/a.sock", now=0.0)
    given = {"uid": 7, "source": "a", "socket": "/a.sock", "nonce": b"n", "directory_mode": 0o700, "socket_mode": 0o600}
    given |= changed
    caller = Caller(given["uid"], given["source"], given["socket"], given["nonce"])
    assert (
        admit(
            caller,
            registry=registry,
            nonce=b"n",
            uid=7,
            directory_mode=stat.S_IFDIR | given["directory_mode"],
            socket_mode=stat.S_IFSOCK | given["socket_mode"],
        )
        is refusal
    )
