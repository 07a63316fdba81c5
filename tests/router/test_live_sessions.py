"""Live sessions: where they begin and end, what pins them, and what a restart does to each."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from agt.router import MoveLimits, Override, RestartOrder, RestartReceipt, RestartRefused, SessionStatus
from agt.transport import Barrier, MoveKind

World = Callable[..., Any]


def only(world: Any, **asked: Any) -> SessionStatus:
    """The one session that was asked for."""
    (session,) = world.router.sessions(**asked).sessions
    return session


def restart(world: Any, *names: str, **order: Any) -> RestartReceipt:
    """Restart sessions and return what is known at once."""
    return world.router.restart_sessions(RestartOrder(sessions=names, **order)).receipt()


def pinned_world(make_world: World, barrier: Barrier = Barrier.ACK) -> Any:
    """A session that began on control before the default went to the candidate, held there by a pin."""
    world = make_world(0.0)
    world.add("old", barrier)
    world.set(100.0, pin_live_sessions=True)
    return world


def test_session_begins_when_a_path_first_carries_its_device(world: Any) -> None:
    """Not before: a device that waits for its first attachment has none."""
    path = world.path("d", "legacy", ready=False)
    world.router.attach("d", {"legacy": path})
    assert world.router.sessions().sessions == ()
    path.connect()
    world.pass_time(2.0)
    session = only(world)
    assert (session.session, session.device, session.number, session.runtime) == ("d", "d", 1, "legacy")
    assert session.since == world.clock.now
    world.pass_time(10.0)
    assert only(world).since == world.clock.now - 10.0


def test_pinned_session_says_so_and_what_a_restart_would_do(make_world: World) -> None:
    """Where it is and why, where it would go and how; the new one beside it is not pinned."""
    world = pinned_world(make_world)
    world.add("new")
    world.send("old")
    session = only(world, pinned=True)
    assert (session.session, session.runtime, session.pinned) == ("old", "legacy", True)
    assert session.reason == "live session stays on legacy until it restarts"
    assert (session.at_restart, session.move, session.in_flight) == ("reliable", "warm", 1)
    assert session.at_restart_says.endswith("is below 100 %")
    assert not only(world, runtime="reliable").pinned
    status = world.router.status()
    assert (status.runtimes["legacy"].sessions, status.runtimes["legacy"].pinned) == (1, 1)
    assert (status.runtimes["reliable"].sessions, status.runtimes["reliable"].pinned) == (1, 0)


def test_pin_that_changes_nothing_is_no_pin(make_world: World) -> None:
    """A session that the selector would leave on control anyway isn't counted as pinned."""
    world = make_world(0.0)
    world.add()
    world.set(0.0, pin_live_sessions=True)
    assert not only(world).pinned
    assert restart(world, "d").unchanged == ("d",)


def test_restart_waits_for_the_command_that_is_on_its_way(make_world: World) -> None:
    """New commands wait in order; the answered one stays answered, and the session moves after it."""
    world = pinned_world(make_world)
    legacy, reliable = world.paths["old", "legacy"], world.paths["old", "reliable"]
    world.send("old")
    assert restart(world, "old").moving == ("old",)
    held = world.send("old")
    assert (world.router.runtime_of("old"), reliable.on_wire) == ("legacy", type(reliable.on_wire)())
    legacy.arrive()
    legacy.answer()
    assert world.router.runtime_of("old") == "reliable"
    reliable.arrive()
    reliable.answer()
    assert held.outcome is not None
    assert world.devices["old"].applied == [1, 2]
    session = only(world)
    assert (session.number, session.runtime, session.pinned) == (2, "reliable", False)
    assert world.router.status().sessions.cut == 0


def test_restart_cuts_only_at_the_deadline_and_counts_it(make_world: World) -> None:
    """A command that is never answered holds the session for the drain's time, then it is counted and decided."""
    world = pinned_world(make_world)
    world.send("old")
    done = world.router.restart_sessions(RestartOrder(sessions=("old",)))
    world.pass_time(MoveLimits().forward_drain_s - 0.1)
    assert done.receipt().moving == ("old",)
    world.pass_time(0.2)
    receipt = done.receipt()
    assert (receipt.timed_out, receipt.restarted, receipt.resent) == (("old",), (), 1)
    sessions = world.router.status().sessions
    assert (sessions.cut, sessions.cut_commands, sessions.restarted) == (1, 1, 1)


