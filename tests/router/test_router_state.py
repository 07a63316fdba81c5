"""What a router makes of its selector, its latch and its clock."""

import datetime
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import pytest

from agt.router import (
    MemorySelector,
    Override,
    Problem,
    Route,
    Router,
    Runtimes,
    Selector,
    SelectorFile,
    SelectorInvalid,
    SelectorKilled,
    SelectorReading,
    SelectorState,
    order,
)
from agt.router.testing import ManualClock, ScriptedPath
from agt.transport import Barrier

RUNTIMES = Runtimes(control="legacy", candidate="reliable")


def ok(world: Any, percentage: float, generation: int) -> SelectorReading:
    """A look that found a selector."""
    return SelectorReading(SelectorState.OK, world.selector(percentage, generation=generation))


def test_bad_selector_changes_nothing_and_is_named(world: Any) -> None:
    """The last good one stays in force; status says what is wrong."""
    world.set(100.0)
    world.add()
    world.router.observe(SelectorReading(SelectorState.BAD, problems=(Problem("runtime.x", "unknown key"),)))
    status = world.router.status()
    assert (status.selector, status.problems) == ("bad", ("runtime.x: unknown key",))
    assert world.router.runtime_of("d") == "reliable"


def test_missing_selector_sends_everything_to_control(world: Any) -> None:
    """No readable selector is control, and a selector put there is taken whatever its number."""
    world.set(100.0)
    world.add()
    world.router.observe(SelectorReading(SelectorState.MISSING, says="gone"))
    assert world.router.runtime_of("d") == "legacy"
    assert not world.router.killed
    world.router.observe(ok(world, 100.0, 1))
    assert world.router.runtime_of("d") == "reliable"


def test_bad_selector_at_start_is_control() -> None:
    """There is nothing older to keep."""

    class Broken:
        def read(self) -> SelectorReading:
            return SelectorReading(SelectorState.BAD, says="is not TOML")

        def kill(self) -> bool:
            return True

    router = Router(Broken(), runtimes=RUNTIMES)
    assert router.explain("a").reason == "no readable selector"


def test_older_selector_is_refused_in_words(world: Any) -> None:
    """A file that was restored from a backup doesn't undo newer generations."""
    world.set(100.0)
    assert "generation 1 is older than 2" in world.router.observe(ok(world, 50.0, 1))
    assert world.router.status().percentage == 100.0


def test_selector_without_a_number_counts_as_the_next(world: Any) -> None:
    """Written by hand: applied once, under the next generation, however often it is read."""
    for _ in range(3):
        world.router.observe(ok(world, 50.0, 0))
    status = world.router.status()
    assert (status.percentage, status.generation) == (50.0, 2)


def test_selector_of_other_runtimes_is_refused(world: Any) -> None:
    """Names that nobody attaches under would route into nothing."""
    other = Selector(runtimes=Runtimes(control="v4", candidate="v5"), generation=9, runtime=Route(enabled=True))
    with pytest.raises(SelectorInvalid, match="names v4 and v5, but this router carries legacy and reliable"):
        world.router.apply(other)
    assert "names v4 and v5" in world.router.observe(SelectorReading(SelectorState.OK, other))
    assert world.router.status().generation == 1


def test_kill_latches_until_a_selector_is_put_there_again(world: Any) -> None:
    """Neither memory nor a late look at the old state ends it."""
    world.set(100.0)
    world.add()
    receipt = world.router.kill("by ana").receipt()
    assert receipt.latched
    assert world.router.runtime_of("d") == "legacy"
    with pytest.raises(SelectorKilled):
        world.set(100.0)
    world.router.observe(world.source.read())
    assert world.router.killed == "by ana"
    assert world.router.status().percentage == 0.0
    world.source.put(world.selector(100.0, generation=3))
    world.router.observe(world.source.read())
    assert not world.router.killed
    assert world.router.runtime_of("d") == "reliable"


