"""Router worlds: the real router between simulated sources and devices, with moves, kills, crashes and a disk.

`run_router_seed(seed)` lives through one; `RouterWorld` is for those who want to say themselves what happens.
"""

from agt.chaos.sim.moves._profile import RouterProfile, draw_router_profile, router_profile_of
from agt.chaos.sim.moves._story import run_router_seed
from agt.chaos.sim.moves._world import RouterWorld

__all__ = ("RouterProfile", "RouterWorld", "draw_router_profile", "router_profile_of", "run_router_seed")
