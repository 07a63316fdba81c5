"""The way back, rehearsed: one probe device goes to the candidate and back to control, timed by the routers.

A way back that nobody has walked is a hope. So a probe is forced to the candidate, seen there, and ordered back through
the very path that a rollback takes: every router told over its socket, the file written after. The time counts from
the order until the routers say that the move has settled, and where the device is then is looked up, not inferred.
Only an override of that one device changes, and it expires by itself, should we die in between.
"""

from collections.abc import Awaitable, Callable
from fnmatch import fnmatchcase
from typing import Final

import anyio
import msgspec

from agt.supervisor._session_desk import SessionDesk
from agt.supervisor.actions import Action, Refused
from agt.supervisor.rollout._durations import format_duration, parse_duration
from agt.supervisor.rollout._effects import RaiseAlert, ResolveAlerts
from agt.supervisor.rollout._inspector import Scene
from agt.supervisor.rollout._plan import RECHECK_FLOOR_S, Plan
from agt.supervisor.rollout._plan_file import Check
from agt.supervisor.rollout._state import State, Status
from agt.supervisor.rollout._verdict import Judgement, Verdict
from agt.supervisor.rollout._way import Way
from agt.supervisor.sessions import SessionView
from agt.supervisor.view import Receipt, RehearsalView

OWNER: Final = "way-back"
"""Owner of the probe's override, and source of the alert that stands while the way back is broken."""
COME_WITHIN_S: Final = 10.0
"""How long the probe may take to the candidate; longer says nothing of the way back."""
LET_GO_WITHIN_S: Final = 5.0
EXPIRES_S: Final = 120.0
"""The override ends by itself after so long, whatever becomes of us."""
POLL_S: Final = 0.05
PAGES_MAX: Final = 20
"""Pages of sessions that are looked through for a probe."""
REHEARSALS_MAX: Final = 50
"""Rehearsals that are remembered here; older ones are in the journal."""
_ANY_VERSION: Final = 1 << 53
"""Our own steps are based on no view."""
_WILD: Final = "*?["