def test_kill_whose_file_could_not_be_moved_still_latches(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is enough; the file that was there before doesn't end it, a newer one does."""
    monkeypatch.setattr(world.source, "kill", lambda: False)
    world.add()
    receipt = world.router.kill("by ana").receipt()
    assert not receipt.latched
    assert "was there before" in world.router.observe(ok(world, 100.0, 1))
    assert world.router.killed
    world.router.observe(ok(world, 100.0, 2))
    assert not world.router.killed


def test_latch_outlives_a_restart(tmp_path: Any) -> None:
    """A router that starts beside a killed selector is on control and says why."""
    file = SelectorFile(tmp_path / "selector.toml")
    file.write(Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=100.0)), expected=0)
    Router(file, runtimes=RUNTIMES).kill("by ana")
    again = Router(file, runtimes=RUNTIMES)
    assert again.killed == "kill switch is on: selector.toml.killed"
    assert again.explain("a").runtime == "legacy"
    killed = file.killed_selector()
    assert killed is not None
    file.write(killed, expected=killed.generation, after_kill=True)
    assert not Router(file, runtimes=RUNTIMES).killed


def test_environment_moves_devices_at_once(world: Any) -> None:
    """Setting a variable to 0 works on a live router."""
    world.set(100.0)
    world.add()
    world.router.set_environment({"CANARY_PERCENTAGE": "0"})
    assert world.router.runtime_of("d") == "legacy"
    status = world.router.status()
    assert (status.percentage, status.environment) == (0.0, {"percentage": "CANARY_PERCENTAGE=0"})
    assert [switch.says for switch in status.switches] == ["percentage 100 -> 0 (CANARY_PERCENTAGE=0)"]
    world.router.set_environment({}, "line 1 is not NAME=value")
    assert world.router.status().problems == ("agt.env: line 1 is not NAME=value",)


def test_live_sessions_on_control_stay_where_pins_say_so(make_world: Callable[..., Any]) -> None:
    """Document 001: new sessions take the candidate, old ones until they restart."""
    world = make_world(0.0)
    world.add("old")
    world.set(100.0, pin_live_sessions=True)
    world.add("new")
    assert (world.router.runtime_of("old"), world.router.runtime_of("new")) == ("legacy", "reliable")
    world.router.detach("old")
    world.add("old")
    assert world.router.runtime_of("old") == "reliable"


def test_override_ends_by_itself(make_world: Callable[..., Any]) -> None:
    """Its expiry is watched on the wall clock."""
    world = make_world(100.0)
    expires = datetime.datetime.fromtimestamp(world.clock.now + 60, datetime.UTC)
    override = Override(device="d", runtime="legacy", owner="ana", expires=expires)
    selector = Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=100.0), overrides=(override,))
    world.router.apply(selector)
    world.add()
    assert world.router.runtime_of("d") == "legacy"
    world.pass_time(61.0)
    assert world.router.runtime_of("d") == "reliable"


def test_preview_counts_what_would_move_and_changes_nothing(make_world: Callable[..., Any]) -> None:
    """Moves by kind, and how many messages could not be confirmed."""
    world = make_world(0.0)
    for name in ("a", "b", "c"):
        world.add(name)
        world.send(name)
    preview = world.router.preview(world.selector(21.0))
    assert (preview.moves, preview.to_candidate, preview.unconfirmed) == (1, 1, 1)
    assert (preview.in_flight, preview.queued, preview.waiting) == (1, 0, 0)
    assert preview.devices == ("a",)
    assert preview.by_kind == {"warm": 1}
    assert world.router.status().runtimes["reliable"].devices == 0
    assert world.set(21.0).receipt().moving == preview.moves


def test_preview_names_at_most_a_hundred_and_counts_all(make_world: Callable[..., Any]) -> None:
    """Sorted, the first hundred; devices without a candidate attachment are counted apart: they don't move yet."""
    world = make_world(0.0)
    for number in range(150):
        world.add(f"d{number:03}", Barrier.SEQUENCE)
    world.router.attach("late", {"legacy": world.path("late", "legacy")})
    world.send("d000")
    preview = world.router.preview(world.selector(100.0))
    assert (preview.moves, preview.waiting, len(preview.devices)) == (150, 1, 100)
    assert preview.devices == tuple(f"d{number:03}" for number in range(100))
    assert (preview.in_flight, preview.unconfirmed) == (1, 0)


