"""A simulated world for protocol cores: virtual time, a network that fails, one seed for everything.

`run_seed(seed)` lives through one world and reports which promise was broken, if any; `run_seeds` lives through many
on several cores; `World` is for tests that want to say themselves what happens.
"""

from agt.chaos.sim._book import Book, BrokenPromise, Entry
from agt.chaos.sim._clock import Clock
from agt.chaos.sim._network import Network
from agt.chaos.sim._profile import Profile, draw_profile, draw_profile_of
from agt.chaos.sim._report import Report
from agt.chaos.sim._runner import BrokenSeed, Run, Tally, run_seeds
from agt.chaos.sim._story import run_seed
from agt.chaos.sim._world import World

__all__ = (
    "Book",
    "BrokenPromise",
    "BrokenSeed",
    "Clock",
    "Entry",
    "Network",
    "Profile",
    "Report",
    "Run",
    "Tally",
    "World",
    "draw_profile",
    "draw_profile_of",
    "run_seed",
    "run_seeds",
)
