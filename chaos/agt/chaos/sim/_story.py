"""One seed from beginning to end: things go wrong, then they stop going wrong, and everything must come right."""

from collections.abc import Mapping

from agt.chaos.sim._profile import Profile
from agt.chaos.sim._report import Report
from agt.chaos.sim._telling import live_and_tell
from agt.chaos.sim._world import World

SETTLE_S = 100.0
"""How long a healed world may take before new messages must go through; longer than any deadline and any timeout."""
PROBE_S = 20.0
"""How long those messages get."""
PROBES = 3
QUIET_S = 15.0
"""How long a healed world goes on once nobody waits any more: longer than it takes to notice a connection that is dead
on one side only, and to dial again. Without an end of its own, most of a run would be keepalive."""
LINGER_S = 3.0
"""How long it goes on after the last of the new messages, so that what comes late and should not still comes."""


def run_seed(seed: int, profile: Profile | None = None, *, overrides: Mapping[str, str] | None = None) -> Report:
    """Live through the world of a seed and report; broken promises are in the report, other errors are raised.

    Args:
        seed: chooses everything.
        profile: instead of the one that the seed would draw.
        overrides: what was set in that profile by hand, for the report's replay command.
    """
    return live_and_tell(World(seed, profile), _live, seed=seed, kind="links", overrides=overrides)


def _live(world: World) -> None:
    world.schedule_faults()
    world.schedule_traffic()
    world.start()
    world.run(world.profile.span_s)
    world.heal()
    world.settle(SETTLE_S, QUIET_S)
    world.book.check_ended(world.alive, world.clock.now)
    probes = [port.send(PROBE_S, 0) for host in world.hosts.values() for port in host.ports() for _ in range(PROBES)]
    world.settle(PROBE_S + 1, LINGER_S)
    world.book.check_ended(world.alive, world.clock.now)
    world.check_liveness([key for key in probes if key is not None])
