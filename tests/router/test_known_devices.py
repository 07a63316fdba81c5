"""Devices that a router knows: decided by what they carry, exactly as the rules say, and light enough for a million."""

import gc
import tracemalloc
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from agt.router import (
    MemorySelector,
    Message,
    Override,
    Route,
    Router,
    Runtimes,
    Selector,
    decide,
)
from agt.router._rare import Rare
from agt.router.testing import ManualClock, ScriptedPath

RUNTIMES = Runtimes(control="legacy", candidate="reliable")
NAMES = tuple(f"device-{number}" for number in range(10))
NOW = datetime(2026, 3, 1, tzinfo=UTC)

routes = st.builds(
    Route,
    enabled=st.booleans(),
    kill_switch=st.booleans(),
    percentage=st.sampled_from((0.0, 0.01, 10.0, 50.0, 99.99, 100.0)),
    salt=st.sampled_from(("", "second")),
    cohort=st.lists(st.sampled_from((*NAMES, "session-1")), max_size=3, unique=True).map(tuple),
    pin_live_sessions=st.booleans(),
)
overrides = st.lists(
    st.builds(
        Override,
        device=st.sampled_from(NAMES),
        runtime=st.sampled_from(("legacy", "reliable")),
        owner=st.just("somebody"),
        expires=st.sampled_from((None, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))),
    ),
    max_size=3,
    unique_by=lambda override: override.device,
).map(tuple)
selectors = st.builds(
    Selector,
    runtimes=st.just(RUNTIMES),
    runtime=routes,
    overrides=overrides,
    components=st.sampled_from(({}, {"lamps": True}, {"lamps": False})),
    modes=st.sampled_from(({}, {"internet": False})),
)


def router_at(selector: Selector) -> Router:
    """A router that stands still."""
    return Router(MemorySelector(selector), runtimes=RUNTIMES, clock=ManualClock(), wall=NOW.timestamp)


@given(
    before=selectors,
    after=selectors,
    up=st.booleans(),
    component=st.sampled_from((None, "lamps")),
    session=st.sampled_from((None, "session-1")),
    mode=st.sampled_from((None, "internet")),
)
def test_a_known_device_is_decided_as_the_rules_say(
    before: Selector, after: Selector, up: bool, component: str | None, session: str | None, mode: str | None
) -> None:
    """Whatever it carries with it, and whatever changes: position under another salt, names, pins, vetoes, modes."""
    router = router_at(before)
    clock = ManualClock()
    for name in NAMES:
        paths = {"legacy": ScriptedPath(clock, legacy=True), "reliable": ScriptedPath(clock, ready=up)}
        router.attach(name, paths, component=component, session=session)
    router.set_mode(mode)
    router.apply(after)
    for line in router.devices():
        known = router._state.devices[line.device]
        asked = router._state.subject(known, now=NOW.timestamp())
        expected = decide(
            after,
            line.device,
            component=component,
            session=session,
            mode=mode,
            now=NOW.timestamp(),
            live_on=asked.live_on,
            candidate_ready=asked.candidate_ready,
        )
        assert router.chosen(line.device) == expected.runtime, expected


def test_a_known_device_weighs_less_than_200_bytes() -> None:
    """Its slots and its place in the table; its name and its paths are somebody else's."""
    router = router_at(Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=50.0)))
    names = [f"device-{number:05}" for number in range(5461)]  # What a table of 8,192 places takes at most.
    clock = ManualClock()
    paths = {"legacy": ScriptedPath(clock, legacy=True), "reliable": ScriptedPath(clock)}
    router.attach("first", paths)
    gc.collect()
    tracemalloc.start()
    try:
        for name in names:
            router.attach(name, paths)
        gc.collect()
        weighed, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert weighed / len(names) < 200


def test_a_device_that_came_back_and_moved_weighs_what_it_did() -> None:
    """Nothing that only a move or an absence needs is left behind."""
    selector = Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=0.0))
    router = router_at(selector)
    clock = ManualClock()
    paths = {"legacy": ScriptedPath(clock, legacy=True), "reliable": ScriptedPath(clock)}
    router.attach("d", paths)
    router.detach("d", paths)
    assert router.send(Message("d", 1, b"on")).outcome is None, "it waits for the device to come back"
    router.attach("d", paths)
    router.apply(selector.with_route(percentage=100.0))
    paths["legacy"].answer()
    assert router.runtime_of("d") == "reliable"
    assert router._state.devices["d"].aside is None


def test_what_is_rare_costs_nothing_where_it_is_not() -> None:
    """Defaults are not kept, containers are kept as soon as somebody could change them, the last one goes with all."""

    class Thing:
        number = Rare(int)
        items = Rare[list[int]](list)

        def __init__(self) -> None:
            self.aside = None

    thing, other = Thing(), Thing()
    assert (thing.number, thing.aside) == (0, None)
    thing.number = 3
    thing.items.append(1)
    assert (thing.number, thing.items, other.items) == (3, [1], [])
    thing.number = 0
    assert thing.aside == {"items": [1]}
    lone = Thing()
    lone.number = 1
    lone.number = 0
    assert lone.aside is None
