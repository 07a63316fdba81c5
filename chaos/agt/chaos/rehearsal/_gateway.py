"""One gateway in a rehearsal: it applies routes, carries traffic, and answers the supervisor as a real router would."""

import random
from dataclasses import dataclass, field
from typing import Final

from agt.chaos.rehearsal._conditions import Cause
from agt.chaos.rehearsal._traffic import Flow
from agt.supervisor.measure import RouterSample, RouterSeen, RouterStatus, ShadowCounters
from agt.supervisor.rollout import Plan, Route

DEVICES: Final = 500
"""Devices behind all gateways together; a cohort or a number of devices is so much of them."""


@dataclass(slots=True)
class VirtualGateway:
    """A gateway that carries a fluid instead of messages."""

    socket: str
    plan: Plan
    rate: float
    """Messages a second, over both runtimes."""
    dice: random.Random
    number: int = 0
    """Its place among several."""
    starts: int = 1
    generation: int = 0
    settled: int = 0
    percent: float = 0.0
    cohort: float = 0.0
    """Share of the devices that the candidate carries by name."""
    shadow: str = "off"
    killed: bool = False
    carried: dict[int, float] = field(default_factory=dict)
    lag_s: float = 0.0
    answers: bool = True
    mirrored: dict[str, float] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (self.plan.control, self.plan.candidate):
            self.flows[name] = Flow(self.dice, self.plan.latency_limit_s)

    def apply(self, route: Route | None, generation: int, percent: float) -> None:
        """Take over a route; its moves have settled by the next check."""
        self.generation, self.percent = generation, percent
        if route is not None:
            self.cohort = min(1.0, len(route.cohort) / DEVICES)
        self.shadow = route.shadow if route is not None else self.shadow
        self.killed = False

    def passes(self, seconds: float, cause: Cause) -> None:
        """Carry what comes in so many seconds, by this gateway's own clock."""
        fault, mine = cause.gateway, cause.gateway.only in (-1, self.number)
        down = fault.down and mine
        self.answers = not (mine and (fault.down or fault.silent))
        self.lag_s = fault.lag_s if mine else 0.0
        if down:
            return
        self.settled = self.generation
        self.carried[self.generation] = self.carried.get(self.generation, 0.0) + seconds
        self.carried = {key: self.carried[key] for key in sorted(self.carried)[-8:]}
        rate, share = self.rate * cause.traffic, self.percent / 100
        share += (1 - share) * self.cohort
        for name, part, candidate in ((self.plan.control, 1 - share, False), (self.plan.candidate, share, True)):
            self.flows[name].passes(rate * part, seconds, cause.path(candidate))
        if self.shadow != "off":
            self._mirror(rate * seconds, cause)

    def start_anew(self) -> None:
        """Be another process: count from zero, with a new name."""
        self.starts += 1
        self.carried = {}
        for flow in self.flows.values():
            flow.forget()

    def seen(self, *, at: float, forgets: bool) -> RouterSeen:
        """Answer the supervisor, or don't."""
        if not self.answers:
            return RouterSeen(socket=self.socket, error=f"{self.socket} doesn't answer")
        name = f"{self.socket}-{self.starts}"
        generation = max(0, self.generation - forgets)
        sample = RouterSample(
            router=name,
            at=at,
            counters={key: flow.counters() for key, flow in self.flows.items()},
            gauges={key: flow.gauges() for key, flow in self.flows.items()},
            shadow=ShadowCounters(**self.mirrored),
            loop_lag_s=self.lag_s,
        )
        status = RouterStatus(
            router=name,
            generation=generation,
            settled_generation=min(generation, self.settled),
            percentage=self.percent,
            killed=self.killed,
            runtimes={self.plan.control: {"sessions": 0}, self.plan.candidate: {"sessions": 0}},
            carried_s={str(key): seconds for key, seconds in self.carried.items()},
        )
        return RouterSeen(socket=self.socket, status=status, sample=sample)

    def _mirror(self, messages: float, cause: Cause) -> None:
        path = cause.path(candidate=True)
        for name, share in (
            ("compared", 1.0),
            ("paired", 1.0),
            ("differences", path.differs),
            ("only_tried", path.differs),
            ("errors", path.fails),
        ):
            self.mirrored[name] = self.mirrored.get(name, 0.0) + messages * share
