"""What a move may do to a message, by the barrier of its device's wire."""

import pytest

from agt.chaos.checkers import Effect, Sent, Told, join, nothing_doubled, nothing_lost, nothing_untrue, order_kept
from agt.chaos.demo._names import DeviceKind, DeviceName
from agt.chaos.scale._judge import BARRIERS, Tally, Turn, tallies
from agt.chaos.scale._move import Moved, MoveFigures


def judged(kind: DeviceKind, sources: list[Sent | Told], effects: list[tuple[int, int]], *turns: float) -> Tally:
    """Judge one device's messages; its effects by number and instant."""
    devices = [Effect(t=at, device="d", number=number, path="lines") for number, at in effects]
    history = join(sources, devices)
    found = [
        *nothing_lost(history),
        *nothing_doubled(history),
        *order_kept(history),
        *nothing_untrue(history),
    ]
    moments = [Turn(since=at, until=at + 1) for at in turns]
    return tallies(history, found, [DeviceName("d", kind)], moments)[BARRIERS[kind]]


def message(outcome: str, resends: int = 0, *, number: int = 1, sent: float = 10.0) -> list[Sent | Told]:
    """A message and what its sender was told."""
    told = Told(t=sent + 0.1, device="d", number=number, outcome=outcome, runtime="r", resends=resends)
    return [Sent(t=sent, device="d", number=number), told]


@pytest.mark.parametrize("kind", ["lines", "cync", "half-close", "plain"])
@pytest.mark.parametrize(
    ("sources", "effects", "allowed_on"),
    [
        (message("written"), [], {"cync", "half-close", "plain"}),
        (message("delivered"), [], set()),
        (message("delivered", 1), [(1, 11.0), (1, 12.0)], {"cync", "half-close", "plain"}),
        (message("delivered"), [(1, 11.0), (1, 12.0)], set()),
        (message("written"), [(1, 11.0), (1, 12.0)], {"cync"}),
        (message("not_delivered"), [(1, 11.0)], set()),
        ([Sent(t=10.0, device="d", number=1)], [], set()),
        (
            message("delivered", 1) + message("delivered", number=2),
            [(2, 11.0), (1, 12.0)],
            {"cync", "half-close", "plain"},
        ),
        (message("delivered") + message("delivered", number=2), [(2, 11.0), (1, 12.0)], set()),
    ],
    ids=[
        "written-lost",
        "told-lost",
        "resent-twice",
        "twice",
        "written-twice",
        "untrue",
        "untold",
        "late",
        "misordered",
    ],
)
def test_what_each_barrier_allows(
    kind: DeviceKind, sources: list[Sent | Told], effects: list[tuple[int, int]], allowed_on: set[str]
) -> None:
    """On `sequence` nothing at all; elsewhere only what its sender could know of."""
    tally = judged(kind, sources, effects)
    assert (len(tally.allowed), len(tally.forbidden)) == ((1, 0) if kind in allowed_on else (0, 1))


@pytest.mark.parametrize(("turn", "at_turns"), [(9.0, 0), (10.0, 1), (14.9, 1), (15.1, 0)])
def test_what_was_in_flight_at_a_turn_is_counted(turn: float, at_turns: int) -> None:
    """A written message counts as on its way until the observer gives its reply up."""
    assert judged("plain", message("written"), [], turn).at_turns == at_turns


def figures(tally: Tally, **fields: int) -> MoveFigures:
    """Figures of a run with one step."""
    step = {
        "previewed": 1,
        "moved": 1,
        "previewed_unconfirmed": 0,
        "announced": 0,
        "resent": 0,
        "indeterminate": 0,
        "unconfirmed": 0,
    }
    moved = Moved(percentage=25.0, settled_ms=1.0, cut=False, **{**step, **fields})
    return MoveFigures(
        devices=1, gateways=1, rate=1.0, seed=1, moves=(moved,), barriers={"none": tally}, struck={}, disagreements=(),
        seconds=1.0,
    )  # fmt: skip


def test_more_than_was_announced_is_a_problem() -> None:
    """Be it what went wrong at a turn, or what the router itself reports as in doubt."""
    clean, lost = judged("plain", message("delivered"), [(1, 11.0)]), judged("plain", message("written"), [], 11.0)
    assert figures(clean).problems == ()
    assert figures(lost).problems == ("1 messages went wrong at turns, and 0 were announced",)
    assert figures(lost, announced=1).problems == ()
    assert figures(clean, indeterminate=1).problems == ("25 %: 1 in doubt, and 0 were announced",)
