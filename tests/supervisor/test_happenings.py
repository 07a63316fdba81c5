"""Happenings: what is counted over windows outlives the supervisor, and is never made up."""

from pathlib import Path

import anyio
import pytest

from agt.supervisor.measure import Readings, Timeline
from agt.supervisor.records import SCHEMA, Happenings, Store

DAY_S = 86_400.0


@pytest.fixture
async def store(tmp_path: Path):
    """A fresh store."""
    found = Store(tmp_path / "records.sqlite", schema=SCHEMA)
    yield found
    await found.aclose()


def reading(happenings: Happenings, *, start: float, now: float, kind: str = "restarts") -> float | None:
    """What a gate sees of a window."""
    times = {kind: happenings.times(kind)}
    readings = Readings(timeline=Timeline(), now=now, control="old", latency_limit_s=1.0, happenings=times)
    return readings.read(kind, "new", start=start).value


async def test_next_supervisor_knows_the_last_thirty_days(store):
    """What was noted is there again after loading; what is older than 30 days isn't."""
    first = await Happenings.load(store)
    for day in (1, 2, 20, 40):
        first.note("restarts", at=day * DAY_S, source="daemon")
    assert await first.flush()
    again = await Happenings.load(store)
    assert list(again.times("restarts")) == [20 * DAY_S, 40 * DAY_S]
    assert reading(again, start=39 * DAY_S, now=40 * DAY_S) == 1.0
    assert reading(again, start=0.0, now=39 * DAY_S) == 1.0


async def test_what_the_disk_refuses_is_written_later(store):
    """A closed store loses nothing: the memory goes on, and the next flush writes it."""
    happenings = await Happenings.load(store)
    happenings.note("hold_downs", at=1.0, source="daemon", times=2)
    store.close()
    assert not await happenings.flush()
    assert list(happenings.times("hold_downs")) == [1.0, 1.0]
    reopened = Store(store._path, schema=SCHEMA)
    happenings._store = reopened
    assert await happenings.flush()
    assert await happenings.flush()
    assert len((await Happenings.load(reopened)).times("hold_downs")) == 2
    await reopened.aclose()


@pytest.mark.parametrize(
    ("second", "instance", "added"),
    [(5, "a", 0), (8, "a", 3), (2, "a", 2), (6, "b", 6), (5000, "a", 1000)],
    ids=["same", "more", "fell", "another", "jumped"],
)
async def test_counts_of_a_daemon_are_what_they_grew_by(store, second, instance, added):
    """The first count is a starting point; also for the next supervisor, which goes on from the last one seen."""
    first = await Happenings.load(store)
    first.count({"conflicts": 5}, at=10.0, source="daemon", instance="a")
    assert await first.flush()
    assert not first.times("conflicts")
    again = await Happenings.load(store)
    again.count({"conflicts": second}, at=20.0, source="daemon", instance=instance)
    assert len(again.times("conflicts")) == added


async def test_memory_is_bounded(store, monkeypatch):
    """However often something happens, so many are remembered."""
    monkeypatch.setattr("agt.supervisor.records._happenings.HAPPENINGS_MAX", 50)
    happenings = await Happenings.load(store)
    for second in range(200):
        happenings.note("restarts", at=float(second), source="daemon")
    assert len(happenings.times("restarts")) == 50
    assert happenings.times("restarts")[0] == 150.0
    await anyio.lowlevel.checkpoint()
