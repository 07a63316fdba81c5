"""Ten thousand devices come back to a gateway that was started again: fast, and never faster than it takes them in."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.transport import Dropped
from agt.transport._pacing import SLOTS_AHEAD_S, ConnectBudget, Pacer
from agt.transport._redial import RETRY_AFTER_MAX_S, Ending, Redial
from support.crowd import Crowd

BUDGET = ConnectBudget(connects_per_s=1000, connect_burst=500)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 8))])
@pytest.mark.parametrize(
    ("advertised", "down_s", "connect_timeout_s"),
    [("true", 0.0, 0.0), ("true", 8.0, 0.0), ("growing", 0.5, 0.0), ("nothing", 0.0, 0.0), ("nothing", 20.0, 5.0)],
)
def test_ten_thousand_are_back_within_the_bound_and_never_above_the_budget(
    advertised: str, down_s: float, connect_timeout_s: float, seed: int
) -> None:
    """95 % of them within the bound of docs/architecture/reconnect.md, and in any window no more than the budget.

    From a restart that nobody had time to notice to a machine that was gone for a while; with the advice that a
    gateway gives, with the poor advice of one that was filling up, and with none at all.
    """
    crowd = Crowd(10_000, seed, BUDGET, down_s, advertised, connect_timeout_s).run()
    assert crowd.share_back_within_s(0.95) <= crowd.bound_s
    assert len(crowd.back_at) == 10_000
    for window_s in (0.01, 0.1, 1.0, 5.0):
        assert crowd.most_in(window_s) <= BUDGET.connect_burst + BUDGET.connects_per_s * window_s + 1e-6
    assert len(crowd.dialled_at) <= 2.2 * 10_000, "a slot is kept, so nobody dials again and again"


def test_the_bound_holds_up_to_a_minute_of_slots() -> None:
    """The slowest gateway that the bound speaks of: as many seconds for all of them as slots are given out ahead.

    Its burst is a quarter of a second's, so that who comes a round trip late still finds a token.
    """
    budget = ConnectBudget(connects_per_s=10_000 / SLOTS_AHEAD_S, connect_burst=42)
    crowd = Crowd(10_000, 5, budget, 3.0, "nothing").run()
    assert crowd.share_back_within_s(0.95) <= crowd.bound_s
    assert len(crowd.back_at) == 10_000


def test_a_crowd_that_spreads_as_told_dials_hardly_faster_than_it_is_taken_in() -> None:
    """The advice of the gateway keeps even the attempts near the budget, where without it all come in one moment."""
    most = {}
    for advertised in ("true", "nothing"):
        crowd = Crowd(10_000, 7, BUDGET, 0.0, advertised).run()
        crowd.back_at = sorted(crowd.dialled_at)
        most[advertised] = crowd.most_in(1.0)
    assert most["true"] <= 1.2 * BUDGET.connects_per_s
    assert most["nothing"] > 9 * BUDGET.connects_per_s


def test_the_same_seed_gives_the_same_crowd() -> None:
    """The cores draw from what they are given."""
    first, second = (Crowd(500, 3, BUDGET, 2.0).run() for _ in range(2))
    assert first.back_at == second.back_at


@given(
    rate=st.floats(0.5, 5000),
    burst=st.integers(1, 200),
    gaps=st.lists(st.tuples(st.floats(0, 0.5), st.booleans()), max_size=200),
)
def test_no_window_ever_sees_more_than_the_budget(rate: float, burst: int, gaps: list[tuple[float, bool]]) -> None:
    """Whatever comes, in whatever rhythm, let in at once or held for a moment."""
    pacer = Pacer(ConnectBudget(connects_per_s=rate, connect_burst=burst), now=0.0)
    now, let_in = 0.0, []
    for gap_s, hold in gaps:
        now += gap_s
        wait_s = pacer.hold(now, 1.0) if hold else pacer.admit(now)
        if hold and wait_s is not None:
            let_in.append(now + wait_s)
        elif not hold and wait_s == 0:
            let_in.append(now)
        else:
            assert wait_s is None or 0 < wait_s <= SLOTS_AHEAD_S + 1 / rate + 1
    let_in.sort()
    for first, start in enumerate(let_in):
        for last in range(first, len(let_in)):
            assert last - first + 1 <= burst + (let_in[last] - start) * rate + 1e-6
    assert pacer.admitted == len(let_in)
    assert pacer.sent_away == len(gaps) - len(let_in)


def test_slots_are_all_different_and_come_as_fast_as_tokens() -> None:
    """Those who were sent away at once do not come back at once."""
    pacer = Pacer(ConnectBudget(connects_per_s=10, connect_burst=2), now=5.0)
    assert [pacer.admit(5.0) for _ in range(5)] == pytest.approx([0, 0, 0.1, 0.2, 0.3])
    assert [pacer.admit(5.1), pacer.admit(5.1)] == pytest.approx([0, 0.3]), "the token of the first slot was due"


def test_a_flood_that_never_comes_back_cannot_send_others_away_for_ever() -> None:
    """Slots are given out for a minute ahead, then from the front again."""
    pacer = Pacer(ConnectBudget(connects_per_s=10, connect_burst=1), now=0.0)
    waits = [pacer.admit(0.0) for _ in range(5000)]
    assert max(waits) <= SLOTS_AHEAD_S
    assert waits.count(max(waits)) <= 9, "evenly, not all at the end"


def test_holding_takes_the_token_in_advance_and_never_longer_than_allowed() -> None:
    """A legacy caller waits for its own token; one that would wait too long takes none."""
    pacer = Pacer(ConnectBudget(connects_per_s=10, connect_burst=1), now=0.0)
    assert [pacer.hold(0.0, 0.25) for _ in range(5)] == pytest.approx([0.0, 0.1, 0.2, None, None])
    assert pacer.hold(0.1, 0.25) == pytest.approx(0.2)
    assert pacer.admit(0.35) > 0, "its tokens belong to those who wait"


def redial(seed: int = 1) -> Redial:
    """A dialler with the defaults."""
    return Redial(random.Random(seed), base_s=0.25, max_s=5.0, spread_max_s=10.0)


def test_a_connection_that_did_its_work_is_dialled_again_at_once() -> None:
    """On a lossy network every connection is short and still worth it."""
    assert redial().next_pause_s(Ending.OWN, spread_s=9) == 0.0
    assert redial().next_pause_s(Ending.SHARED, spread_s=0) == 0.0


def test_a_peer_that_closed_without_a_word_is_dialled_spread_as_it_said() -> None:
    """Everybody else has lost it too; but no further than our own limit."""
    pauses = [redial(seed).next_pause_s(Ending.SHARED, spread_s=4.0) for seed in range(400)]
    assert 0 <= min(pauses) < 0.2
    assert 3.8 < max(pauses) <= 4.0
    assert max(redial(seed).next_pause_s(Ending.SHARED, spread_s=1e9) for seed in range(400)) <= 10.0


def test_a_peer_that_says_when_is_dialled_then() -> None:
    """Exactly then, since its slots keep the crowd apart; and within our own limit, whatever it says."""
    told = redial()
    told.next_pause_s(Ending.FAILED)
    assert told.next_pause_s(Ending.FAILED, retry_after_s=7.25) == 7.25
    assert told.failures == 1, "an answer in words is no failure of the network"
    pauses = [redial(seed).next_pause_s(Ending.FAILED, retry_after_s=1e12) for seed in range(50)]
    assert RETRY_AFTER_MAX_S <= min(pauses) < max(pauses) <= 1.5 * RETRY_AFTER_MAX_S


def test_failures_grow_the_pause_and_health_starts_over() -> None:
    """The documents' numbers: 0.25 s, doubling, at most 5 s, plus jitter."""
    one = redial()
    for step_s in (0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0):
        assert step_s <= one.next_pause_s(Ending.FAILED) <= 1.5 * step_s
    one.next_pause_s(Ending.OWN)
    assert one.failures == 0


@pytest.mark.parametrize(
    ("dropped", "useful", "pause_s"),
    [
        (None, False, (0.25, 0.375)),
        (Dropped("a gap", "network", final=False), True, (0.0, 0.0)),
        (Dropped("a gap", "network", final=False), False, (0.25, 0.375)),
        (Dropped("shutdown", "peer", final=False, everyone=True), True, (0.0, 4.0)),
        (Dropped("busy", "peer", final=False, retry_after_s=3.0), False, (3.0, 3.0)),
    ],
)
def test_what_a_driver_saw_is_turned_into_a_pause(
    dropped: Dropped | None, useful: bool, pause_s: tuple[float, float]
) -> None:
    """Drivers hold no policy: they say what happened, and wait."""
    pauses = [redial(seed).pause_after(dropped, useful=useful, spread_s=4.0) for seed in range(50)]
    assert pause_s[0] <= min(pauses)
    assert max(pauses) <= pause_s[1]
    assert (len(set(pauses)) == 1) is (pause_s[0] == pause_s[1])
