"""The shadow's test against noise: half a percent is found, noise is not reported, whenever one looks.

The model: each system answers wrongly by itself with the same small chance, so that control differs from a second
control on 2 % of the messages; the tried runtime does on `planted` more. Counts are drawn directly, message by message
where something happens and in one step where nothing does.
"""

import itertools
import math
from collections.abc import Iterator
from random import Random

import pytest

from agt.router import Message, Shadow
from agt.router.shadow import (
    ALPHA,
    MARGIN,
    Answered,
    Comparison,
    FieldDifference,
    PairCounts,
    ShadowVerdict,
    Tally,
    json_fields,
    judge_pairs,
    merge_reports,
    report,
    verdict_of,
)
from agt.router.shadow._odds import _against_at_least, _against_at_most
from agt.router.testing import ManualClock
from agt.transport import Delivery, Outcome

FLOOR = 0.02
PLANTED = 0.005
FOUND_WITHIN = 30_000
"""Messages within which 0.5 % above a floor of 2 % is found in at least 95 of 100 runs."""
_WRONG = 1 - math.sqrt(1 - FLOOR)


def looks(seed: int, *, planted: float, floor: float = FLOOR, limit: int = FOUND_WITHIN) -> Iterator[PairCounts]:
    """The counts after each message on which exactly one of the two differed, and at the limit."""
    rng, wrong = Random(seed), 1 - math.sqrt(1 - floor)
    only_tried = (1 - wrong) * (1 - wrong) * (1 - (1 - wrong) * (1 - planted))
    only_floor = (1 - wrong) * wrong * (1 - wrong) * (1 - planted)
    either = only_tried + only_floor
    ups = downs = total = 0
    while either:
        total += 1 + int(math.log(1 - rng.random()) / math.log1p(-either))
        if total > limit:
            break
        up = rng.random() < only_tried / either
        ups, downs = ups + up, downs + (not up)
        yield PairCounts(ups, downs, total)
    yield PairCounts(ups, downs, limit)


def first_verdict(seed: int, *, every: int = 10, **model: float) -> tuple[ShadowVerdict, int]:
    """The first verdict of a run that is looked at again and again, and after how many messages."""
    counts = PairCounts(0, 0, 0)
    for number, counts in enumerate(looks(seed, **model)):
        if number % every == 0:
            verdict = verdict_of(counts, alpha=ALPHA / 2)
            if verdict is not ShadowVerdict.UNDECIDED:
                return verdict, counts.total
    return verdict_of(counts, alpha=ALPHA / 2), counts.total


def reported(seeds: range, *, every: int, planted: float) -> int:
    """In how many runs a difference is reported at any look."""
    return sum(
        any(
            verdict_of(counts, alpha=ALPHA / 2) is ShadowVerdict.DIFFERS
            for number, counts in enumerate(looks(seed, planted=planted))
            if number % every == 0
        )
        for seed in seeds
    )


def test_half_a_percent_is_found() -> None:
    """Within 30,000 messages, in at least 95 of 100 runs."""
    assert reported(range(100), every=20, planted=PLANTED) >= 95


def test_noise_is_not_reported() -> None:
    """A floor of 2 %, looked at again and again: in at most 5 of 100 runs."""
    assert reported(range(100), every=20, planted=0.0) <= 5


def test_half_a_percent_is_not_called_equal() -> None:
    """What is as large as the margin is called equal in at most 5 of 100 runs, however often one looks."""
    planted = MARGIN / (1 - _WRONG) ** 2  # So that the true excess is the margin: some of it hides behind noise.
    called = [first_verdict(seed, every=20, planted=planted)[0] for seed in range(100)]
    assert called.count(ShadowVerdict.EQUAL) <= 5


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("planted", "least", "most"), [(PLANTED, 950, 1000), (0.0, 0, 50)])
def test_a_thousand_runs_looked_at_after_every_message(planted: float, least: int, most: int) -> None:
    """The same bounds where one looks as often as one can."""
    assert least <= reported(range(1000), every=1, planted=planted) <= most


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("planted", [0.0, PLANTED, 0.05])
def test_the_true_excess_lies_between_the_bounds(planted: float) -> None:
    """At every look of a run, in at least 95 % of the runs."""
    truth = planted * (1 - _WRONG) ** 2
    wrong = 0
    for seed in range(100):
        judged = [
            judge_pairs(counts, alpha=ALPHA / 2)
            for number, counts in enumerate(looks(seed, planted=planted))
            if number % 80 == 0
        ]
        wrong += any(not one.low <= truth <= one.high for one in judged)
    assert wrong <= 5


