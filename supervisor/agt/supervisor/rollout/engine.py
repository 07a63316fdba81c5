"""The pure engine by itself, for whoever carries a plan out without sockets or a disk: rehearsals and their tests.

Everything here is a function of its arguments, time included. `agt.supervisor.rollout` is the door for the others.
"""

from agt.supervisor.rollout._checks import Checked, judge_hours
from agt.supervisor.rollout._counting import Counts
from agt.supervisor.rollout._effects import (
    Effect,
    Kill,
    Number,
    OpenIncident,
    RaiseAlert,
    ResolveAlerts,
    SetRoute,
    is_forward,
)
from agt.supervisor.rollout._engine import step
from agt.supervisor.rollout._gates import gate_name
from agt.supervisor.rollout._metrics import DAEMON_LEVELS
from agt.supervisor.rollout._operator import operate
from agt.supervisor.rollout._plan_file import Check
from agt.supervisor.rollout._signals import happenings_of, signals_of
from agt.supervisor.rollout._soak import Soak
from agt.supervisor.rollout._state import Share
from agt.supervisor.rollout._step import Observation, Step
from agt.supervisor.rollout._turns import fresh

__all__ = (
    "DAEMON_LEVELS",
    "Check",
    "Checked",
    "Counts",
    "Effect",
    "Kill",
    "Number",
    "Observation",
    "OpenIncident",
    "RaiseAlert",
    "ResolveAlerts",
    "SetRoute",
    "Share",
    "Soak",
    "Step",
    "fresh",
    "gate_name",
    "happenings_of",
    "is_forward",
    "judge_hours",
    "operate",
    "signals_of",
    "step",
)