def test_devices_are_counted_out_in_order(make_world: Callable[..., Any]) -> None:
    """The first of those that a share can take; overrides count apart, one without attachment counts."""
    world = make_world(0.0)
    names = [f"d{number}" for number in range(20)]
    for name in names:
        world.add(name)
    world.router.attach("late", {"legacy": world.path("late", "legacy")})
    forced = tuple(
        Override(device=device, runtime=runtime, owner="ana")
        for device, runtime in (("d0", "reliable"), ("d1", "legacy"))
    )
    selector = msgspec.structs.replace(world.selector(0.0, generation=2), overrides=forced)
    world.router.apply(selector)
    found = world.router.in_order(5)
    others = sorted({*names, "late"} - {"d0", "d1"}, key=order)
    assert (found.by_name, found.total, found.devices) == (1, len(others), tuple(others[:5]))
    world.router.apply(selector.with_route(percentage=None, up_to=others[4]).at_generation(3))
    on = {name for name in (*names, "late") if world.router.explain(name).runtime == "reliable"}
    assert on == {"d0", *others[:5]} - {"late"}


def test_carried_seconds_count_only_settled_time_with_devices(make_world: Callable[..., Any]) -> None:
    """No device, a drain under way, a kill: none of them is soak."""
    world = make_world(0.0)
    world.pass_time(10.0)
    assert world.router.status().carried_s == {}
    _, reliable = world.add()
    world.pass_time(10.0)
    world.set(100.0)
    world.send()
    world.pass_time(5.0)
    world.set(0.0)
    world.pass_time(2.0)
    status = world.router.status()
    assert status.carried_s == {"1": 10.0, "2": 5.0}
    assert (status.generation, status.settled_generation) == (3, 2)
    reliable.answer()
    world.pass_time(7.0)
    world.router.kill("test")
    world.pass_time(50.0)
    assert world.router.status().carried_s == {"1": 10.0, "2": 5.0, "3": 7.0}


def test_legacy_users_are_named(make_world: Callable[..., Any]) -> None:
    """Deprecation needs to know who is left."""
    world = make_world(21.0)
    for name in ("a", "b", "c"):
        world.add(name)
    assert world.router.status().legacy_users == ("b", "c")


def test_device_lines_say_where_and_why(make_world: Callable[..., Any]) -> None:
    """One line a device, with reason, attachments and its own counts."""
    world = make_world(21.0)
    world.add("a")
    world.send("a")
    (line,) = world.router.devices()
    assert (line.device, line.runtime, line.state, line.in_flight) == ("a", "reliable", "carrying", 1)
    assert line.reason == "position 20.22 is below 21 %"
    assert line.attachments == ("legacy", "reliable")
    assert line.ledger["reliable"].accepted == 1


def test_unknown_runtime_cannot_be_attached(world: Any) -> None:
    """A wrong name is the caller's mistake, told at once."""
    with pytest.raises(ValueError, match="unknown runtime 'v5'; there are legacy and reliable"):
        world.router.attach("d", {"v5": world.path("d", "reliable")})


async def test_run_moves_what_no_callback_moved() -> None:
    """The one timer notices a drain's end and an attachment that came up, on either backend."""
    source = MemorySelector(Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=100.0)))
    router = Router(source, runtimes=RUNTIMES, clock=anyio.current_time)
    path = ScriptedPath(ManualClock(), ready=False)
    router.attach("d", {"legacy": ScriptedPath(ManualClock(), legacy=True), "reliable": path})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(router.run)
        await anyio.wait_all_tasks_blocked()
        path.ready = True
        with anyio.fail_after(5):
            while router.runtime_of("d") != "reliable":
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
