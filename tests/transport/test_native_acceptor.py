"""Who is let in: greetings, claims on a name, the acceptor's bounds, and the table of a connection's states."""

import random
from pathlib import Path

import pytest

from agt.transport import Delivered, Dropped, Outcome, Received, Settled
from agt.transport.wires.native import FrameType, NativeAcceptor, NativeConfig, NativeLink, Refused, encode_frame
from agt.transport.wires.native._claims import CLAIM_S, Claims
from agt.transport.wires.native._states import ALLOWED_FRAMES, NEXT, State, Step


def test_an_older_process_of_the_same_name_is_fenced_for_good() -> None:
    """The newer claim counts once answered; the older one is told so and settles everything at once."""
    config = NativeConfig()
    rng = random.Random(3)
    acceptor = NativeAcceptor("gateway", rng=rng, config=config)
    old, new = (NativeLink("device", rng=rng) for _ in range(2))

    def dial(link: NativeLink) -> None:
        link.connection_made(now=0.0)
        greeting = acceptor.greeting(now=0.0)
        greeting.receive_data(link.data_to_send(now=0.0))
        try:
            accepted = acceptor.admit(greeting)
        except Refused as refused:
            link.receive_data(refused.reply, now=0.0)
            return
        accepted.connection_made(now=0.0)
        accepted.receive_data(greeting.data, now=0.0)
        link.receive_data(accepted.data_to_send(now=0.0), now=0.0)
        accepted.receive_data(link.data_to_send(now=0.0), now=0.0)

    dial(old)
    old.connection_lost(now=0.0)
    dial(new)
    old.send(b"x", now=0.0, deadline=30.0)
    dial(old)
    events = []
    while (event := old.next_event()) is not None:
        events.append(event)
    assert any(isinstance(event, Dropped) and event.final and "stale generation" in event.reason for event in events)
    assert [event.outcome for event in events if isinstance(event, Settled)] == [Outcome.NOT_DELIVERED]
    assert new.state is State.OPEN
    assert (old.generation, new.generation) == (1, 2)


def test_an_unanswered_claim_shuts_nobody_out() -> None:
    """A hello that outlived its process takes the name for a moment, not for good."""
    claims = Claims()
    assert claims.claim(epoch=1, brought=0, now=0.0) == 1
    claims.confirm()
    assert claims.claim(epoch=9, brought=0, now=5.0) == 2
    assert not claims.refuses(1, 1)
    assert claims.wait_s(1, 1, now=5.5) == CLAIM_S - 0.5
    assert claims.wait_s(9, 2, now=5.5) == 0, "nobody waits for itself"
    assert claims.wait_s(7, 0, now=5.5) == 0, "nor for an older one"
    assert claims.wait_s(1, 1, now=5.0 + CLAIM_S) == 0
    assert claims.claim(epoch=1, brought=1, now=7.0) == 1
    claims.claim(epoch=9, brought=2, now=8.0)
    claims.confirm()
    assert claims.wait_s(1, 1, now=8.0) == 0
    assert claims.refuses(1, 1)
    assert Claims(floor=50).claim(epoch=3, brought=0, now=0.0) == 51


