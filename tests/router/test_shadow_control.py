"""A candidate's twin that is slow, hung, broken or talks too much costs control nothing, and memory a known amount.

Nothing here looks at a wall clock: work is counted in function calls, time is a clock moved by hand.
"""

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from agt.router import Message, Shadow
from agt.router.shadow import Answered, json_fields, report
from agt.router.shadow._pair import Pair
from agt.router.shadow._shadow import SHADOW_BATCH, SHADOW_TURN_S
from agt.router.shadow._tally import EXAMPLES_MAX, FIELDS_MAX, QUIET_MAX
from agt.router.shadow._twin import REST_MAX_S, SLOW_S
from agt.router.testing import ManualClock
from agt.transport import Delivery, Outcome, QueueFull

OFFER_CALLS_MAX = 12
"""Function calls that a mirrored message may add to a send, whatever state its twin is in."""
QUEUE = 500


class Hung:
    """Takes everything, keeps it, and answers nothing."""

    def __init__(self) -> None:
        self.kept: list[Delivery] = []

    def send(self, _: Message) -> Delivery:
        """Never settles."""
        self.kept.append(Answered())
        return self.kept[-1]


class Raising:
    """Falls over."""

    def send(self, _: Message) -> Delivery:
        """Raise."""
        raise RuntimeError("no")


class Full:
    """Has no room."""

    def send(self, _: Message) -> Delivery:
        """Refuse."""
        raise QueueFull("the twin", 0)


class Prompt:
    """Answers at once, with whatever it is told to say."""

    def __init__(self, say: Callable[[int], bytes] = lambda _: b"ok") -> None:
        self.say = say
        self.taken = 0

    def send(self, message: Message) -> Delivery:
        """Answer."""
        self.taken += 1
        delivery = Answered()
        delivery.reply = self.say(message.number)
        delivery.settle(Outcome.DELIVERED)
        return delivery


def message(number: int) -> Message:
    """A message."""
    return Message("d", number, b"set %d 1" % number)


def carried() -> Delivery:
    """A message that control has written."""
    delivery = Delivery()
    delivery.runtime = "legacy"
    delivery.settle(Outcome.WRITTEN)
    return delivery


