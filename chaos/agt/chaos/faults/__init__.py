"""Ways of harming traffic, one small class each, found by name in a registry.

A fault decides what becomes of one frame; who is struck, how often and how long is said where it is added
(`agt.chaos.proxy.FaultProxy.add`). Randomness comes in from outside, so that a seed replays a run.
"""

from agt.chaos.faults._bandwidth import Bandwidth
from agt.chaos.faults._corrupt import Corrupt
from agt.chaos.faults._cut import Cut
from agt.chaos.faults._down import Down
from agt.chaos.faults._drop import Drop
from agt.chaos.faults._duplicate import Duplicate
from agt.chaos.faults._fault import Fault, Passage
from agt.chaos.faults._jitter import Jitter
from agt.chaos.faults._latency import Latency
from agt.chaos.faults._limit import Limit
from agt.chaos.faults._registry import FAULTS, make_fault
from agt.chaos.faults._reorder import Reorder
from agt.chaos.faults._reset import Reset
from agt.chaos.faults._slice import Slice
from agt.chaos.faults._slow_close import SlowClose
from agt.chaos.faults._stall import Stall

__all__ = (
    "FAULTS",
    "Bandwidth",
    "Corrupt",
    "Cut",
    "Down",
    "Drop",
    "Duplicate",
    "Fault",
    "Jitter",
    "Latency",
    "Limit",
    "Passage",
    "Reorder",
    "Reset",
    "Slice",
    "SlowClose",
    "Stall",
    "make_fault",
)