def test_an_older_process_that_dials_again_at_once_does_not_take_the_name_back() -> None:
    """It is told to wait while the newer one's answer is on its way; what the newer one has sent is delivered."""
    rng = random.Random(3)
    acceptor = NativeAcceptor("gateway", rng=rng)
    old, new = (NativeLink("device", rng=rng) for _ in range(2))

    def hello(link: NativeLink, now: float) -> NativeLink:
        link.connection_made(now=now)
        greeting = acceptor.greeting(now=now)
        greeting.receive_data(link.data_to_send(now=now))
        accepted = acceptor.admit(greeting)
        accepted.connection_made(now=now)
        accepted.receive_data(greeting.data, now=now)
        return accepted

    def rest(link: NativeLink, accepted: NativeLink, now: float) -> None:
        for _ in range(3):
            link.receive_data(accepted.data_to_send(now=now), now=now)
            accepted.receive_data(link.data_to_send(now=now), now=now)

    rest(old, hello(old, 0.0), 0.0)
    message = new.send(b"x", now=1.0, deadline=30.0)
    accepted = hello(new, 1.0)
    with pytest.raises(Refused, match="a newer process of device is being let in") as refused:
        hello(old, 1.25)
    old.receive_data(refused.value.reply, now=1.25)
    rest(new, accepted, 1.5)
    received = [event for event in iter(accepted.next_event, None) if isinstance(event, Received)]
    accepted.acknowledge(received[0].token, now=1.5)
    rest(new, accepted, 1.5)
    delivered = [event.messages for event in iter(new.next_event, None) if isinstance(event, Delivered)]
    assert delivered == [[message]]
    told = [event for event in iter(old.next_event, None) if isinstance(event, Dropped)]
    assert [(event.final, event.retry_after_s) for event in told] == [(False, CLAIM_S - 0.25)]
    with pytest.raises(Refused, match="stale generation"):
        hello(old, 1.25 + told[0].retry_after_s)


def test_the_acceptor_bounds_its_senders_and_forgets_the_idle_first() -> None:
    """With no room, a connected sender stays and the quiet one makes way; with none quiet, the caller is refused."""
    rng = random.Random(1)
    acceptor = NativeAcceptor("gateway", rng=rng, config=NativeConfig(max_senders=2))

    def call(name: str) -> NativeLink:
        caller = NativeLink(name, rng=rng)
        caller.connection_made(now=0.0)
        greeting = acceptor.greeting(now=0.0)
        greeting.receive_data(caller.data_to_send(now=0.0))
        link = acceptor.admit(greeting)
        link.connection_made(now=0.0)
        link.receive_data(greeting.data, now=0.0)
        return link

    first, quiet = call("a"), call("b")
    quiet.connection_lost(now=0.0)
    call("c")
    assert len(acceptor) == 2
    assert acceptor.link_of("a") is first
    assert acceptor.link_of("b") is None
    with pytest.raises(Refused, match="2 senders"):
        call("d")


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n\r\nand more of it", encode_frame(FrameType.PING, 1), b"\x00" * 40]
)
def test_a_stranger_is_refused_before_any_state_is_made(first: bytes) -> None:
    """What is no hello gets an answer in words and no link."""
    acceptor = NativeAcceptor("gateway", rng=random.Random(1))
    with pytest.raises(Refused) as refused:
        acceptor.greeting(now=0.0).receive_data(first)
    assert refused.value.reply[8] == FrameType.GO_AWAY
    assert len(acceptor) == 0


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("step", Step)
def test_steps_that_are_not_in_the_table_are_refused(state: State, step: Step) -> None:
    """The table is the machine: every pair that is missing is illegal and leaves the state as it was."""
    link = NativeLink("device", rng=random.Random(1))
    link._state = state
    if (state, step) in NEXT:
        link._to(step)
        assert link.state is NEXT[state, step]
    else:
        with pytest.raises(KeyError):
            link._to(step)
        assert link.state is state


def test_every_state_can_be_reached_and_left() -> None:
    """No state is dead, none is a trap, and frames are only taken where there is a connection."""
    assert set(NEXT.values()) == set(State)
    assert {state for state, _ in NEXT} == set(State)
    assert {state for state, kinds in ALLOWED_FRAMES.items() if not kinds} == {State.IDLE, State.ENDED}


def test_the_specification_shows_the_same_table_as_the_code() -> None:
    """The states written down for implementers are the ones that run."""
    page = Path(__file__).parents[2] / "docs" / "architecture" / "protocol-specification.md"
    section = page.read_text().split("## States of one connection")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    assert rows[2:] == [[state.value, step.value, target.value] for (state, step), target in NEXT.items()]
