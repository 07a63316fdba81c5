"""The events' parts alone: a source's log, who is admitted at the door, the daemon's cursors and checkpoint."""

import os
from pathlib import Path

import anyio
import pytest

from agt.chaos.demo._talk import Lines, serve_questions
from agt.chaos.demo.events import Courier, Door, EventLog, EventSource, EventTimes, Keeper
from agt.chaos.demo.events._log import InvalidCursor

pytestmark = pytest.mark.anyio
TIMES = EventTimes(heartbeat_s=0.05, silence_s=0.2, ack_timeout_s=0.1)


def states(count: int, *, first: int = 1) -> list[tuple[float, str, int, int]]:
    """States of three devices in turn."""
    return [(float(n), f"d{n % 3}", n % 2, n) for n in range(first, first + count)]


def deliver(*events: tuple[int, float, str, int, int], token: str = "t") -> dict[str, object]:
    """Return a delivery of the source `a`."""
    return {"op": "deliver", "token": token, "source": "a", "events": [list(event) for event in events]}


def test_a_log_goes_on_where_a_killed_process_left_it(tmp_path: Path) -> None:
    """Half a line is taken away, numbers go on, rows count every event."""
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    assert log.append(states(4))
    log.close()
    with path.open("ab") as file:
        file.write(b'[5,1.0,"d')
    log = EventLog(path)
    assert (log.newest, log.oldest) == (4, 1)
    log.append(states(1, first=5))
    assert [event.n for event in log.after(2, 10)] == [3, 4, 5]
    assert {row.device: row.events for row in log.rows} == {"d0": 1, "d1": 2, "d2": 2}
    log.close()


def test_a_log_keeps_a_rewind_and_says_when_a_cursor_is_outside(tmp_path: Path) -> None:
    """It is written anew when it has grown; counts by device outlive that, and the next process reads the same."""
    path = tmp_path / "events.jsonl"
    log = EventLog(path, kept=10)
    for first in range(1, 57, 7):
        log.append(states(7, first=first))
    assert len(path.read_bytes().splitlines()) <= 27
    assert (log.oldest, log.newest) == (47, 56)
    with pytest.raises(InvalidCursor, match="there are 47 to 56"):
        log.after(45, 1)
    with pytest.raises(InvalidCursor):
        log.after(57, 1)
    rows = log.rows
    log.close()
    again = EventLog(path, kept=10)
    assert (again.rows, again.newest) == (rows, 56)
    assert sum(row.events for row in rows) == 56
    again.close()


def test_a_full_disk_numbers_nothing(tmp_path: Path, monkeypatch) -> None:
    """What could not be written whole is taken back, and goes in the next time."""
    log = EventLog(tmp_path / "events.jsonl")
    log.append(states(2))
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, body: write(handle, body[:5]))
    assert not log.append(states(2, first=3))
    monkeypatch.undo()
    assert log.newest == 2
    assert log.append(states(2, first=3))
    log.close()
    assert EventLog(tmp_path / "events.jsonl").newest == 4


async def test_a_daemon_applies_each_event_once_and_refuses_gaps(tmp_path: Path) -> None:
    """Behind its cursor it passes over, before it it says where to go on."""
    keeper = Keeper(tmp_path / "checkpoint", TIMES)
    one, two, four = (1, 1.0, "d", 1, 1), (2, 2.0, "d", 0, 2), (4, 4.0, "d", 0, 4)
    assert await keeper.answer(deliver(one, two)) == {"ack": "t", "committed": 2}
    assert await keeper.answer(deliver(one, two)) == {"ack": "t", "committed": 2}
    assert await keeper.answer(deliver(four)) == {"gap": "a", "after": 2}
    assert (keeper.status()["applied"], keeper.status()["repeated"], keeper.status()["state_version"]) == (2, 2, 2)
    assert keeper.projection.get("a/d") == {"value": 0, "number": 2, "events": 2}
    with pytest.raises(ValueError, match="no 'deliver'"):
        await keeper.answer({"op": "deliver", "events": "x"})


