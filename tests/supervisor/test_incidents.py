"""Incidents: opened once, closed with a cause, never lost."""

import pytest

from agt.supervisor.records import SCHEMA, Incidents, Store


@pytest.fixture
async def incidents(tmp_path):
    """An open book of incidents."""
    store = Store(tmp_path / "records.sqlite", schema=SCHEMA)
    yield Incidents(store)
    await store.aclose()


async def test_an_incident_is_opened_once_and_closed_with_a_cause(incidents) -> None:
    """The same one again is the open one; closing again changes nothing."""
    first, fresh = await incidents.open(at=1.0, severity="major", title="bulbs flicker", by="ann", phase="canary-10")
    again, fresh_again = await incidents.open(at=2.0, severity="major", title="bulbs flicker", by="rule slo")
    assert (fresh, fresh_again) == (True, False)
    assert again == first
    closed = await incidents.close(first.id, at=5.0, by="bob", cause="a bad access point")
    assert not closed.open
    assert await incidents.close(first.id, at=9.0, by="eve", cause="other") == closed
    third, fresh_third = await incidents.open(at=10.0, severity="major", title="bulbs flicker", by="ann")
    assert fresh_third
    assert [one.id for one in await incidents.newest()] == [third.id, first.id]
    assert [one.id for one in await incidents.newest(only_open=True)] == [third.id]
    assert [one.id for one in await incidents.newest(since=6.0)] == [third.id]


async def test_bad_input_is_one_clear_error_and_changes_nothing(incidents) -> None:
    """Unknown severity, no title, no cause, no such number."""
    with pytest.raises(ValueError, match="minor, major, critical"):
        await incidents.open(at=1.0, severity="huge", title="x", by="ann")
    with pytest.raises(ValueError, match="title"):
        await incidents.open(at=1.0, severity="minor", title="  ", by="ann")
    with pytest.raises(KeyError):
        await incidents.close(7, at=1.0, by="ann", cause="none")
    assert await incidents.newest() == []
    opened, _ = await incidents.open(at=1.0, severity="minor", title="x", by="ann")
    with pytest.raises(ValueError, match="cause"):
        await incidents.close(opened.id, at=2.0, by="ann", cause=" ")
    assert (await incidents.newest())[0].open
