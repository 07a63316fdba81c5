"""Tallies: who must know of every end is told by the run, and of each message once."""

from collections.abc import Sequence

import pytest

from agt.transport import Delivery, Outcome
from agt.transport._delivery import settle_delivered


class Counting:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.runs: list[list[str]] = []
        self.single: list[str] = []

    def delivered(self, deliveries: Sequence[Delivery]) -> None:
        """Note a run."""
        self.runs.append([delivery.item for delivery in deliveries])

    def ended(self, delivery: Delivery) -> None:
        """Note one."""
        self.single.append(delivery.item)


def sent(item: str, tally: Counting | None) -> Delivery:
    """A message on its way."""
    delivery = Delivery(b"", 1.0)
    delivery.item, delivery.tally = item, tally
    return delivery


def test_a_run_of_one_sender_is_told_at_once() -> None:
    """One call however many messages, after their handles have ended."""
    tally = Counting()
    deliveries = [sent(name, tally) for name in "abc"]
    settle_delivered(deliveries, 2.0)
    assert (tally.runs, tally.single) == ([["a", "b", "c"]], [])
    assert all(delivery.outcome is Outcome.DELIVERED and delivery.latency_s == 1.0 for delivery in deliveries)


def test_each_sender_of_a_mixed_run_is_told_of_its_own() -> None:
    """A session may be shared, and some of its messages may be nobody's to count."""
    one, two = Counting(), Counting()
    owners = {"a": one, "b": one, "c": None, "d": two, "e": one}
    settle_delivered([sent(name, owner) for name, owner in owners.items()], 2.0)
    assert one.runs == [["a", "b"], ["e"]]
    assert two.runs == [["d"]]
    settle_delivered([sent("x", None), sent("y", two)], 2.0)
    assert two.runs == [["d"], ["y"]]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_ends_by_itself_is_told_by_itself(outcome: Outcome) -> None:
    """Before whoever waits for it, so that the count is right when they look."""
    tally, seen = Counting(), []
    delivery = sent("a", tally)
    delivery.add_done_callback(lambda _: seen.append(list(tally.single)))
    delivery.settle(outcome)
    assert (tally.runs, tally.single, seen) == ([], ["a"], [["a"]])