async def test_a_killed_daemon_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """Cursor and projection agree to the event: after 500 events by itself, what came later is asked for again."""
    keeper = Keeper(tmp_path / "checkpoint", TIMES)
    await keeper.answer(deliver(*[(n, 0.0, f"d{n % 7}", 0, n) for n in range(1, 501)]))
    await keeper.answer(deliver((501, 0.0, "d1", 0, 501)))
    again = Keeper(tmp_path / "checkpoint", TIMES)
    assert await again.answer({"op": "cursors"}) == {"cursors": {"a": 500}}
    assert again.status()["state_version"] == again.status()["applied"] == 500
    await again.answer(deliver((501, 0.0, "d1", 0, 501)))
    assert again.projection.kept() == keeper.projection.kept()
    (tmp_path / "checkpoint").write_text("{")
    with pytest.raises(ValueError, match="checkpoint can't be read"):
        Keeper(tmp_path / "checkpoint", TIMES)


async def test_a_third_invalid_cursor_in_a_row_asks_for_everything(tmp_path: Path) -> None:
    """From committed twice, then a full resync, which is durable at once; rows that are gone go."""
    keeper = Keeper(tmp_path / "checkpoint", TIMES)
    await keeper.answer(deliver((1, 0.0, "gone", 0, 1)))
    answers = [await keeper.answer({"op": "invalid", "source": "a"}) for _ in range(3)]
    assert [answer["resync"] for answer in answers] == [False, False, True]
    await keeper.answer({"op": "resync", "source": "a", "rows": [["d", 1, 9, 40]], "through": 90})
    again = Keeper(tmp_path / "checkpoint", TIMES).status()
    assert (again["full_resyncs"], again["invalid_cursors"], again["committed"]) == (1, 3, {"a": 90})
    assert keeper.projection.rows() == {"a/d": {"value": 1, "number": 9, "events": 40}}


async def test_writers_with_an_old_version_change_nothing_and_are_counted(tmp_path: Path) -> None:
    """Compare-and-swap from outside, as another writer would have to."""
    keeper = Keeper(tmp_path / "checkpoint", TIMES)
    assert await keeper.answer({"op": "put", "key": "k", "value": 1, "expected": 0}) == {"version": 1}
    assert (await keeper.answer({"op": "put", "key": "k", "value": 2, "expected": 0}))["found"] == 1
    assert (keeper.status()["conflicts"], keeper.projection.get("k")) == (1, 1)


async def test_latency_is_judged_by_window(tmp_path: Path) -> None:
    """A window with enough samples says its p95 and counts breaches."""
    now = 0.0
    times = EventTimes(window_s=10, window_samples=4, limit_s=1)
    keeper = Keeper(tmp_path / "checkpoint", times, now=lambda: now, wall=lambda: 3.0)
    await keeper.answer(deliver(*[(n, 0.5, "d", 0, n) for n in range(1, 6)]))
    now = 10.0
    keeper._latency.evaluate(now=now)
    assert (keeper.status()["p95_ms"], keeper.status()["p95_breaches"]) == (2500.0, 1)


class Stage:
    """Source, door and courier around a keeper, in one loop; the test says what the daemon does."""

    def __init__(self, run: Path) -> None:
        run.chmod(0o700)
        self.run, self.hears = run, anyio.Event()
        self.hears.set()
        self.log = EventLog(run / "events-a.jsonl")
        self.source = EventSource("a", self.log, identity=run / "fleet.sock", times=TIMES)
        self.door = Door(run / "events.sock", run / "nonce", times=TIMES)
        self.courier = Courier(run / "daemon.sock", self.door, gateway="", times=TIMES)
        self.keeper = Keeper(run / "checkpoint", TIMES)

    async def answer(self, question: dict[str, object]) -> dict[str, object]:
        """Be the daemon; a deaf one answers deliveries when it hears again."""
        if question["op"] == "deliver":
            await self.hears.wait()
        return await self.keeper.answer(question)

    async def play(self, tasks: anyio.abc.TaskGroup) -> None:
        """Start everything."""
        tasks.start_soon(self.door.run)
        tasks.start_soon(self.source.run, self.run / "events.sock", self.run / "nonce")
        tasks.start_soon(serve_questions, self.run / "daemon.sock", self.answer)
        tasks.start_soon(self.courier.run)


@pytest.fixture
async def stage(tmp_path: Path):
    """A stage at play; its end is the test's end."""
    one = Stage(tmp_path)
    async with anyio.create_task_group() as tasks:
        await one.play(tasks)
        yield one
        tasks.cancel_scope.cancel()


