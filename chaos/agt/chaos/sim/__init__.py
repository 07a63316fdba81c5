"""A simulated world for protocol cores: virtual time, a network that fails, one seed for everything.

`run_seed(seed)` lives through one world and reports which promise was broken, if any; `World` is for tests that want
to say themselves what happens.
"""

from agt.chaos.sim._book import Book, BrokenPromise, Entry
from agt.chaos.sim._clock import Clock
from agt.chaos.sim._network import Network
from agt.chaos.sim._profile import Profile, draw_profile
from agt.chaos.sim._story import Report, run_seed
from agt.chaos.sim._world import World

__all__ = (
    "Book",
    "BrokenPromise",
    "Clock",
    "Entry",
    "Network",
    "Profile",
    "Report",
    "World",
    "draw_profile",
    "run_seed",
)
