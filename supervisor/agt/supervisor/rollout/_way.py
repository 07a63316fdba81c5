"""The way to the routers: the selector file for going forward, their own sockets for going back.

Forward: the file is written by compare-and-swap, and routers read it. Back: every router is told at once over its
socket, then the file is written; when the disk refuses it, the selector is renamed aside, which needs no space and
sends everything to control. Whatever is asked for twice is done once: a file that has the generation is left alone.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import anyio
import anyio.to_thread
import msgspec

from agt.router import (
    ORDERED_MAX,
    DevicesInOrder,
    GenerationConflict,
    RouterError,
    Runtimes,
    Selector,
    SelectorFile,
    SelectorKilled,
    SelectorReading,
    format_selector,
    moves_at,
    order,
)
from agt.supervisor._answers import answer_of, missing, slowest
from agt.supervisor.actions import Refused
from agt.supervisor.measure import RequestFailed, RouterStatus, request
from agt.supervisor.rollout._amend import amended
from agt.supervisor.rollout._counting import Counts
from agt.supervisor.rollout._effects import Kill, SetRoute
from agt.supervisor.rollout._moves import Moves, added
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_file import Route
from agt.supervisor.rollout._state import Share
from agt.supervisor.view import RollbackView, RouterAnswer

TELL_TIMEOUT_S: Final = 2.0
"""How long a router may take to confirm that it goes back."""
SETTLE_TIMEOUT_S: Final = 15.0
"""How long we watch a router's moves settle."""
SETTLE_POLL_S: Final = 0.02
_FIGURES: Final = ("moved", "resent", "indeterminate")
CONFLICTS_MAX: Final = 3
"""How often going back reads the file again when somebody wrote it first, before it is renamed aside."""


class RouteRefused(Exception):
    """Raised when a forward route could not be written; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came of telling the routers to go back."""

    answers: tuple[RouterAnswer, ...] = ()
    """What each router said."""
    latched: bool = False
    """Whether the selector was renamed aside, so that everything stays on control."""
    rollback: RollbackView | None = None
    """The account that was opened for it; None for what is no way back in the ladder."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Sockets of the routers that did not confirm."""
        return tuple(one.router for one in missing(self.answers))

    @property
    def routed_ms(self) -> float | None:
        """Milliseconds until the last router's confirmation, missing ones aside; None when none confirmed."""
        last = slowest(self.answers)
        return last.ms if last else None


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the messages that were on the way."""

    settled_s: float | None
    """Until the last router had settled its moves; None when that didn't happen in time."""
    moved: int = 0
    resent: int = 0
    indeterminate: int = 0


