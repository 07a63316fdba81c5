"""Router worlds: the real router between simulated sources and devices, with moves, kills, crashes and a disk.

`run_router_seed(seed)` lives through one, `run_case` through one of the exhaustive cases; `RouterWorld` is for those
who want to say themselves what happens.
"""

from agt.chaos.sim.moves._profile import RouterProfile, draw_router_profile, router_profile_of
from agt.chaos.sim.moves._script import Case, cases_at, run_case
from agt.chaos.sim.moves._story import run_router_seed
from agt.chaos.sim.moves._world import RouterWorld

__all__ = (
    "Case",
    "RouterProfile",
    "RouterWorld",
    "cases_at",
    "draw_router_profile",
    "router_profile_of",
    "run_case",
    "run_router_seed",
)
