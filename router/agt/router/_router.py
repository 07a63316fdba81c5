"""The router: applies the selector to each message, moves devices between paths, keeps the ledger.

Everything here is synchronous and takes its time from two clocks that are given: a change of route, for one device
or ten thousand, is one turn of the loop, and nothing can interleave with it. `run` is the only coroutine: it
waits until something is due and calls `handle_timer`. All methods must be called on the loop's own thread.

This is the door: it sends, and says what there is. `Steering` changes the route, `Roster` keeps the devices,
`Timekeeper` the time; all share one `RouterState`.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from agt.router._batch import MoveBatch
from agt.router._bell import Bell
from agt.router._decision import DEFAULT_RUNTIMES, Situation, Subject, choose
from agt.router._device import Device
from agt.router._explain import Explanation, explain_in
from agt.router._ledger import Ledger
from agt.router._mode import ModeReport
from agt.router._move import MoveState
from agt.router._mover import MoveLimits, Mover
from agt.router._path import Message, Path
from agt.router._restart import Restart, RestartOrder, restart
from agt.router._roster import Roster
from agt.router._selector import Runtimes, Selector
from agt.router._selector_file import SelectorReading
from agt.router._sessions import SESSIONS_PAGE_MAX, SessionPage, session_page
from agt.router._state import RouterState
from agt.router._status import DevicesInOrder, DeviceStatus, RoutePreview, RouterStatus
from agt.router._steering import SelectorSource, Steering
from agt.router._survey import device_status, in_order, preview, survey
from agt.router._timekeeper import Timekeeper
from agt.router.shadow import Shadow, ShadowReport, report
from agt.transport import Delivery, Outcome, Way

_CARRYING: Final = MoveState.CARRYING  # An enumeration's members are slow to look up.


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
        redial_per_s: How many callers the gateway's listener takes in each second (`ConnectBudget.connects_per_s`);
            receipts show it beside the number of devices that have to dial.
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
        redial_per_s: float | None = None,
        router: str = "",
    ) -> None:
        ledger = ledger if ledger is not None else Ledger()
        for name in (runtimes.control, runtimes.candidate):
            ledger.runtime(name)
        self._state = RouterState(
            router=router or secrets.token_hex(4),
            runtimes=runtimes,
            clock=clock,
            wall=wall,
            ledger=ledger,
            mover=Mover(
                ledger, limits or MoveLimits(), control=runtimes.control, clock=clock, on_settled=self._settled
            ),
            shadow=shadow if shadow is not None else Shadow(),
            situation=Situation(None, runtimes=runtimes),
            environment=dict(environment or {}),
            redial_per_s=redial_per_s,
        )
        ledger.known = self._state.devices
        self._bell = Bell()
        self._steering = Steering(self._state, source, self._bell)
        self._roster = Roster(self._state, self._steering)
        self._timekeeper = Timekeeper(self._state, self._roster, self._bell)
        self._state.shadow.keep_time(clock, wall)
        if ledger.journal is not None:
            ledger.journal.on_pending = self._bell.ring
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
        return self._state.effective

    @property
    def killed(self) -> str:
        """Why everything is on control; empty when the latch doesn't hold."""
        return self._state.killed

    def status(self) -> RouterStatus:
        """Return everything at one instant."""
        state = self._state
        return msgspec.structs.replace(survey(state, now=state.clock()), loop_lag_s=self._timekeeper.lag_s)

    def shadow_report(self) -> ShadowReport:
        """Return what the comparisons of mirrored messages say, field by field."""
        return report(self._state.shadow, wall=self._state.wall())

    def restart_shadow(self) -> None:
        """Forget what they said: after a change of either system the old counts speak of another."""
        self._state.shadow.restart()

    def devices(self) -> tuple[DeviceStatus, ...]:
        """Return a line for each attached device, by name."""
        state, wall = self._state, self._state.wall()
        return tuple(device_status(state, state.devices[name], wall=wall) for name in sorted(state.devices))

    def runtime_of(self, device: str) -> str | None:
        """Return the runtime whose path may write to a device now; None for an unknown one."""
        known = self._state.devices.get(device)
        return known.runtime if known else None

    def belongs(self, device: str, *, component: str | None = None) -> str:
        """Return the runtime that new work for a device goes to, where work need not wait for older work.

        During a move that is already the new one, while `runtime_of` names the path that drains. Of a device that
        isn't attached it says where it would be if it came now.
        """
        state, known = self._state, self._state.devices.get(device)
        if known is None:
            return choose(state.situation, Subject(device, None, component, state.mode, state.wall()))
        if component is None or component == known.component:
            return known.target
        asked = msgspec.structs.replace(state.subject(known, now=state.wall()), component=component)
        return choose(state.situation, asked)

    def chosen(self, device: str) -> str:
        """Decide for a device as a change of route does, and change nothing; an unknown one as if it came now."""
        state, known = self._state, self._state.devices.get(device)
        if known is None:
            return choose(state.situation, Subject(device, None, None, state.mode, state.wall()))
        return state.choose(known)

    def tried_beside(self, device: str, runtime: str) -> str | None:
        """Return the runtime that gets a mirrored copy of what this one answers for a device; None for no copy."""
        mirroring = self._state.mirroring
        covered = mirroring is not None and mirroring.covers_name(device, runtime)
        return mirroring.tried if mirroring is not None and covered else None

    def preview(self, selector: Selector) -> RoutePreview:
        """Say what a selector would change if it were applied now.

        Raises:
            SelectorInvalid: when it could not be applied.
        """
        self._steering.check(selector)
        return preview(self._state, selector, wall=self._state.wall())

    def in_order(self, count: int) -> DevicesInOrder:
        """Return the first devices that a share alone would take, without a cohort; the way to "exactly 7"."""
        selector = self._state.selector or Selector(runtimes=self.runtimes)
        alone = selector.with_route(enabled=True, kill_switch=False, cohort=())
        return in_order(self._state, alone, count, wall=self._state.wall())

    def explain(self, device: str, *, component: str | None = None, session: str | None = None) -> Explanation:
        """Say why a device is where it is, or where it would be if it came now."""
        state, known = self._state, self._state.devices.get(device)
        if known is None:
            subject = Subject(device, session, component, state.mode, state.wall())
        else:
            asked = state.subject(known, now=state.wall())
            subject = msgspec.structs.replace(
                asked, session=session or asked.session, component=component or asked.component
            )
        return msgspec.structs.replace(explain_in(state.situation, subject), attached=known is not None)

    # Devices and messages

    def attach(
        self, device: str, paths: Mapping[str, Path], *, session: str | None = None, component: str | None = None
    ) -> str:
        """Give a device attachments by runtime, beside those it has; returns the runtime that owns it.

        A path in the place of another takes over what that one had not settled. A device that comes under another
        session's name, or after more than `SESSION_GRACE_S` without any attachment, begins a new session.

        Raises:
            ValueError: for a runtime that this router doesn't have.
        """
        return self._roster.attach(device, paths, session=session, component=component)

    def detach(self, device: str, paths: Mapping[str, Path] | None = None) -> None:
        """Take attachments away, or all with the device itself.

        With `paths`, only those that are still attached go: a late farewell of an older connection takes nothing
        from a newer one. A device without attachments is kept for `ABSENT_MAX_S`, and its messages wait for it to
        their deadlines. Without `paths` whatever is unsettled ends, and the device is forgotten.
        """
        self._roster.detach(device, paths)

    def send(self, message: Message) -> Delivery:
        """Send a message to its device; never raises, the handle says how it ended.

        While the device moves the message waits in order; to a device that isn't attached it is `not_delivered`.
        """
        state = self._state
        device = state.devices.get(message.device)
        if device is None or device.state is not _CARRYING:
            delivery = self._hold(device, message)
        else:
            path = device.path
            assert path is not None, "a carrying device has its owner's path"
            delivery = path.send(message)
            page = device.page
            if page is None:
                page = device.page = state.ledger.page(device.name, device.runtime)
            page.accept(message, delivery)
        mirroring = state.mirroring
        if mirroring is not None and device is not None and mirroring.covers(device):
            state.shadow.offer(mirroring.tried, message, delivery)
            self._bell.ring()
        return delivery

    # Live sessions

    def sessions(
        self, *, runtime: str = "", pinned: bool = False, after: str = "", limit: int = SESSIONS_PAGE_MAX
    ) -> SessionPage:
        """Return live sessions in the order of their devices' ids, a page at a time.

        Args:
            runtime: Only those that live there; all when empty.
            pinned: Only those that nothing but a pin keeps where they are.
            after: The device after which the page begins, as the page before says.
            limit: How many at most; never more than `SESSIONS_PAGE_MAX`.
        """
        return session_page(self._state, runtime=runtime, pinned=pinned, after=after, limit=limit)

    def restart_sessions(self, order: RestartOrder) -> Restart:
        """End sessions between commands and let the next ones be placed anew; the receipt grows until all are settled.

        Raises:
            RestartRefused: when another selector is applied than the one the order was thought of under.
        """
        return restart(self._state, self._bell, order)

    def end_session(self, device: str) -> None:
        """Say that a device's session has ended though its attachments stay; the next one is placed anew.

        It moves between commands, if it moves. A no-op without a live session.
        """
        self._roster.end_session(device)

    # Changes of route

    def observe(self, reading: SelectorReading) -> str:
        """Take a look at the selector into account; returns why it was not applied, or an empty string.

        A bad one changes nothing. One that is gone sends everything to control, and if a kill took it, latches.
        """
        return self._steering.observe(reading)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after each look at the selector, the environment or the latch; must not raise."""
        self._steering.on_change(callback)

    def apply(self, selector: Selector) -> MoveBatch:
        """Apply a selector in memory at once; the returned receipt grows until all moves are settled.

        Raises:
            SelectorInvalid: when it makes no sense here; nothing was changed.
            SelectorKilled: when the kill latch holds; only a selector in the source's place ends it.
        """
        return self._steering.apply(selector)

    def kill(self, reason: str = "") -> MoveBatch:
        """Send everything to control at once, then take the selector away, so that it stays so."""
        return self._steering.kill(reason)

    def set_environment(self, environment: Mapping[str, str], problem: str = "") -> None:
        """Use these variables from now on; `problem` says why an environment file could not be read."""
        self._steering.set_environment(environment, problem)

    def set_mode(self, mode: str | None, report: ModeReport | None = None) -> None:
        """Use this network mode from now on; None when it isn't known. The report goes into the status."""
        self._steering.set_mode(mode, report)

    def ways(self) -> Iterator[Way]:
        """Yield the way to each attached device that can be measured: the candidate's session, or control's."""
        runtimes = self._state.runtimes
        for device in self._state.devices.values():
            found = (getattr(device.paths.get(name), "way", None) for name in (runtimes.candidate, runtimes.control))
            ways = [way for way in found if way is not None]
            if ways:
                yield next((way for way in ways if way.connected), ways[0])

    def wall(self) -> float:
        """Return the time in seconds since the epoch, on this router's clock."""
        return self._state.wall()

    # Time

    def next_deadline(self) -> float:
        """When `handle_timer` should be called next, on the router's clock."""
        return self._timekeeper.next_deadline()

    def handle_timer(self) -> None:
        """Do what has come due: moves, attachments that came up, overrides that expired, mirrors, the journal."""
        self._timekeeper.handle_timer()

    async def run(self) -> None:
        """Keep time until cancelled."""
        await self._timekeeper.run()

    def _hold(self, device: Device | None, message: Message) -> Delivery:
        """Keep a message for a device that moves; refuse it for one that isn't attached."""
        state = self._state
        if device is not None:
            delivery = state.mover.hold(device, message, now=state.clock())
        else:
            delivery = Delivery()
            delivery.runtime = state.runtimes.control
            delivery.settle(Outcome.NOT_DELIVERED, reason=f"{message.device} is not attached")
        state.ledger.accept(message, delivery)
        return delivery

    def _settled(self) -> None:
        self._state.count_carried()