class Way:
    """The selector file and the routers of one run."""

    def __init__(self, plan: Plan, run: Path) -> None:
        self._plan = plan
        self._runtimes = Runtimes(control=plan.control, candidate=plan.candidate)
        self._file = SelectorFile(run / "selector.toml", runtimes=self._runtimes)
        self._last = Selector(runtimes=self._runtimes)
        self.sockets = {name: run / name for name in plan.routers}
        """Where each router listens."""

    def read(self) -> SelectorReading:
        """Return what the selector file says now."""
        reading = self._file.read()
        if reading.selector is not None:
            self._last = reading.selector
        return reading

    async def go_forward(self, effect: SetRoute) -> None:
        """Write a route that gives the candidate more.

        Raises:
            RouteRefused: if the disk or another writer was against it.
        """
        reading = self.read()
        found = self._last if reading.selector is not None else self._killed_or_fresh(effect)
        if reading.selector is not None and found.generation >= effect.generation:
            return
        selector = self._selector(effect, found)
        try:
            await self._write(selector, expected=found.generation, read=reading.selector, after_kill=effect.ends_kill)
        except RouteRefused:
            # An operator's way back, which waits for nobody, may have written while a check did: then that counts.
            now = self.read().selector
            if now is None or now.generation < effect.generation:
                raise

    async def number(self, generation: int) -> None:
        """Give a selector that was written by hand the number that it counts as; nothing else in it changes.

        Raises:
            RouteRefused: if the disk or another writer was against it.
        """
        found = self.read().selector
        if found is not None and found.generation < generation:
            await self._write(found.at_generation(generation), expected=found.generation, read=found)

    async def go_back(self, effect: SetRoute) -> Told:
        """Tell every router at once, then write the file; never raises."""
        selector = self._selector(effect, self._last)
        body = format_selector(selector).encode()
        answers = await self._tell("/selector", body)
        latched = await anyio.to_thread.run_sync(lambda: self._write_back(effect))
        return Told(answers, latched)

    async def kill(self, effect: Kill) -> Told:
        """Tell every router to kill and rename the selector aside, side by side: neither waits for a hung router.

        Never raises.
        """
        latched, answers = False, tuple[RouterAnswer, ...]()

        async def latch() -> None:
            nonlocal latched
            latched = await anyio.to_thread.run_sync(self._file.kill)

        async with anyio.create_task_group() as group:
            group.start_soon(latch)
            answers = await self._tell(f"/kill?reason={quote(effect.reason[:200])}", b"")
        return Told(answers, latched)

    async def settling(self, generation: int, *, began: float) -> AsyncIterator[Settled]:
        """Yield what became of the moves to a generation until nothing more will; `began` is the loop's clock.

        Settled is not quite the end: what a device that waits for an attachment has to send again is counted when it
        has one.
        """
        statuses: dict[str, RouterStatus] = {}
        found = Settled(None)
        while anyio.current_time() < began + SETTLE_TIMEOUT_S:
            await self._each(lambda name, path: self._ask_status(name, path, statuses))
            settled_s = found.settled_s
            if settled_s is None and _all_settled(statuses, self.sockets, generation):
                settled_s = anyio.current_time() - began
            moves = [status.moves for status in statuses.values()]
            sums = {key: sum(int(one.get(key) or 0) for one in moves) for key in _FIGURES}
            if any(status.generation > generation and not status.killed for status in statuses.values()):
                sums = {}  # Another change of route: the routers count that one's moves now, ours still settle.
            found = replace(found, settled_s=settled_s, **{key: max(n, getattr(found, key)) for key, n in sums.items()})
            yield found
            if settled_s is not None and not any(one.get("waiting") for one in moves):
                return
            await anyio.sleep(SETTLE_POLL_S)

    async def preview(self, effect: SetRoute | Kill) -> Moves:
        """Return what a change of route would move, asked of every router with the very selector that it would get.

        Raises:
            RequestFailed: if a router doesn't answer.
        """
        base = self.read().selector or self._last
        if isinstance(effect, Kill):
            selector = base.with_route(kill_switch=True)
        else:
            selector = self._selector(effect, self._killed_or_fresh(effect) if effect.ends_kill else base)
        body = format_selector(selector).encode()
        found: list[Moves] = []
        for path in self.sockets.values():
            answer = await request(path, "POST", "/preview", body=body, timeout_s=TELL_TIMEOUT_S)
            if not answer.ok:
                raise RequestFailed(path, f"answers {answer.status} to a preview")
            try:
                found.append(msgspec.json.decode(answer.body, type=Moves))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise RequestFailed(path, f"answers a preview that can't be read: {error}") from error
        return added(found)

    async def last_of(self, count: int) -> tuple[str, float]:
        """Return the last of so many devices, and the percentage that takes it; no name when there is none.

        Raises:
            Refused: when so many can't be had.
            RequestFailed: when a router doesn't answer.
        """
        base = self.read().selector or self._last
        answers = [await self._order(path, count) for path in self.sockets.values()]
        by_name, others = sum(one.by_name for one in answers), sum(one.total for one in answers)
        if count == 0:
            return "", 0.0
        if count <= by_name:
            raise Refused("refused", f"{by_name} devices are on the candidate by override", "end some of these first")
        if count > by_name + others:
            raise Refused("refused", f"there are only {by_name + others} devices that the candidate could carry")
        if count - by_name > ORDERED_MAX:
            raise Refused("invalid", f"more than {ORDERED_MAX:,} devices can't be counted out", "set a percentage")
        salt = base.runtime.salt
        names = sorted((name for one in answers for name in one.devices), key=lambda name: order(name, salt))
        last = names[count - by_name - 1]
        return last, moves_at(last, salt)

    async def counts(self, numbers: Iterable[int]) -> Counts:
        """Return what numbers of devices are as shares now; those that can't be had say why."""
        counts = Counts()
        for number in numbers:
            try:
                last, percent = await self.last_of(number)
            except (Refused, RequestFailed) as error:
                counts.missing[number] = error.message if isinstance(error, Refused) else str(error)
            else:
                counts.shares[number] = Share(percent=percent, up_to=last)
        return counts

    async def _order(self, path: Path, count: int) -> DevicesInOrder:
        answer = await request(path, "GET", f"/order?count={count}", timeout_s=TELL_TIMEOUT_S)
        if not answer.ok:
            raise RequestFailed(path, f"answers {answer.status} to a count")
        try:
            return msgspec.json.decode(answer.body, type=DevicesInOrder)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RequestFailed(path, f"answers a count that can't be read: {error}") from error

    def _selector(self, effect: SetRoute, base: Selector) -> Selector:
        if effect.route is not None:
            keys = _keys(effect.route, self._plan) | {"up_to": effect.up_to}
            if effect.up_to:
                keys |= {"percentage": None, "enabled": True}
            components = {**base.components, **effect.route.components}
            if effect.route.pin_live_sessions is not None:
                keys["pin_live_sessions"] = effect.route.pin_live_sessions
            base = msgspec.structs.replace(base.with_route(**keys), components=components)
        if effect.amendment is not None:
            base = amended(base, effect.amendment)
        return base.at_generation(effect.generation)

    def _killed_or_fresh(self, effect: SetRoute) -> Selector:
        killed = self._file.killed_selector() if effect.ends_kill else None
        return killed or Selector(runtimes=self._runtimes)

    async def _write(
        self, selector: Selector, *, expected: int, read: Selector | None, after_kill: bool = False
    ) -> None:
        try:
            await anyio.to_thread.run_sync(
                lambda: self._file.write(selector, expected=expected, read=read, after_kill=after_kill)
            )
        except RouterError as error:
            raise RouteRefused(str(error)) from error

    def _write_back(self, effect: SetRoute) -> bool:
        """Write the file that routers already follow; rename it aside when that fails. True when renamed."""
        for _ in range(CONFLICTS_MAX):
            present = self._file.read().selector
            # What somebody else wrote beside the route, since we read it, stays.
            selector = self._selector(effect, present or self._last)
            if present == selector:
                return False  # Asked for twice, by an operator and by a check that found it not written yet.
            found = present.generation if present else 0
            wanted = selector.at_generation(max(selector.generation, found + 1))
            try:
                self._file.write(wanted, expected=found, read=present, force=True)
            except GenerationConflict:
                continue
            except SelectorKilled:
                return True
            except RouterError:
                break
            return False
        self._file.kill()
        return True

    async def _tell(self, target: str, body: bytes) -> tuple[RouterAnswer, ...]:
        """Tell every router at the same time; the answers in the plan's order, missing ones with why."""
        began, answers = anyio.current_time(), dict[str, RouterAnswer]()

        async def tell(name: str, path: Path) -> None:
            try:
                answer = await request(path, "POST", target, body=body, timeout_s=TELL_TIMEOUT_S)
            except RequestFailed as error:
                answers[name] = RouterAnswer(router=name, why=error.says)
            else:
                ms = (anyio.current_time() - began) * 1000
                answers[name] = answer_of(name, answer.status, answer.body, ms=ms)

        await self._each(tell)
        return tuple(answers[name] for name in self.sockets)

    async def _ask_status(self, name: str, path: Path, statuses: dict[str, RouterStatus]) -> None:
        try:
            answer = await request(path, "GET", "/status", timeout_s=TELL_TIMEOUT_S)
            statuses[name] = msgspec.json.decode(answer.body, type=RouterStatus)
        except (RequestFailed, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            statuses.pop(name, None)

    async def _each(self, job: Callable[[str, Path], Coroutine[Any, Any, None]]) -> None:
        async with anyio.create_task_group() as group:
            for name, path in self.sockets.items():
                group.start_soon(job, name, path)


def _all_settled(statuses: dict[str, RouterStatus], sockets: dict[str, Path], generation: int) -> bool:
    return len(statuses) == len(sockets) and all(
        not status.moves.get("moving") if status.killed else status.settled_generation >= generation
        for status in statuses.values()
    )


def _keys(route: Route, plan: Plan) -> dict[str, object]:
    """Return the keys of `[runtime]` that a route stands for."""
    by_default = route.default == "candidate"
    return {
        "default": plan.candidate if by_default else plan.control,
        "enabled": route.sends,
        "cohort": route.cohort,
        "percentage": None if by_default else route.percent,
        "shadow": route.shadow,
        "legacy_listener": route.legacy_listener,
        "kill_switch": False,
    }