class Rehearsals:
    """Rehearses the way back, when asked or when the last time is too long ago."""

    def __init__(
        self,
        plan: Plan,
        way: Way,
        *,
        state: Callable[[], State],
        act: Callable[[Action], Awaitable[Receipt]],
        keep: Callable[[RehearsalView], Awaitable[None]],
        tell: Callable[[RaiseAlert | ResolveAlerts], None],
        clock: Callable[[], float],
    ) -> None:
        """Prepare; nothing is moved before somebody asks.

        Args:
            plan: Whose way back.
            way: To the routers.
            state: Returns the rollout's present state.
            act: Does what an operator could do.
            keep: Writes a rehearsal into journal and audit; never raises.
            tell: Raises and resolves alerts.
            clock: Seconds since the epoch.
        """
        self._plan, self._way, self._desk = plan, way, SessionDesk(way.sockets)
        self._state, self._act, self._keep, self._tell, self._clock = state, act, keep, tell, clock
        self._one = anyio.Lock()
        self.views: tuple[RehearsalView, ...] = ()
        """What was rehearsed, oldest first."""

    def remember(self, known: tuple[RehearsalView, ...]) -> None:
        """Go on with what earlier supervisors have rehearsed."""
        self.views = known[-REHEARSALS_MAX:]

    async def look(self, check: Check, scene: Scene) -> Judgement:
        """Judge the newest rehearsal, and rehearse when it is too old: the check that gates ask for."""
        wanted = check.way_back
        assert wanted is not None, "the plan check lets no check without its kind through"
        limit_s, squeeze = parse_duration(wanted.at_most), scene.plan.squeeze
        within_s = max(RECHECK_FLOOR_S, parse_duration(wanted.within) / squeeze)
        last = self._last(wanted.device)
        if last is not None and not _in_time(last, limit_s):
            within_s = min(
                within_s, scene.plan.recheck_s(check.name)
            )  # Broken: tried again as often as it is looked at.
        if last is None or scene.now - last.at > within_s:
            if self._state().status is not Status.RUNNING:
                return Judgement(Verdict.PENDING, f"not rehearsed while the rollout is {self._state().status}")
            try:
                last = await self.rehearse(wanted.device, at_most_s=limit_s, by="the plan")
            except Refused as error:
                return Judgement(Verdict.PENDING, f"can't be rehearsed now: {error}")
        return _judged(last, limit_s, now=self._clock())

    async def asked(self, action: Action) -> Receipt:
        """Rehearse because an operator wants it; whom, and how fast, is the plan's where the order doesn't say.

        Raises:
            Refused: when it can't be done, or the way back is broken or too slow.
        """
        known = next((check.way_back for check in self._plan.file.check if check.way_back), None)
        device = action.device or (known.device if known else "")
        if not device:
            raise Refused("invalid", "a rehearsal needs a device", "say which: agt rehearse-back DEVICE")
        limit_s = parse_duration(known.at_most) if known else None
        done = await self.rehearse(device, at_most_s=limit_s, by=action.by or "operator")
        if done.problem or (limit_s is not None and not _in_time(done, limit_s)):
            raise Refused("refused", _judged(done, limit_s or 0.0, now=done.at).reason, "nothing should go forward")
        return Receipt(
            action=action.action, says=done_in_words(done), routed_ms=done.routed_ms, settled_ms=done.settled_ms
        )

    async def rehearse(self, pattern: str, *, at_most_s: float | None, by: str) -> RehearsalView:
        """Take a probe there and back, keep what came of it, and alert when it was broken or too slow.

        Raises:
            Refused: when no probe can be taken to the candidate now; it says nothing about the way back.
        """
        async with self._one:
            probe = await self._probe(pattern)
            try:
                await self._go(probe.device, by=by)
                done = await self._come_back(probe, by=by)
            finally:
                with anyio.move_on_after(LET_GO_WITHIN_S, shield=True):
                    await self._let_go(probe.device)
        self.views = (*self.views, done)[-REHEARSALS_MAX:]
        if done.problem or (at_most_s is not None and not _in_time(done, at_most_s)):
            # No figures: the same trouble again is the same alert.
            slow = f"the way back with {done.device} takes longer than {format_duration(at_most_s or 0.0)}"
            says = f"the way back with {done.device} is broken: {done.problem}" if done.problem else slow
            self._tell(RaiseAlert("escalate" if done.problem else "degraded", OWNER, says))
        else:
            self._tell(ResolveAlerts(OWNER))
        await self._keep(done)
        return done

    async def _probe(self, pattern: str) -> SessionView:
        """Return the first attached device by name that the pattern means."""
        after = _before(pattern)
        for _ in range(PAGES_MAX):
            page = await self._desk.page(after=after)
            for session in page.sessions:
                if fnmatchcase(session.device, pattern) and session.state == "carrying":
                    self._refuse_if_forced(session.device)
                    return session
            if page.missing:
                raise Refused("unavailable", f"{', '.join(sorted(page.missing))} doesn't say which devices it has")
            if not (after := page.after):
                break
        raise Refused("refused", f"no attached device is called {pattern}", "attach the probe, or name another")

    def _refuse_if_forced(self, device: str) -> None:
        selector = self._way.read().selector
        for one in selector.overrides if selector else ():
            expired = one.expires is not None and one.expires.timestamp() <= self._clock()
            if one.device == device and one.owner != OWNER and not expired:
                raise Refused("refused", f"{device} is forced to {one.runtime} by {one.owner}", "take another probe")

    async def _go(self, device: str, *, by: str) -> None:
        """Take the probe to the candidate, and see it there."""
        await self._force(device, "candidate", by=by)
        with anyio.move_on_after(COME_WITHIN_S):
            while True:
                if await self._is_on(device, self._plan.candidate):
                    return
                await anyio.sleep(POLL_S)
        says = f"{device} did not come to {self._plan.candidate} within {COME_WITHIN_S:g} s"
        raise Refused("unavailable", says, "is it attached there?")

    async def _come_back(self, probe: SessionView, *, by: str) -> RehearsalView:
        """Order the probe back as a rollback would, and time it."""
        at, began = self._clock(), anyio.current_time()
        receipt = await self._force(probe.device, "control", by=by)
        settled_s = None
        async for found in self._way.settling(self._state().generation, began=began):
            settled_s = found.settled_s
            if settled_s is not None:
                break
        problem = f"not confirmed by {', '.join(receipt.missing)}" if receipt.missing else ""
        if settled_s is None:
            problem = problem or "its move did not settle"
        elif not problem and not await self._is_on(probe.device, self._plan.control):
            problem = f"the routers say settled, and it is not on {self._plan.control}"
        return RehearsalView(
            at=at,
            device=probe.device,
            router=probe.router,
            by=by,
            phase=self._plan.phases[self._state().phase].name,
            routed_ms=receipt.routed_ms,
            settled_ms=None if settled_s is None else settled_s * 1000,
            problem=problem,
        )

    async def _let_go(self, device: str) -> None:
        """End the override; back first, should it still be on the candidate. What is refused now, expires."""
        selector = self._way.read().selector
        ours = [one for one in (selector.overrides if selector else ()) if one.device == device and one.owner == OWNER]
        if not ours:
            return
        try:
            if ours[0].runtime == self._plan.candidate:
                await self._force(device, "control", by="agt")
            await self._act(Action(action="override", device=device, by=OWNER, version=_ANY_VERSION))
        except Refused as error:
            self._tell(RaiseAlert("warn", OWNER, f"the override of {device} ends by itself: {error}"))

    async def _force(self, device: str, side: str, *, by: str) -> Receipt:
        order = {
            "action": "override",
            "device": device,
            "side": side,
            "by": OWNER,
            "reason": f"way back rehearsed for {by}",
            "expires_at": self._clock() + EXPIRES_S,
            "version": _ANY_VERSION,
        }
        return await self._act(msgspec.convert(order, Action))

    async def _is_on(self, device: str, runtime: str) -> bool:
        page = await self._desk.page(after=_before(device))
        return any(one.device == device and one.runtime == runtime and one.state == "carrying" for one in page.sessions)

    def _last(self, pattern: str) -> RehearsalView | None:
        return next((one for one in reversed(self.views) if fnmatchcase(one.device, pattern)), None)


