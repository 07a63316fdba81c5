"""Rehearsal: a plan carried out in virtual time, with what can go wrong as data, and whom the engine blames for it."""

from agt.chaos.rehearsal._blame import LADDER, Blamed, judge_causes, share_right
from agt.chaos.rehearsal._causes import load_causes
from agt.chaos.rehearsal._conditions import Cause, Gateway, Path, Supervisor
from agt.chaos.rehearsal._rehearse import Injection, Rehearsal, Rehearsed, Struck, strike
from agt.chaos.rehearsal._world import World

__all__ = (
    "LADDER",
    "Blamed",
    "Cause",
    "Gateway",
    "Injection",
    "Path",
    "Rehearsal",
    "Rehearsed",
    "Struck",
    "Supervisor",
    "World",
    "judge_causes",
    "load_causes",
    "share_right",
    "strike",
)
