"""One seed of a router world from beginning to end: things go wrong, then they stop, and everything must come right."""

from collections.abc import Mapping

from agt.chaos.sim._book import BrokenPromise
from agt.chaos.sim._report import Report
from agt.chaos.sim._telling import live_and_tell
from agt.chaos.sim.moves._profile import RouterProfile
from agt.chaos.sim.moves._rules import check_history, check_ledger
from agt.chaos.sim.moves._world import PROBE_DEADLINE_S, RouterWorld

SETTLE_S = 50.0
"""How long a healed world may take: longer than any deadline and any drain."""
HEAL_S = 3.0
"""How long news of the last fault may take to arrive."""
PROBE_S = PROBE_DEADLINE_S + 1.0
"""How long they may take. Nobody promises more than their deadline: a cync device gets one command at a time, and on
a network with half a second of lag a slow one answers three of them in ten seconds."""
PROBES = 3
"""Commands that each device must get once the world is well."""


def run_router_seed(
    seed: int, profile: RouterProfile | None = None, *, overrides: Mapping[str, str] | None = None
) -> Report:
    """Live through the world of a seed and report; broken promises are in the report, other errors are raised.

    Args:
        seed: chooses everything.
        profile: instead of the one that the seed would draw.
        overrides: what was set in that profile by hand, for the report's replay command.
    """
    return live_and_tell(RouterWorld(seed, profile), _live, seed=seed, kind="router", overrides=overrides)


def _live(world: RouterWorld) -> None:
    world.schedule()
    world.start()
    world.clock.run(world.profile.span_s + 1.0)
    finish(world)


def finish(world: RouterWorld) -> None:
    """Heal a world, let it settle, see that new commands arrive, and judge its whole life."""
    world.heal()
    until = world.clock.now + SETTLE_S
    world.clock.run(world.clock.now + HEAL_S)
    while world.clock.now < until and not settled(world):
        world.clock.run(world.clock.now + 1.0)
    world.check_settled()
    probes = [world.send(name) for name in world.devices for _ in range(PROBES)]
    world.clock.run(world.clock.now + PROBE_S)
    for key in probes:
        assert key is not None, "a healed world has a gateway"
        entry = world.book.entries[key]
        if not any(reach.acts for reach in entry.reached) or entry.outcome not in ("delivered", "written"):
            raise BrokenPromise("a healed world delivers", f"{entry.name} ended as {entry.outcome}: {entry.reason}")
    world.operator.check()
    check_ledger(world)
    check_history(world)


def settled(world: RouterWorld) -> bool:
    """Whether nothing moves and nobody waits."""
    try:
        world.check_settled()
    except BrokenPromise:
        return False
    return True
