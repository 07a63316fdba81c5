"""Any schedule of messages, moves, losses and kills: what must always hold."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agt.transport import Barrier, Outcome

steps = st.lists(
    st.one_of(
        st.just(("send",)),
        st.tuples(st.just("percentage"), st.sampled_from([0.0, 100.0])),
        st.tuples(st.just("arrive"), st.sampled_from(["legacy", "reliable"])),
        st.tuples(st.just("answer"), st.sampled_from(["legacy", "reliable"])),
        st.tuples(st.just("lose"), st.sampled_from(["legacy", "reliable"])),
        st.tuples(st.just("drop"), st.sampled_from(["legacy", "reliable"])),
        st.tuples(st.just("connect"), st.sampled_from(["legacy", "reliable"])),
        st.tuples(st.just("time"), st.sampled_from([0.1, 1.5, 5.0])),
        st.just(("kill",)),
        st.just(("unkill",)),
    ),
    max_size=40,
)


def play(world: Any, script: list[tuple[Any, ...]], barrier: Barrier) -> list[Any]:
    """Carry out a script and return the handles of all messages sent."""
    world.add(barrier=barrier)
    deliveries: list[Any] = []
    for name, *arguments in script:
        if name == "send":
            deliveries.append(world.send(deadline_s=20.0))
        else:
            ACTIONS[name](world, *arguments)
        balance(world, deliveries)
    return deliveries


def answer(world: Any, runtime: str) -> None:
    """Everything written arrives and is answered."""
    world.paths["d", runtime].arrive()
    world.paths["d", runtime].answer()


def unkill(world: Any) -> None:
    """The operator puts a selector back."""
    if world.router.killed:
        world.source.put(world.selector(0.0, generation=world.router.status().generation + 1))
        world.router.observe(world.source.read())


ACTIONS = {
    "percentage": lambda world, percentage: None if world.router.killed else world.set(percentage),
    "arrive": lambda world, runtime: world.paths["d", runtime].arrive(),
    "answer": answer,
    "lose": lambda world, runtime: world.paths["d", runtime].lose(),
    "drop": lambda world, runtime: setattr(world.paths["d", runtime], "ready", False),
    "connect": lambda world, runtime: world.paths["d", runtime].connect(),
    "time": lambda world, seconds: world.pass_time(seconds),
    "kill": lambda world: world.router.kill("test"),
    "unkill": unkill,
}


def balance(world: Any, deliveries: list[Any]) -> None:
    """The ledger's promise, at every instant: who has not ended is in flight somewhere, exactly once."""
    counts = world.ledger.totals.values()
    assert sum(each.in_flight for each in counts) == sum(not delivery.done for delivery in deliveries)
    assert all(each.in_flight >= 0 for each in counts)


def finish(world: Any) -> None:
    """Heal everything and let it settle."""
    for path in world.paths.values():
        path.connect()
    for _ in range(4):
        world.pass_time(1.5)
        for path in world.paths.values():
            path.resend()
            path.arrive()
            path.answer()


@settings(max_examples=80, deadline=None)
@given(script=steps, barrier=st.sampled_from(list(Barrier)))
@example(  # A repetition of a written message that has to move once more is nobody's message in flight.
    script=[("send",), ("percentage", 100.0), ("time", 1.5), ("kill",), ("time", 1.5)], barrier=Barrier.SEQUENCE
)
def test_every_message_ends_and_the_ledger_balances(make_world: Any, script: list[Any], barrier: Barrier) -> None:
    """After healing nothing is held or in flight, each handle has ended, every outcome is counted once."""
    world = make_world(0.0)
    deliveries = play(world, script, barrier)
    finish(world)
    assert all(delivery.done for delivery in deliveries)
    totals = world.ledger.totals.values()
    assert all(counts.in_flight == 0 for counts in totals)
    assert sum(counts.settled for counts in totals) == sum(counts.accepted for counts in totals) == len(deliveries)
    assert world.router.status().moves.moving == 0


@settings(max_examples=80, deadline=None)
@given(script=steps)
def test_one_watermark_means_order_and_no_doubles(make_world: Any, script: list[Any]) -> None:
    """On `sequence` the device acts once on each message, in order, and on each that is called delivered."""
    world = make_world(0.0)
    deliveries = play(world, script, Barrier.SEQUENCE)
    finish(world)
    applied = world.devices["d"].applied
    assert applied == sorted(set(applied))
    received = set(world.devices["d"].received)
    for number, delivery in enumerate(deliveries, start=1):
        assert delivery.outcome is not Outcome.DELIVERED or number in received


@settings(max_examples=80, deadline=None)
@given(
    script=st.lists(
        st.sampled_from(
            [
                ("send",),
                ("send",),
                ("percentage", 0.0),
                ("percentage", 100.0),
                ("answer", "legacy"),
                ("answer", "reliable"),
                ("time", 0.1),
            ]
        ),
        max_size=40,
    )
)
def test_without_faults_every_move_is_lossless_and_ordered(make_world: Any, script: list[Any]) -> None:
    """Where answers come in time, each message is acted upon exactly once, in order, on any barrier."""
    world = make_world(0.0)
    deliveries = play(world, script, Barrier.NONE)
    finish(world)
    assert world.devices["d"].applied == list(range(1, len(deliveries) + 1))
    assert {delivery.outcome for delivery in deliveries} <= {Outcome.DELIVERED, Outcome.WRITTEN}