@pytest.mark.parametrize("mean", [0.0, 0.005, 0.3, -0.2])
@pytest.mark.parametrize("noise", [0.01, 0.2])
def test_the_bet_is_fair(mean: float, noise: float) -> None:
    """Where the hypothesis just holds, the capital stays what it was on average: over all runs of six messages."""
    up, down = noise + max(mean, 0.0), noise + max(-mean, 0.0)
    for sign in (1, -1):
        average = 0.0
        for ups, downs in itertools.product(range(7), repeat=2):
            if ups + downs <= 6:
                ways = math.comb(6, ups) * math.comb(6 - ups, downs)
                chance = ways * up**ups * down**downs * (1 - up - down) ** (6 - ups - downs)
                counts = PairCounts(ups, downs, 6)
                log_capital = _against_at_most(counts, mean) if sign > 0 else _against_at_least(counts, mean)
                average += chance * math.exp(log_capital)
        assert average == pytest.approx(1.0)


def test_counts_are_by_which_of_the_two_differs() -> None:
    """Both, neither, and each alone; a message without a second control is in no pair."""
    tally = Tally()
    differs = Comparison(differences=[FieldDifference("x", "x", 1, 2)])
    for tried, floor in ((differs, differs), (differs, Comparison()), (Comparison(), differs)):
        tally.add("d", 1, tried, floor)
    tally.add("d", 1, Comparison(), Comparison())
    tally.add("d", 1, differs)
    assert (tally.compared, tally.differences, tally.paired, tally.floor_differences) == (5, 3, 4, 2)
    assert tally.counts == tally.field_counts("x") == PairCounts(1, 1, 4)


def test_the_chance_of_error_is_spent_once() -> None:
    """However many fields differ, their shares add up to half of it."""
    tally = Tally()
    for number in range(200):
        tally.add("d", number, Comparison(differences=[FieldDifference("x", f"x{number}", 1, 2)]))
    assert sum(tally.field_alpha(name) for name in tally.fields) < ALPHA / 2
    assert tally.field_alpha("x0") == ALPHA / 4
    assert tally.field_alpha("never") == 0.0


def test_several_routers_know_sooner_together() -> None:
    """Counts add up, verdicts are taken anew, examples stay few."""
    one, other = (report(compared(400, planted=0.02), wall=0.0) for _ in range(2))
    merged = merge_reports((one, other))
    (tried,), (mine,) = merged.runtimes, one.runtimes
    assert (tried.compared, tried.only_tried, tried.only_floor) == (800, 2 * mine.only_tried, 2 * mine.only_floor)
    assert tried.verdict is ShadowVerdict.DIFFERS
    assert mine.verdict is ShadowVerdict.UNDECIDED
    assert len(tried.fields[0].examples) == 5
    assert merge_reports(()).runtimes == ()


def test_equal_systems_are_called_equal_about_when_it_was_said() -> None:
    """Without noise after some 1,400 messages, with 2 % of it later; the forecast is of the right size."""
    clean = judge_pairs(PairCounts(0, 0, 500))
    assert clean.verdict is ShadowVerdict.UNDECIDED
    assert clean.more is not None
    assert verdict_of(PairCounts(0, 0, 500 + clean.more)) is ShadowVerdict.EQUAL
    noisy = judge_pairs(PairCounts(25, 25, 2500))
    assert noisy.more is not None
    assert 2_000 < noisy.more < 40_000
    balanced = round(noisy.more * 0.01)
    assert verdict_of(PairCounts(25 + balanced, 25 + balanced, 2500 + noisy.more)) is ShadowVerdict.EQUAL