def calls_of(action: Callable[[], object]) -> int:
    """Count the function calls that something takes, built-in ones too."""
    count = 0

    def profile(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    gc.disable()  # A collection may call what other tests left behind.
    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


@pytest.mark.parametrize("reply_wait", [False, True])
@pytest.mark.parametrize("twin", [Hung(), Raising(), Full(), Prompt()], ids=lambda twin: type(twin).__name__)
def test_offering_is_the_same_small_work_in_every_state(twin: Any, reply_wait: bool) -> None:
    """With an empty queue, a full one, a twin that has failed for a while: a handful of calls, never more."""
    clock = ManualClock()
    shadow = Shadow({"reliable": twin}, queue_max=QUEUE, clock=clock, reply_wait=reply_wait)
    worst = 0
    for number in range(3 * QUEUE):
        handle, one = carried(), message(number)
        worst = max(worst, calls_of(lambda one=one, handle=handle: shadow.offer("reliable", one, handle)))
        if number % 100 == 0:
            shadow.pump()
        assert shadow.held <= QUEUE
    assert worst <= OFFER_CALLS_MAX


def test_the_routers_send_does_not_ask_the_twin(make_world: Any) -> None:
    """A send under dark launch takes as many calls with a broken twin as with none, but for the offer."""

    def cost(twin: Any) -> int:
        world = make_world(0.0, shadow="candidate")
        world.add()
        if twin is not None:
            world.router._state.shadow.twins["reliable"] = twin
        for _ in range(50):
            world.send()
            world.router.handle_timer()
        one = world.message()
        return calls_of(lambda: world.router.send(one))

    alone = cost(None)
    for twin in (Hung(), Raising(), Full(), Prompt()):
        assert cost(twin) <= alone + OFFER_CALLS_MAX


def test_a_hung_twin_holds_a_bounded_amount_and_is_given_up() -> None:
    """Its handles never settle: the oldest are ended by their time, and nothing of them is left."""
    clock = ManualClock()
    twin = Hung()
    shadow = Shadow({"reliable": twin}, queue_max=QUEUE, clock=clock, timeout_s=10.0)
    before = living_pairs()
    for number in range(20 * QUEUE):
        shadow.offer("reliable", message(number), carried())
        if number % 50 == 0:
            shadow.pump()
    assert living_pairs() - before <= QUEUE
    assert shadow.counts.shed["queue"] >= 18 * QUEUE
    assert shadow.next_deadline() == clock() + 10.0
    clock.advance(10.0)
    while shadow.next_deadline() <= clock() or shadow.waiting:
        shadow.pump()
    clock.advance(10.0)
    while shadow.next_deadline() <= clock():
        shadow.pump()
    assert (shadow.held, living_pairs() - before) == (0, 0)
    (tried,) = report(shadow, wall=0.0).runtimes
    assert tried.errors == tried.compared == shadow.counts.timed_out
    assert tried.fields[0].examples[0].tried == "unanswered"
    for delivery in twin.kept:
        delivery.settle(Outcome.DELIVERED)
    assert shadow.waiting == 0, "too late: that was counted"


def living_pairs() -> int:
    """How many mirrored messages are in memory."""
    gc.collect()
    return sum(isinstance(one, Pair) for one in gc.get_objects())


def test_a_turn_is_bounded_in_number_and_in_time() -> None:
    """However much waits, the loop gets its turn back."""
    clock, quick = ManualClock(), Prompt()
    shadow = Shadow({"reliable": quick}, clock=clock)
    for number in range(900):
        shadow.offer("reliable", message(number), carried())
    shadow.pump()
    assert quick.taken == SHADOW_BATCH

    class Slow(Prompt):
        def send(self, message: Message) -> Delivery:
            clock.advance(SHADOW_TURN_S / 2)
            return super().send(message)

    slow = shadow.twins["reliable"] = Slow()
    shadow.pump()
    assert slow.taken <= 3


def test_a_twin_that_takes_long_to_accept_is_asked_less_and_less() -> None:
    """It would hold up the loop that control runs on: three calls, then one after each rest, which doubles."""
    clock = ManualClock()

    class Blocking(Prompt):
        def send(self, message: Message) -> Delivery:
            clock.advance(SLOW_S * 2)
            return super().send(message)

    twin = Blocking()
    shadow = Shadow({"reliable": twin}, clock=clock)
    for number in range(10_000):
        shadow.offer("reliable", message(number), carried())
        shadow.pump()
        clock.advance(0.01)
    assert twin.taken <= 14, "100 s with rests of 0.5, 1, 2, ... 30 s"
    assert shadow.counts.shed["resting"] > 9_900
    assert REST_MAX_S == 30.0


def test_a_twin_that_talks_too_much_fills_nothing() -> None:
    """Replies with other fields each time: fields, examples and their texts are bounded."""

    def babble(number: int) -> bytes:
        return b"{%s}" % b",".join(b'"n%d_%d": %d' % (number, place, place) for place in range(40))

    shadow = Shadow({"reliable": Prompt(babble)}, extract=json_fields, reply_wait=True)
    for number in range(30):
        shadow.offer("reliable", message(number), carried())
        shadow.replied("d", number, babble(number + 1))
    while shadow.waiting:
        shadow.pump()
    (tried,) = report(shadow, wall=0.0).runtimes
    assert tried.differences == tried.compared == 30
    assert len(tried.fields) <= FIELDS_MAX + QUIET_MAX + 1
    assert max(len(row.examples) for row in tried.fields) <= EXAMPLES_MAX
    assert "(other)" in {row.field for row in tried.fields}
    for _ in range(1000):
        shadow.replied("d", 1, b"again")
    assert (shadow.counts.stray_replies, shadow.held, shadow._awaited) == (1000, 0, {})


def test_numbers_that_agree_leave_room_for_what_differs() -> None:
    """A long reply of equal numbers doesn't use up the fields."""
    ours = b"{%s}" % b",".join(b'"n%03d": %d' % (place, place) for place in range(400))
    theirs = ours.replace(b'"n399": 399', b'"n399": 398')
    shadow = Shadow({"reliable": Prompt(lambda _: theirs)}, extract=json_fields, reply_wait=True)
    shadow.offer("reliable", message(1), carried())
    shadow.replied("d", 1, ours)
    while shadow.waiting:
        shadow.pump()
    (tried,) = report(shadow, wall=0.0).runtimes
    assert tried.fields[0].field == "reply.n399"
    assert tried.fields[0].mean_delta is None or tried.fields[0].mean_delta == -1.0
    assert len(tried.fields) <= QUIET_MAX + 2
