"""Router worlds with a shadow: the real router between simulated sources and devices, and twins that fail in every way.

What devices do is the oracle: a world with a shadow must be, for its sources and devices, the very same as the world
of that seed without one. Twins have generators of their own, so that nothing else shifts.
"""

from collections.abc import Callable
from random import Random

import msgspec

from agt.chaos.sim._clock import Clock
from agt.chaos.sim.moves._gateway import Gateway, Process
from agt.chaos.sim.moves._operator import Operator
from agt.chaos.sim.moves._profile import RouterProfile
from agt.chaos.sim.moves._story import _live
from agt.chaos.sim.moves._world import RouterWorld
from agt.router import Message, Override, Route
from agt.router.shadow import Answered, Shadow, cync, first_of, lines
from agt.transport import Delivery, Outcome, QueueFull

MOODS = ("prompt", "slow", "hung", "raising", "full", "failing", "no handle", "chatty")


class MoodyTwin:
    """A stand-in that is in one mood after the other, and moves nothing."""

    def __init__(self, clock: Clock, rng: Random) -> None:
        self._clock, self._rng = clock, rng
        self.taken: list[Message] = []

    def send(self, message: Message) -> Delivery:
        """Take a mirrored message, or fail at it."""
        mood = self._rng.choice(MOODS)
        self.taken.append(message)
        if mood == "raising":
            raise RuntimeError("the twin fell over")
        if mood == "full":
            raise QueueFull("the twin's queue", 0)
        if mood == "no handle":
            return None  # type: ignore[return-value]
        delivery = Answered()
        if mood == "chatty":
            delivery.reply = self._rng.randbytes(10_000)
        if mood == "prompt":
            delivery.settle(Outcome.DELIVERED)
        elif mood != "hung":
            outcome = Outcome.NOT_DELIVERED if mood == "failing" else Outcome.DELIVERED
            self._clock.after(self._rng.random() * 3.0, lambda: delivery.settle(outcome))
        return delivery


MakeShadow = Callable[["ShadowWorld", Process], Shadow]


def with_twins(world: "ShadowWorld", process: Process) -> Shadow:
    """Give a gateway process a shadow in both directions."""
    rng = Random(f"{world.seed} {process.number}")
    twins = [MoodyTwin(world.clock, rng) for _ in range(4)]
    world.twins += twins
    return Shadow(
        {"reliable": twins[0], "legacy": twins[1]},
        floor_twins={"reliable": twins[2], "legacy": twins[3]},
        classifier=first_of(cync.classify, lines.classify),
        reply_wait=rng.random() < 0.5,
        queue_max=rng.choice((3, 20, 1000)),
        timeout_s=rng.choice((0.5, 5.0, 35.0)),
    )


class ShadowWorld(RouterWorld):
    """A world whose selectors ask for a shadow; without `make_shadow` it has none that does anything."""

    def __init__(
        self, seed: int, profile: RouterProfile | None = None, *, make_shadow: MakeShadow | None = None
    ) -> None:
        """Make the world of a seed."""
        super().__init__(seed, profile)
        self.twins: list[MoodyTwin] = []
        self.shadows: list[Shadow] = []
        """Of all gateway processes."""
        self.gateway = ShadowGateway(self, make_shadow)
        self.operator = ShadowOperator(self, Random(seed))

    def live(self) -> None:
        """Live through it; raises what was broken."""
        for second in range(0, int(self.profile.span_s), 2):
            self.clock.at(1.0 + second, self._while_faulty(self.operator.look_for_a_shadow))
        _live(self)


class ShadowGateway(Gateway):
    """Gives each process its shadow before it serves anybody."""

    def __init__(self, world: ShadowWorld, make_shadow: MakeShadow | None) -> None:
        super().__init__(world)
        self._shadowed, self._make = world, make_shadow

    def start(self) -> None:
        """Start the next process."""
        super().start()
        process = self.process
        if self._make is not None and process is not None and process.alive:
            shadow = self._make(self._shadowed, process)
            shadow.keep_time(lambda: self._shadowed.clock.now, lambda: self._shadowed.clock.now)
            process.router._state.shadow = shadow
            self._shadowed.shadows.append(shadow)


class ShadowOperator(Operator):
    """Asks for a shadow in everything that it changes."""

    def __init__(self, world: ShadowWorld, rng: Random) -> None:
        super().__init__(world)
        self._shadows = rng

    def change(self, what: str, route: Route, *, overrides: tuple[Override, ...] = ()) -> None:
        """Change the route, and the shadow's direction with it."""
        shadow = self._shadows.choice(("candidate", "candidate", "control"))
        super().change(what, msgspec.structs.replace(route, shadow=shadow), overrides=overrides)

    def look_for_a_shadow(self) -> None:
        """Put one back where a kill's end left none."""
        read = self._file.read().selector
        if read is not None and read.runtime.shadow == "off":
            self.change("shadow", read.runtime, overrides=read.overrides)