def test_without_a_second_control_every_difference_counts_above_what_was_declared() -> None:
    """Nobody has measured the noise: it is what one says it is, and none unless one does."""
    one = PairCounts(1, 0, 10_000, paired=False)
    assert verdict_of(one) is ShadowVerdict.DIFFERS
    assert verdict_of(one, declared=0.001) is ShadowVerdict.EQUAL
    assert verdict_of(PairCounts(60, 0, 10_000, paired=False), declared=0.001) is ShadowVerdict.DIFFERS
    assert verdict_of(PairCounts(0, 0, 10, paired=False)) is ShadowVerdict.UNDECIDED


def test_no_data_says_nothing() -> None:
    """Neither equal nor different, and the excess may be anything."""
    judged = judge_pairs(PairCounts(0, 0, 0))
    assert (judged.verdict, judged.low, judged.high) == (ShadowVerdict.UNDECIDED, -1.0, 1.0)
    assert judged.more is not None


class Noisy:
    """A twin whose answers are wrong now and then."""

    def __init__(self, seed: int, wrong: float, field: str = "state") -> None:
        self._rng, self._wrong, self._field = Random(seed), wrong, field

    def answer(self) -> bytes:
        """A reply with one field wrong, or with none."""
        value = '"broken"' if self._rng.random() < self._wrong else '"fine"'
        return f'{{"{self._field}": {value}, "other": 1}}'.encode()

    def send(self, _: Message) -> Delivery:
        """Answer at once."""
        delivery = Answered()
        delivery.reply = self.answer()
        delivery.settle(Outcome.DELIVERED)
        return delivery


def compared(messages: int, *, planted: float) -> Shadow:
    """A shadow that has compared so many noisy messages."""
    control = Noisy(1, _WRONG)
    shadow = Shadow(
        {"reliable": Noisy(2, _WRONG + planted)},
        floor_twins={"legacy": Noisy(3, _WRONG)},
        extract=json_fields,
        reply_wait=True,
        clock=ManualClock(),
    )
    for number in range(messages):
        carried = Delivery()
        carried.runtime = "legacy"
        carried.settle(Outcome.WRITTEN)
        shadow.offer("reliable", Message("d", number, b""), carried)
        shadow.replied("d", number, control.answer())
        while shadow.waiting:
            shadow.pump()
    return shadow


def test_the_whole_way_from_replies_to_the_guilty_field() -> None:
    """Through twins, decoding, counts and report: noise stays noise, 5 % is found and named."""
    (noise,) = report(compared(1500, planted=0.0), wall=0.0).runtimes
    assert (noise.compared, noise.paired) == (1500, 1500)
    assert noise.verdict is ShadowVerdict.UNDECIDED
    assert noise.differences > 10, "it differs, and that is noise"
    assert "more messages" in noise.says
    (found,) = report(compared(1500, planted=0.05), wall=0.0).runtimes
    assert found.verdict is ShadowVerdict.DIFFERS
    assert found.fields[0].field == "reply.state"
    assert found.fields[0].verdict is ShadowVerdict.DIFFERS
    assert len(found.fields[0].examples) == 5
    assert "reply.state" in found.says


def test_a_broken_second_control_hides_nothing() -> None:
    """Where control differs from itself all the time, nothing is called equal."""
    shadow = compared(0, planted=0.0)
    shadow.floor_twins["legacy"] = Noisy(3, 1.0)
    shadow.twins["reliable"] = Noisy(2, 0.0)
    for number in range(3000):
        carried = Delivery()
        carried.runtime = "legacy"
        carried.settle(Outcome.WRITTEN)
        shadow.offer("reliable", Message("d", number, b""), carried)
        shadow.replied("d", number, b'{"state": "fine", "other": 1}')
        while shadow.waiting:
            shadow.pump()
    (tried,) = report(shadow, wall=0.0).runtimes
    assert tried.verdict is ShadowVerdict.UNDECIDED
    assert "second control" in tried.says