def done_in_words(done: RehearsalView) -> str:
    """Return what was rehearsed, in a sentence."""
    settled = "not settled" if done.settled_ms is None else f"back in {done.settled_ms:,.0f} ms"
    return f"way back rehearsed with {done.device}: {done.problem or settled}"


def _in_time(done: RehearsalView, limit_s: float) -> bool:
    return not done.problem and done.settled_ms is not None and done.settled_ms <= limit_s * 1000


def _judged(done: RehearsalView, limit_s: float, *, now: float) -> Judgement:
    """Return how a rehearsal stands to the limit."""
    ago = format_duration(max(0.0, now - done.at))
    if done.problem or done.settled_ms is None:
        return Judgement(Verdict.FAILED, f"the way back is broken: {done.device}, {done.problem}", samples=1)
    took = f"{done.device} was back in {done.settled_ms:,.0f} ms of {limit_s * 1000:,.0f} ms, {ago} ago"
    verdict = Verdict.PASSED if _in_time(done, limit_s) else Verdict.FAILED
    return Judgement(verdict, took, done.settled_ms / 1000, samples=1)


def _before(pattern: str) -> str:
    """Return a name after which every device that a pattern means comes, by order of names."""
    literal = pattern[: min((pattern.index(mark) for mark in _WILD if mark in pattern), default=len(pattern))]
    return literal[:-1]