@pytest.mark.soak
async def test_a_deaf_daemon_degrades_its_source_and_still_applies_once(stage: Stage, until) -> None:
    """The same token again and again, given up at the fifth attempt; when it hears again, one ack counts."""
    stage.hears = deaf = anyio.Event()
    stage.source.note("d", 1, 1)
    await until(lambda: stage.courier.counts["ack_retry_exhausted"] == 1)
    assert stage.courier.counts["resent"] == 4
    assert stage.courier._deliveries.degraded == {"a"}
    deaf.set()
    await until(lambda: stage.keeper.status()["applied"] == 1 and not stage.courier._deliveries.degraded)


async def test_a_late_ack_of_a_resent_token_is_already_committed(stage: Stage, until) -> None:
    """Both attempts are answered, the second moves nothing."""
    stage.hears = deaf = anyio.Event()
    stage.source.note("d", 1, 1)
    await until(lambda: stage.courier.counts["resent"] >= 1)
    deaf.set()
    await until(lambda: stage.courier.counts["already_committed"] >= 1)
    assert (stage.courier.counts["delivered"], stage.keeper.status()["applied"]) == (1, 1)


async def test_refused_cursors_end_in_a_full_resync(stage: Stage, until) -> None:
    """One is a retry; three in a row read everything again, and events go on behind it."""
    stage.source.note("d", 1, 1)
    await until(lambda: stage.keeper.status()["applied"] == 1)
    stage.source.refusing = 1
    stage.source.note("d", 0, 2)
    await until(lambda: stage.keeper.status()["applied"] == 2)
    assert (stage.keeper.status()["invalid_cursors"], stage.keeper.status()["full_resyncs"]) == (1, 0)
    stage.source.refusing = 3
    stage.source.note("d", 1, 3)
    await until(lambda: stage.keeper.status()["full_resyncs"] == 1)
    await until(lambda: stage.keeper.projection.get("a/d") == {"value": 1, "number": 3, "events": 3})
    stage.source.note("d", 0, 4)
    await until(lambda: stage.keeper.status()["committed"] == {"a": 4})


async def test_a_silent_source_is_stale_and_delivers_nothing_until_it_is_heard(stage: Stage, until) -> None:
    """By heartbeat, told to the daemon."""
    stage.source._times = EventTimes(heartbeat_s=60)
    await until(lambda: "a" in stage.door.feeds)
    await until(lambda: not stage.door.active("a"))
    assert stage.door.registry.states()["a"].value == "stale"
    stage.source.note("d", 1, 1)
    await until(lambda: stage.keeper.status()["applied"] == 1)
    assert stage.door.active("a")


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda stage: stage.run.chmod(0o750), "the runtime directory is not 0700"),
        (lambda stage: (stage.run / "events.sock").chmod(0o660), "the socket is not 0600"),
        (lambda stage: setattr(stage.door, "_nonce", "another"), "the caller knows another start of this gateway"),
        (lambda stage: stage.door.registry.revoke("b", "left"), "the source is not registered and active"),
    ],
)
async def test_the_door_refuses_whoever_the_contract_refuses(stage: Stage, break_it, says: str, until) -> None:
    """Each condition for itself, and the caller is told which."""
    await until(lambda: stage.door.active("a"))
    stage.door.registry.register("b", "/s", now=0.0)
    nonce = (stage.run / "nonce").read_text()
    break_it(stage)
    async with await anyio.connect_unix(stage.run / "events.sock") as stream:
        lines = Lines(stream)
        await lines.write({"register": "b", "socket": "/s", "nonce": nonce})
        assert await lines.read() == {"refused": says}
    assert stage.door.refused == 1


@pytest.mark.parametrize("text", ["0", "-1", "inf", "soon"])
def test_clocks_have_to_be_above_zero(text: str) -> None:
    """One clear word instead of a gateway that never waits."""
    with pytest.raises(ValueError, match=r"above zero|could not convert"):
        EventTimes.from_environment({"AGT_DEMO_EVENTS_SILENCE_S": text})
    assert EventTimes.from_environment({"AGT_DEMO_EVENTS_SILENCE_S": "3"}).silence_s == 3
