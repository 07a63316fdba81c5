"""Changes of route: a selector, an environment, a mode or the latch taken into account, for all devices at once.

Each is one turn of the loop, whatever the number of devices, and nothing can interleave with it. Going back waits
for nothing: `kill` acts in memory first and only then takes the selector away at its source.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from agt.router._batch import MoveBatch
from agt.router._bell import Bell
from agt.router._decision import Situation
from agt.router._device import Device
from agt.router._errors import SelectorInvalid, SelectorKilled
from agt.router._intake import Intake
from agt.router._mode import ModeReport
from agt.router._move import MoveState
from agt.router._problem import Problem
from agt.router._selector import Selector
from agt.router._selector_file import SelectorReading, SelectorState
from agt.router._selector_text import check_selector
from agt.router._state import RouterState


class SelectorSource(Protocol):
    """Where the selector comes from, as far as a router is concerned."""

    def read(self) -> SelectorReading:
        """Look at it; never raises."""
        ...

    def kill(self) -> bool:
        """Take it away; true when it is gone. Never raises."""
        ...


class Steering:
    """Turns what is wanted into moves."""

    def __init__(self, state: RouterState, source: SelectorSource, bell: Bell) -> None:
        self._state, self._source, self._bell = state, source, bell
        self._intake = Intake(state.runtimes)
        self._watchers: list[Callable[[], None]] = []

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after each look at the selector, the environment or the latch; must not raise."""
        self._watchers.append(callback)

    # What is wanted

    def observe(self, reading: SelectorReading) -> str:
        """Take a look at the selector into account; returns why it was not applied, or an empty string."""
        refusal = self._take(reading)
        self._tell()
        return refusal

    def check(self, selector: Selector) -> None:
        """Refuse what could not be applied here.

        Raises:
            SelectorInvalid: with everything that is wrong.
        """
        check_selector(selector)
        mismatch = self._intake.mismatch(selector)
        if mismatch:
            raise SelectorInvalid((Problem("runtimes", mismatch),))

    def apply(self, selector: Selector) -> MoveBatch:
        """Apply a selector in memory at once; raises as `Router.apply` says."""
        self.check(selector)
        state = self._state
        if state.killed:
            raise SelectorKilled(state.killed)
        return self._put(selector.at_generation(max(selector.generation, state.generation)))

    def kill(self, reason: str) -> MoveBatch:
        """Send everything to control at once, then take the selector away, so that it stays so."""
        self._state.killed = reason or "by the operator"
        batch = self.reroute(always=True)
        batch.latched = self._source.kill()
        self._intake.gone = self._intake.gone or batch.latched
        self._state.selector_state = SelectorState.KILLED
        return batch

    def set_environment(self, environment: Mapping[str, str], problem: str) -> None:
        """Use these variables from now on; `problem` says why an environment file could not be read."""
        state = self._state
        state.environment_problem = problem
        if state.environment != environment:
            state.environment = dict(environment)
            self.reroute()
        self._tell()

    def set_mode(self, mode: str | None, report: ModeReport | None) -> None:
        """Use this network mode from now on; None when it isn't known. Only another mode than before moves anything."""
        state = self._state
        state.mode_report = report
        if mode != state.mode:
            state.mode = mode
            self.reroute()

    # What is done about it

    def reroute(self, *, always: bool = False) -> MoveBatch:
        """Decide anew for every device, and move those that belong elsewhere; `always` gives a receipt to keep."""
        state, now, wall = self._state, self._state.clock(), self._state.wall()
        state.situate(
            Situation(state.selector, environment=state.environment, runtimes=state.runtimes, killed=state.killed)
        )
        state.mode_forced = state.situation.forced_mode(wall) is not None
        batch = MoveBatch(state.generation, now=now)
        turned: list[Device] = []
        for device in state.devices.values():
            target = state.choose(device, now=wall)
            # What drains to where it belongs changes to a receipt only when somebody asks for one.
            if target != device.target or (always and device.state is MoveState.DRAINING):
                state.mover.turn(device, target, batch, now=now)
                turned.append(device)
        batch.routed(now=state.clock())
        batch.redial_per_s = state.redial_per_s
        batch.count(turned)
        state.mover.begin_drains(turned)
        batch.finish_if_empty(now=state.clock())
        if always or turned:
            state.newest = batch
        state.count_carried()
        self._bell.ring()
        self._tell()
        return batch

    def place(self, device: Device, *, now: float) -> None:
        """Decide anew for one device whose attachments, session or override have changed."""
        state = self._state
        target = state.choose(device, now=state.wall())
        if target != device.target:
            batch = MoveBatch(state.generation, now=now)
            state.mover.turn(device, target, batch, now=now)
            batch.routed(now=now)
            state.mover.begin_drains([device])
            self._bell.ring()

    def _take(self, reading: SelectorReading) -> str:
        state = self._state
        state.selector_state = reading.state
        judgement = self._intake.judge(reading, generation=state.generation, killed=state.killed)
        state.problems = judgement.problems
        state.killed = judgement.latch or state.killed
        if judgement.gone:
            state.selector = None
            self.reroute()
        elif judgement.selector is not None:
            state.killed = ""
            self._put(judgement.selector)
        return judgement.refusal

    def _put(self, selector: Selector) -> MoveBatch:
        state = self._state
        if state.newest is not None and selector == state.effective and not state.situation.killed:
            return state.newest  # The file says what a request said already; its receipt goes on.
        # Written by hand without a number: it comes after whatever there was.
        state.generation = selector.generation or state.generation + 1
        state.selector = selector.at_generation(state.generation)
        return self.reroute(always=True)

    def _tell(self) -> None:
        for callback in tuple(self._watchers):
            callback()
