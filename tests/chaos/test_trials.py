"""Simulated rollouts: the statistical rule keeps its alpha and finds the declared effect."""

import pytest

from agt.chaos.trials import FleetShape, TrialPlan, run_trial, run_trials

QUICK = TrialPlan(percents=(10.0, 50.0), checks=25)


def test_same_seed_is_the_same_rollout() -> None:
    """A trial that went wrong can be looked at again."""
    shape = FleetShape(devices=200)
    assert run_trial(QUICK, shape, seed=5, effect=0.0) == run_trial(QUICK, shape, seed=5, effect=0.0)


def test_no_worse_is_left_alone_and_much_worse_is_found() -> None:
    """A few of each, so that neither a rule that always speaks nor one that never does gets through."""
    assert run_trials(QUICK, trials=12, seed=1, effect=0.0).worse <= 1
    assert run_trials(QUICK, trials=12, seed=1, effect=0.05).worse >= 11


@pytest.mark.soak
def test_ten_thousand_equal_rollouts_are_sent_back_at_most_as_often_as_declared() -> None:
    """Overdispersed devices, outages of everything and of some, fleets of a hundred to thousands."""
    tally = run_trials(TrialPlan(), trials=10_000, seed=1, effect=0.0, jobs=2)
    assert tally.trials == 10_000
    assert tally.worse_share <= TrialPlan().alpha, tally


@pytest.mark.soak
def test_declared_effect_is_found_four_times_out_of_five() -> None:
    """Power at the declared effect, over the same fleets."""
    tally = run_trials(TrialPlan(), trials=1000, seed=1, effect=TrialPlan().effect, jobs=2)
    assert tally.worse_share >= 0.8, tally
