"""Simulated rollouts of a candidate that is no worse, and of one that is: what do the rules of a plan do?

An A/A plan moves devices to a candidate that behaves just as control does, so whoever rolls it back is wrong. How often
that happens, and how often a candidate with the declared effect is found, is measured here and not only proven.
"""

from agt.chaos.trials._fleet import Fleet, FleetShape
from agt.chaos.trials._plan import TrialPlan, TrialResult, run_trial
from agt.chaos.trials._tally import Tally, run_trials

__all__ = ("Fleet", "FleetShape", "Tally", "TrialPlan", "TrialResult", "run_trial", "run_trials")