def test_asking_again_restarts_nothing_twice(make_world: World) -> None:
    """While it drains, and when it is where it belongs: both are left alone."""
    world = pinned_world(make_world)
    first = restart(world, "old")
    again = restart(world, "old")
    assert (first.restarted, again.restarted, again.unchanged) == (("old",), (), ("old",))
    assert only(world).number == 2


def test_order_is_refused_under_another_selector(make_world: World) -> None:
    """A rollback between list and restart stops the restart; nothing is touched."""
    world = pinned_world(make_world)
    generation = world.router.sessions().generation
    world.set(0.0, pin_live_sessions=True)
    with pytest.raises(RestartRefused, match="list the sessions again"):
        restart(world, "old", generation=generation)
    assert only(world).number == 1


def test_dry_run_says_it_and_does_nothing(make_world: World) -> None:
    """Each name in the list that it would end in."""
    world = pinned_world(make_world)
    world.add("new")
    receipt = restart(world, "old", "new", "nobody", dry_run=True)
    assert (receipt.restarted, receipt.unchanged) == (("old",), ("new",))
    assert receipt.refused == {"nobody": "no such session"}
    assert [session.number for session in world.router.sessions().sessions] == [1, 1]


def test_kill_breaks_pins_and_takes_a_restart_over(make_world: World) -> None:
    """A session on its way to the candidate is turned back; the receipt ends all the same."""
    world = pinned_world(make_world)
    world.add("new")
    world.send("old")
    done = world.router.restart_sessions(RestartOrder(sessions=("old",)))
    world.router.kill("test")
    assert world.router.runtime_of("new") == "legacy"
    world.paths["old", "legacy"].arrive()
    world.paths["old", "legacy"].answer()
    assert (world.router.runtime_of("old"), done.receipt().moving) == ("legacy", ())
    assert [session.pinned for session in world.router.sessions().sessions] == [False, False]


def test_restart_without_a_candidate_attachment_waits_on_control(make_world: World) -> None:
    """The pin is gone: the next session is the candidate's, and moves by itself when that is attached."""
    world = make_world(0.0)
    world.router.attach("d", {"legacy": world.path("d", "legacy")})
    world.set(100.0, pin_live_sessions=True)
    session = only(world)
    assert (session.at_restart, session.move) == ("legacy", "redial")
    assert session.at_restart_says.endswith("waits on legacy until its reliable attachment is up")
    assert restart(world, "d").waiting == ("d",)
    assert (only(world).number, only(world).pinned) == (2, False)
    assert restart(world, "d").unchanged == ("d",)
    world.router.attach("d", {"reliable": world.path("d", "reliable")})
    assert world.router.runtime_of("d") == "reliable"


def test_new_session_that_dials_control_first_is_not_pinned_there(make_world: World) -> None:
    """It only waits for its other attachment; a pin holds what was placed on control, not what passes through."""
    world = make_world(100.0, pin_live_sessions=True)
    world.router.attach("d", {"legacy": world.path("d", "legacy")})
    assert (only(world).runtime, only(world).pinned) == ("legacy", False)
    world.router.attach("d", {"reliable": world.path("d", "reliable")})
    assert world.router.runtime_of("d") == "reliable"


def test_redial_closes_the_attachments_only_when_drained(make_world: World) -> None:
    """What came meanwhile waits for the device; the next session begins when it has dialled again."""
    world = make_world(0.0)
    legacy, reliable = world.add()
    world.send()
    done = world.router.restart_sessions(RestartOrder(sessions=("d",), redial=True))
    held = world.send()
    assert legacy.closed == []
    legacy.arrive()
    legacy.answer()
    assert legacy.closed == reliable.closed == ["the session restarts"]
    assert (done.receipt().waiting, held.done) == (("d",), False)
    legacy.connect()
    world.pass_time(1.0)
    assert (done.receipt().restarted, held.done, only(world).number) == (("d",), True, 2)


def test_redial_goes_on_when_the_selector_turns_in_the_middle(make_world: World) -> None:
    """There and back again while it drains: it is closed all the same, and ends where it belongs at last."""
    world = make_world(0.0)
    legacy, _ = world.add()
    world.send()
    world.router.restart_sessions(RestartOrder(sessions=("d",), redial=True))
    for percentage in (100.0, 0.0, 100.0):
        world.set(percentage)
        assert (world.router.runtime_of("d"), legacy.closed) == ("legacy", [])
    legacy.arrive()
    legacy.answer()
    assert legacy.closed == ["the session restarts"]
    world.paths["d", "reliable"].connect()
    world.pass_time(1.0)
    assert world.router.runtime_of("d") == "reliable"


