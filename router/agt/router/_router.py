"""The router: applies the selector to each message, moves devices between paths, keeps the ledger.

Everything here is synchronous and takes its time from two clocks that are given: a change of route, for one device
or ten thousand, is one turn of the loop, and nothing can interleave with it. `run` is the only coroutine: it
waits until something is due and calls `handle_timer`. All methods must be called on the loop's own thread.

Going back never waits for anything: `kill` acts in memory first and only then takes the selector file away.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import anyio
import msgspec

from agt.router._batch import MoveBatch
from agt.router._decision import DEFAULT_RUNTIMES, Situation, Subject
from agt.router._device import Device
from agt.router._errors import SelectorInvalid, SelectorKilled
from agt.router._explain import Explanation, explain_in
from agt.router._intake import Intake
from agt.router._lag import LoopLag
from agt.router._ledger import Ledger
from agt.router._move import MoveState
from agt.router._mover import MoveLimits, Mover
from agt.router._path import Message, Path
from agt.router._position import percentage_hundredths, position_hundredths
from agt.router._problem import Problem
from agt.router._selector import Runtimes, Selector
from agt.router._selector_file import SelectorReading, SelectorState
from agt.router._selector_text import check_selector
from agt.router._shadow import Shadow
from agt.router._state import RouterState
from agt.router._status import DevicesInOrder, DeviceStatus, RoutePreview, RouterStatus
from agt.router._survey import device_status, in_order, preview, survey
from agt.transport import Delivery, Outcome

LOOK_S = 0.25
"""How often devices are looked at that time alone can move: an attachment came up, an override expired."""

ABSENT_MAX_S = 600.0
"""How long a device without attachments is remembered."""


class SelectorSource(Protocol):
    """Where the selector comes from, as far as a router is concerned."""

    def read(self) -> SelectorReading:
        """Look at it; never raises."""
        ...

    def kill(self) -> bool:
        """Take it away; true when it is gone. Never raises."""
        ...


class Router:
    """Sends each device's messages over the path of the runtime that carries it.

    Args:
        source: Where the selector lives; read once here, afterwards by `watch`.
        runtimes: The names under which attachments are made.
        clock: Seconds, monotonic: deadlines and soaks.
        wall: Seconds since the epoch: the expiry of overrides.
        ledger: Counts, with or without a journal.
        environment: Variables that may make the route more careful.
        shadow: Mirrors messages to twins.
        limits: How long moves may take, how much they may hold.
        router: The instance's name; a fresh one when empty.
    """

    def __init__(
        self,
        source: SelectorSource,
        *,
        runtimes: Runtimes = DEFAULT_RUNTIMES,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        ledger: Ledger | None = None,
        environment: Mapping[str, str] | None = None,
        shadow: Shadow | None = None,
        limits: MoveLimits | None = None,
        router: str = "",
    ) -> None:
        self._source, self._clock, self._wall = source, clock, wall
        ledger = ledger if ledger is not None else Ledger()
        for name in (runtimes.control, runtimes.candidate):
            ledger.runtime(name)
        self._state = RouterState(
            router=router or secrets.token_hex(4),
            runtimes=runtimes,
            ledger=ledger,
            mover=Mover(
                ledger, limits or MoveLimits(), control=runtimes.control, clock=clock, on_settled=self._settled
            ),
            shadow=shadow if shadow is not None else Shadow(),
            situation=Situation(None, runtimes=runtimes),
            environment=dict(environment or {}),
        )
        self._intake, self._lag = Intake(runtimes), LoopLag()
        self._look_at = 0.0
        self._wake_event: anyio.Event | None = None
        self._watchers: list[Callable[[], None]] = []
        if ledger.journal is not None:
            ledger.journal.on_pending = self._wake
        self.observe(source.read())

    # What it knows

    @property
    def runtimes(self) -> Runtimes:
        """The names of control and candidate."""
        return self._state.runtimes

    @property
    def ledger(self) -> Ledger:
        """What became of every message."""
        return self._state.ledger

    @property
    def selector(self) -> Selector | None:
        """The selector that is applied, without the environment; None when none is readable."""
        return self._state.selector

    @property
    def effective(self) -> Selector | None:
        """The selector as the environment leaves it; None when none is readable or the kill latch holds."""
        return None if self._state.killed else self._state.situation.selector

    @property
    def killed(self) -> str:
        """Why everything is on control; empty when the latch doesn't hold."""
        return self._state.killed

    def status(self) -> RouterStatus:
        """Return everything at one instant."""
        now = self._clock()
        return msgspec.structs.replace(survey(self._state, now=now), loop_lag_s=self._lag.worst_s(now))

    def devices(self) -> tuple[DeviceStatus, ...]:
        """Return a line for each attached device, by name."""
        wall, state = self._wall(), self._state
        return tuple(device_status(state, state.devices[name], wall=wall) for name in sorted(state.devices))

    def runtime_of(self, device: str) -> str | None:
        """Return the runtime whose path may write to a device now; None for an unknown one."""
        known = self._state.devices.get(device)
        return known.runtime if known else None

    def preview(self, selector: Selector) -> RoutePreview:
        """Say what a selector would change if it were applied now.

        Raises:
            SelectorInvalid: when it could not be applied.
        """
        self._check(selector)
        return preview(self._state, selector, wall=self._wall())

    def in_order(self, count: int) -> DevicesInOrder:
        """Return the first devices that a share alone would take, without a cohort; the way to "exactly 7"."""
        selector = self._state.selector or Selector(runtimes=self.runtimes)
        alone = selector.with_route(enabled=True, kill_switch=False, cohort=())
        return in_order(self._state, alone, count, wall=self._wall())

    def explain(self, device: str, *, component: str | None = None, session: str | None = None) -> Explanation:
        """Say why a device is where it is, or where it would be if it came now."""
        state, known = self._state, self._state.devices.get(device)
        if known is None:
            subject = Subject(device, session, component, state.mode, self._wall())
        else:
            asked = state.subject(known, now=self._wall())
            subject = msgspec.structs.replace(
                asked, session=session or asked.session, component=component or asked.component
            )
        return explain_in(state.situation, subject)

    # Devices and messages

    def attach(
        self, device: str, paths: Mapping[str, Path], *, session: str | None = None, component: str | None = None
    ) -> str:
        """Give a device attachments by runtime, beside those it has; returns the runtime that owns it.

        A path in the place of another takes over what that one had not settled.

        Raises:
            ValueError: for a runtime that this router doesn't have.
        """
        state, now = self._state, self._clock()
        names = (state.runtimes.control, state.runtimes.candidate)
        for name in paths:
            if name not in names:
                raise ValueError(f"unknown runtime {name!r}; there are {' and '.join(names)}")
        known = state.devices.get(device)
        if known is None:
            known = Device(device, state.runtimes.control, session=session, component=component)
        replaced = known.path
        known.paths.update(paths)
        if device not in state.devices:
            known.runtime = known.target = state.choose(known, now=self._wall())
            state.devices[device] = known
            state.ledger.enroll(device)
        elif replaced is not None and known.path is not replaced:
            state.mover.lost(known, replaced, now=now)
        self._place(known, now=now)
        state.mover.added(known, now=now)
        self._settled()
        return known.runtime

    def detach(self, device: str, paths: Mapping[str, Path] | None = None) -> None:
        """Take attachments away, or all with the device itself.

        With `paths`, only those that are still attached go: a late farewell of an older connection takes nothing
        from a newer one. A device without attachments is kept for `ABSENT_MAX_S`, and its messages wait for it to
        their deadlines. Without `paths` whatever is unsettled ends, and the device is forgotten.
        """
        state, now = self._state, self._clock()
        known = state.devices.get(device)
        if known is None:
            return
        if paths is None:
            state.mover.left(known, now=now)
            del state.devices[device]
            state.ledger.forget(device)
        else:
            for runtime, path in paths.items():
                if known.paths.get(runtime) is path:
                    del known.paths[runtime]
                    if runtime == known.runtime:
                        state.mover.lost(known, path, now=now)
            known.absent_since = now
            self._place(known, now=now)
        self._settled()

    def send(self, message: Message) -> Delivery:
        """Send a message to its device; never raises, the handle says how it ended.

        While the device moves the message waits in order; to a device that isn't attached it is `not_delivered`.
        """
        state = self._state
        device = state.devices.get(message.device)
        if device is None:
            delivery = Delivery()
            delivery.runtime = state.runtimes.control
            delivery.settle(Outcome.NOT_DELIVERED, reason=f"{message.device} is not attached")
        elif device.state is MoveState.CARRYING:
            path = device.path
            assert path is not None, "a carrying device has its owner's path"
            delivery = path.send(message)
            delivery.runtime = device.runtime
        else:
            delivery = state.mover.hold(device, message, now=self._clock())
        state.ledger.accept(message, delivery)
        if device is not None and self._mirrored(device):
            other = state.runtimes
            state.shadow.offer(other.candidate if device.runtime == other.control else other.control, message, delivery)
            self._wake()
        return delivery

    # Changes of route

    def observe(self, reading: SelectorReading) -> str:
        """Take a look at the selector into account; returns why it was not applied, or an empty string.

        A bad one changes nothing. One that is gone sends everything to control, and if a kill took it, latches.
        """
        refusal = self._take(reading)
        self._tell()
        return refusal

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after each look at the selector, the environment or the latch; must not raise."""
        self._watchers.append(callback)

    def apply(self, selector: Selector) -> MoveBatch:
        """Apply a selector in memory at once; the returned receipt grows until all moves are settled.

        Raises:
            SelectorInvalid: when it makes no sense here; nothing was changed.
            SelectorKilled: when the kill latch holds; only a selector in the source's place ends it.
        """
        self._check(selector)
        if self._state.killed:
            raise SelectorKilled(self._state.killed)
        return self._put(selector.at_generation(max(selector.generation, self._state.generation)))

    def kill(self, reason: str = "") -> MoveBatch:
        """Send everything to control at once, then take the selector away, so that it stays so."""
        self._state.killed = reason or "by the operator"
        batch = self._reroute(always=True)
        batch.latched = self._source.kill()
        self._intake.gone = self._intake.gone or batch.latched
        self._state.selector_state = SelectorState.KILLED
        return batch

    def set_environment(self, environment: Mapping[str, str], problem: str = "") -> None:
        """Use these variables from now on; `problem` says why an environment file could not be read."""
        self._state.environment_problem = problem
        if self._state.environment != environment:
            self._state.environment = dict(environment)
            self._reroute()
        self._tell()

    def set_mode(self, mode: str | None) -> None:
        """Use this network mode from now on; None when it isn't known."""
        self._state.mode = mode
        self._reroute()

    # Time

    def next_deadline(self) -> float:
        """When `handle_timer` should be called next, on the router's clock."""
        state, now = self._state, self._clock()
        if state.shadow.waiting:
            return now
        return min(self._look_at, state.mover.poll_at)

    def handle_timer(self) -> None:
        """Do what has come due: moves, attachments that came up, overrides that expired, mirrors, the journal."""
        state, now = self._state, self._clock()
        state.mover.poll(now=now)
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._look(now=now)
        state.shadow.pump()
        if state.ledger.journal is not None:
            state.ledger.journal.flush()
        self._settled()

    async def run(self) -> None:
        """Keep time until cancelled."""
        try:
            while True:
                self._wake_event = anyio.Event()  # Made before looking, so that no wake is lost.
                self._lag.tick(self._clock())
                self.handle_timer()
                due = min(self.next_deadline(), self._lag.due or 0.0)
                with anyio.move_on_after(max(0.0, due - self._clock())):
                    await self._wake_event.wait()
        finally:
            if self._state.ledger.journal is not None:
                self._state.ledger.journal.flush()

    # Within

    def _take(self, reading: SelectorReading) -> str:
        state = self._state
        state.selector_state = reading.state
        judgement = self._intake.judge(reading, generation=state.generation, killed=state.killed)
        state.problems = judgement.problems
        state.killed = judgement.latch or state.killed
        if judgement.gone:
            state.selector = None
            self._reroute()
        elif judgement.selector is not None:
            state.killed = ""
            self._put(judgement.selector)
        return judgement.refusal

    def _put(self, selector: Selector) -> MoveBatch:
        state = self._state
        if state.newest is not None and selector == self.effective and not state.situation.killed:
            return state.newest  # The file says what a request said already; its receipt goes on.
        # Written by hand without a number: it comes after whatever there was.
        state.generation = selector.generation or state.generation + 1
        state.selector = selector.at_generation(state.generation)
        return self._reroute(always=True)

    def _reroute(self, *, always: bool = False) -> MoveBatch:
        """Decide anew for every device, and move those that belong elsewhere: one turn, whatever their number."""
        state, now, wall = self._state, self._clock(), self._wall()
        state.situation = Situation(
            state.selector, environment=state.environment, runtimes=state.runtimes, killed=state.killed
        )
        batch = MoveBatch(state.generation, now=now)
        turned: list[Device] = []
        for device in state.devices.values():
            target = state.choose(device, now=wall)
            # What drains to where it belongs changes to a receipt only when somebody asks for one.
            if target != device.target or (always and device.state is MoveState.DRAINING):
                state.mover.turn(device, target, batch, now=now)
                turned.append(device)
        batch.routed(now=self._clock())
        state.mover.begin_drains(turned)
        batch.finish_if_empty(now=self._clock())
        if always or turned:
            state.newest = batch
        self._settled()
        self._wake()
        self._tell()
        return batch

    def _place(self, device: Device, *, now: float) -> None:
        """Decide anew for one device whose attachments have changed."""
        state = self._state
        target = state.choose(device, now=self._wall())
        if target != device.target:
            batch = MoveBatch(state.generation, now=now)
            state.mover.turn(device, target, batch, now=now)
            batch.routed(now=now)
            state.mover.begin_drains([device])
            self._wake()

    def _look(self, *, now: float) -> None:
        """Decide anew for devices that time alone may have moved."""
        state = self._state
        expiring = {name for name, override in state.situation.overrides.items() if override.expires}
        for device in list(state.devices.values()):
            if not device.paths and now - device.absent_since > ABSENT_MAX_S:
                self.detach(device.name)
            elif device.vetoed or device.state is MoveState.WAITING or device.name in expiring:
                self._place(device, now=now)

    def _check(self, selector: Selector) -> None:
        check_selector(selector)
        mismatch = self._intake.mismatch(selector)
        if mismatch:
            raise SelectorInvalid((Problem("runtimes", mismatch),))

    def _mirrored(self, device: Device) -> bool:
        selector = self._state.situation.selector
        if selector is None or self._state.killed or selector.runtime.shadow == "off":
            return False
        runtimes = self._state.runtimes
        tried = runtimes.candidate if selector.runtime.shadow == "candidate" else runtimes.control
        share = percentage_hundredths(selector.runtime.shadow_percent)
        return device.runtime != tried and position_hundredths(device.name, selector.runtime.salt) < share

    def _settled(self) -> None:
        """Let time count for the generation whose moves are settled."""
        state = self._state
        if state.mover.draining:
            state.carried.set(None, now=self._clock())
            return
        carries = (
            any(device.paths for device in state.devices.values()) and state.selector is not None and not state.killed
        )
        state.settled_generation = state.generation
        state.carried.set(state.generation if carries else None, now=self._clock())

    def _tell(self) -> None:
        for callback in tuple(self._watchers):
            callback()

    def _wake(self) -> None:
        if self._wake_event is not None:
            self._wake_event.set()
