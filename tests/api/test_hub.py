"""The hub alone: version order, folding, bounds. No sockets, both async libraries."""

import weakref

import anyio
import msgspec
import pytest

from agt.supervisor._changes import changed_sections, decode_view, merge_change
from agt.supervisor.actions import Action
from agt.supervisor.control import Change, Hub, Receipts, Snapshot, TooManySubscribers
from agt.supervisor.view import PhaseView, Receipt, View

BASE = View(version=1, at=1.0, plan="p", status="running")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run on both: nothing here knows which."""
    return request.param


def at_version(version: int, **sections: object) -> View:
    """Return the base view at another version."""
    return msgspec.structs.replace(BASE, version=version, at=float(version), **sections)


async def test_a_subscriber_gets_a_snapshot_and_then_what_changed() -> None:
    """First the whole, then version, time and the changed section only."""
    hub = Hub(BASE)
    with hub.subscribe() as stream:
        assert await anext(stream) == Snapshot(BASE)
        hub.publish(at_version(2, percentage=10.0))
        assert await anext(stream) == Change({"version": 2, "at": 2.0, "percentage": 10.0})


async def test_a_burst_folds_into_one_change() -> None:
    """A slow reader sees the sum, at the last version."""
    hub = Hub(BASE)
    with hub.subscribe() as stream:
        await anext(stream)
        hub.publish(at_version(2, percentage=10.0))
        hub.publish(at_version(3, percentage=10.0, reason="x"))
        hub.publish(at_version(4, percentage=20.0, reason="x"))
        assert await anext(stream) == Change({"version": 4, "at": 4.0, "percentage": 20.0, "reason": "x"})


async def test_an_older_view_is_ignored() -> None:
    """Nobody is taken back in time."""
    hub = Hub(at_version(5))
    hub.publish(at_version(4, percentage=10.0))
    hub.publish(at_version(5))
    assert (hub.view.version, hub.published) == (5, 0)


async def test_numbers_may_change_within_one_version() -> None:
    """A new measurement at the same version counts as newer by its time."""
    hub = Hub(BASE)
    hub.publish(msgspec.structs.replace(BASE, at=1.5, percentage=3.0))
    assert (hub.view.percentage, hub.published) == (3.0, 1)


async def test_a_reader_that_missed_too_much_is_told_to_resync() -> None:
    """It is handed a snapshot again, and changes from there on."""
    hub = Hub(BASE, resync_after=3)
    with hub.subscribe() as stream:
        await anext(stream)
        for version in range(2, 7):
            hub.publish(at_version(version))
        assert await anext(stream) == Snapshot(at_version(6))
        hub.publish(at_version(7))
        assert isinstance(await anext(stream), Change)


async def test_the_number_of_subscribers_is_bounded() -> None:
    """One more is refused; one that leaves makes room, and leaving twice makes no more."""
    hub = Hub(BASE, max_subscribers=2)
    first, _second = hub.subscribe(), hub.subscribe()
    with pytest.raises(TooManySubscribers, match="2 streams"):
        hub.subscribe()
    first.close()
    first.close()
    hub.subscribe()
    with pytest.raises(TooManySubscribers):
        hub.subscribe()


async def test_closing_ends_every_stream() -> None:
    """A waiting reader ends at once."""
    hub = Hub(BASE)
    seen: list[object] = []

    async def read() -> None:
        with hub.subscribe() as stream:
            seen.extend([event async for event in stream])

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            hub.close()
    assert seen == [Snapshot(BASE)]


async def test_snapshot_plus_changes_is_the_view() -> None:
    """What a client puts together from the stream equals what the supervisor has, whatever changed."""
    views = [
        at_version(2, phases=(PhaseView(name="a", state="active", percent=5.0, soak_s=3.0),)),
        at_version(3, status="held", reason="by operator"),
        at_version(4, kill_switch=True, phases=()),
    ]
    seen = decode_view(msgspec.json.encode(BASE))
    for old, new in zip([BASE, *views], views, strict=False):
        seen = merge_change(seen, msgspec.json.encode(changed_sections(old, new)))
        assert seen == new


async def test_an_unknown_section_is_ignored_and_a_wrong_one_is_named() -> None:
    """A newer supervisor may say more; nonsense is an error that names the type."""
    assert merge_change(BASE, b'{"version": 2, "at": 2.0, "weather": "fine"}') == at_version(2)
    with pytest.raises(msgspec.ValidationError):
        merge_change(BASE, b'{"version": "two"}')


async def test_remembered_receipts_are_bounded() -> None:
    """The oldest key is forgotten first, and would act again."""
    receipts, acted = Receipts(max_keys=2), []

    async def act(action: Action) -> Receipt:
        acted.append(action.key)
        return Receipt(action=action.action, says="ok")

    for key in ("a", "b", "c", "c", "a"):
        await receipts.once(Action(action="advance", key=key), act)
    assert acted == ["a", "b", "c", "a"]
    assert len(receipts) == 2


class Watched(View, frozen=True, kw_only=True, weakref=True):
    """A view whose end can be seen."""


async def test_a_hundred_readers_at_their_own_pace_hold_one_view_each_at_most() -> None:
    """Some read each view, some every tenth, some stop for long: all end at the newest, and no queue grows."""
    hub, kept = Hub(Watched(version=1, at=1.0, plan="p", status="running")), []
    readers = [(index % 10, hub.subscribe()) for index in range(100)]
    for _, reader in readers:
        await anext(reader)
    for version in range(2, 402):
        newer = Watched(version=version, at=float(version), plan="p", status="running")
        kept.append(weakref.ref(newer))
        hub.publish(newer)
        del newer
        for pace, reader in readers:
            if pace and version % pace == 0 and reader._sent is not hub.view:
                await anext(reader)
    assert sum(one() is not None for one in kept) <= len(readers) + 1
    for pace, reader in readers:
        if reader._sent is not hub.view:
            last = await anext(reader)
            assert isinstance(last, Snapshot if pace == 0 else Change)
        assert reader._sent is hub.view