def test_device_that_moves_by_redial_is_closed_when_its_place_is_elsewhere(make_world: World) -> None:
    """One attachment at a time: it leaves control, dials, and is on the candidate."""
    world = make_world(0.0)
    legacy = world.path("d", "legacy")
    legacy.move = MoveKind.REDIAL
    world.router.attach("d", {"legacy": legacy})
    world.set(100.0, pin_live_sessions=True)
    assert restart(world, "d").waiting == ("d",)
    assert legacy.closed == ["the session restarts"]
    world.router.detach("d", {"legacy": legacy})
    world.router.attach("d", {"reliable": world.path("d", "reliable")})
    assert (world.router.runtime_of("d"), only(world).number) == ("reliable", 2)


def test_redial_is_refused_where_nobody_can_close(make_world: World) -> None:
    """A path of one's own without `close`: one clear sentence, and nothing is touched."""
    world = make_world(0.0)
    world.add()
    device = world.router._state.devices["d"]
    device.path, device.other = object(), None  # Somebody's own path, which has no `close`.
    assert "can close" in restart(world, "d", redial=True, dry_run=True).refused["d"]


@pytest.mark.parametrize("away_s", [29.0, 31.0])
def test_short_absence_is_the_same_session_and_a_long_one_is_not(make_world: World, away_s: float) -> None:
    """A dropped connection doesn't end a session, half a minute without one does: then it is placed anew."""
    world = pinned_world(make_world)
    paths = dict(world.router._state.devices["old"].paths)
    world.router.detach("old", paths)
    world.pass_time(away_s)
    gone = away_s > 30
    assert len(world.router.sessions().sessions) == (0 if gone else 1)
    world.router.attach("old", paths)
    assert (world.router.runtime_of("old"), only(world).number) == (("reliable", 2) if gone else ("legacy", 1))


def test_another_session_name_begins_another_session(make_world: World) -> None:
    """The cohort may name sessions; under a new name the device is placed anew, between commands."""
    world = make_world(0.0, cohort=("session-beta",))
    legacy, reliable = world.path("d", "legacy"), world.path("d", "reliable")
    world.router.attach("d", {"legacy": legacy, "reliable": reliable}, session="session-alpha")
    assert only(world).session == "session-alpha"
    world.send()
    world.router.attach("d", {}, session="session-beta")
    assert world.router.runtime_of("d") == "legacy"
    legacy.arrive()
    legacy.answer()
    session = only(world)
    assert (session.session, session.runtime, session.number) == ("session-beta", "reliable", 2)
    assert restart(world, "session-beta").unchanged == ("session-beta",)


def test_application_ends_a_session_that_keeps_its_attachments(make_world: World) -> None:
    """A log-out: the pin goes, the next one is placed anew; where nothing changes it begins in its place."""
    world = pinned_world(make_world)
    world.router.end_session("old")
    assert (world.router.runtime_of("old"), only(world).number) == ("reliable", 2)
    world.router.end_session("old")
    world.router.end_session("nobody")
    assert (world.router.runtime_of("old"), only(world).number) == ("reliable", 3)


def test_override_beats_a_pin(make_world: World) -> None:
    """Selection in its order: forced by name goes before held in place."""
    world = pinned_world(make_world)
    forced = Override(device="old", runtime="reliable", owner="ana")
    selector = world.selector(100.0, generation=9, pin_live_sessions=True)
    world.router.apply(msgspec.structs.replace(selector, overrides=(forced,)))
    assert (world.router.runtime_of("old"), only(world).pinned) == ("reliable", False)


def test_pages_are_bounded_and_complete(make_world: World) -> None:
    """By device, each once, whatever the size of the page; the filter counts all."""
    world = make_world(50.0)
    names = [f"d{number:03}" for number in range(25)]
    for name in names:
        world.add(name)
    seen, after = [], ""
    while True:
        page = world.router.sessions(after=after, limit=10)
        assert page.total == 25
        seen += [session.device for session in page.sessions]
        after = page.after
        if not after:
            break
    assert seen == names
    on = {runtime: world.router.sessions(runtime=runtime).total for runtime in ("legacy", "reliable")}
    assert sum(on.values()) == 25
    assert on["legacy"] == world.router.status().runtimes["legacy"].sessions
