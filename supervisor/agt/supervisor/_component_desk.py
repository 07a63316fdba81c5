"""Orders to single components: what may be asked, what it does, and what came of it; each is in the audit.

Theory of operation. An order is made durable before it is obeyed, so that it holds over a killed supervisor. What
others wait for is stopped only on request: `force`. Decommissioned is stopped for good, with a reason; archived is that
with its files kept, and for thirty days it can be revived although its own files have gone.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import msgspec

from agt.supervisor._bookkeeper import Bookkeeper
from agt.supervisor.actions import Refused
from agt.supervisor.care import ComponentList, ComponentOrder, ComponentReceipt, Verb, Why, WhyLink
from agt.supervisor.components import Component, Keeper, Order, State, why_chain
from agt.supervisor.components.archive import KEPT_S, Archive, mark_revived, read_archive, write_archive

SETTLES_WITHIN_S: Final = 8.0
"""How long an answer waits for what was asked for; what takes longer goes on, and the answer says where it is."""

_AT_REST: Final = frozenset({State.STOPPED, State.WAITING, State.BACKOFF, State.HELD_DOWN})


class ComponentDesk:
    """The components of one supervisor, one at a time."""

    def __init__(self, keeper: Keeper, run: Path, books: Bookkeeper, *, clock: Callable[[], float] = time.time) -> None:
        self._keeper, self._run, self._books, self._clock = keeper, run, books, clock
        self._orders: dict[Verb, Callable[[Component, ComponentOrder], object]] = {
            "stop": self._stop,
            "start": self._start,
            "restart": self._restart,
            "decommission": self._decommission,
            "revive": self._revive,
        }

    async def components(self) -> ComponentList:
        """Return all components, in start order."""
        return ComponentList(components=self._keeper.views)

    async def why(self, name: str) -> Why:
        """Say why a component is as it is.

        Raises:
            Refused: `unknown` when the plan has none of that name.
        """
        component = self._find(name)
        links = why_chain(name, self._keeper.standings(), self._keeper.missing)
        last, standing = links[-1]
        well = standing.state == State.READY
        return Why(
            name=name,
            state=component.view.state,
            chain=tuple(WhyLink(name=one, state=self._find(one).view.state, says=it.says) for one, it in links),
            output_of="" if well else last,
            output=() if well else self._find(last).output.last_lines(),
        )

    async def order(self, name: str, verb: Verb, order: ComponentOrder) -> ComponentReceipt:
        """Do what is asked of one component.

        Raises:
            Refused: when it can't be done; nothing was changed.
        """
        noted = f"component-{verb} {name[:64]}"
        try:
            receipt = await self._obey(self._find(name), verb, order)
        except Refused as error:
            self._books.note(noted, order, by=order.by, outcome="refused", says=str(error))
            raise
        except OSError as error:
            says = error.strerror or str(error)
            self._books.note(noted, order, by=order.by, outcome="refused", says=says)
            raise Refused("unavailable", f"{verb} {name}: {says}") from error
        self._books.note(noted, order, by=order.by, outcome="done", says=receipt.says)
        await self._books.flush()
        return receipt

    async def _obey(self, component: Component, verb: Verb, order: ComponentOrder) -> ComponentReceipt:
        kept_until = None
        if verb == "archive":
            kept_until = await self._archive(component, order)
        elif verb == "revive":
            await anyio.to_thread.run_sync(self._prepare_revival, component)
            self._revive(component, order)
        else:
            self._orders[verb](component, order)
        await self._settled(component)
        view = component.view
        until = f", its files are kept until {_day(kept_until)}" if kept_until else ""
        says = f"{view.name} is {view.state}{f': {view.detail}' if view.detail else ''}{until}"
        return ComponentReceipt(name=view.name, verb=verb, state=view.state, says=says, kept_until=kept_until)

    async def _settled(self, component: Component) -> None:
        """Wait until it rests, or is ready or has failed."""
        with anyio.move_on_after(SETTLES_WITHIN_S):
            if component.order:
                await self._keeper.until(lambda: component.state is State.STOPPED)
            else:
                await self._keeper.until(lambda: not component.turning)
                await self._keeper.until(lambda: component.state is State.READY or _has_failed(component))

    def _stop(self, component: Component, order: ComponentOrder) -> None:
        if component.order is None or component.order.state == "stopped":
            self._refuse_needed(component, self._keeper.needed_by(component.spec.name), order)
            component.rest(self._rest("stopped", order))

    def _start(self, component: Component, _order: ComponentOrder) -> None:
        self._refuse_decommissioned(component)
        component.wake()

    def _restart(self, component: Component, order: ComponentOrder) -> None:
        self._refuse_decommissioned(component)
        if component.order:
            hint = f"agt component start {component.spec.name}"
            raise Refused("refused", f"{component.spec.name} is {component.order.says}", hint)
        if component.state in _AT_REST:
            component.wake()
        else:
            by = f" by {order.by}" if order.by else ""
            component.restart(f"restarted{by}{f': {order.reason}' if order.reason else ''}")

    def _decommission(self, component: Component, order: ComponentOrder) -> None:
        if not order.reason.strip():
            raise Refused("invalid", "a component is decommissioned with a reason", "--reason TEXT")
        named = tuple(other for other in self._keeper.needed_by(component.spec.name) if self._names(other, component))
        self._refuse_needed(component, named, order)
        component.rest(self._rest("decommissioned", order))

    async def _archive(self, component: Component, order: ComponentOrder) -> float:
        decommissioned = component.order is not None and component.order.state == "decommissioned"
        if not decommissioned and not order.reason.strip():
            raise Refused("invalid", "archiving decommissions it, with a reason", "--reason TEXT")
        if not decommissioned:
            named = tuple(o for o in self._keeper.needed_by(component.spec.name) if self._names(o, component))
            self._refuse_needed(component, named, order)
        at = self._clock()
        archive = Archive(
            name=component.spec.name,
            command=component.command(),
            environment=component.own_environment,
            at=at,
            until=at + KEPT_S,
            by=order.by,
            reason=order.reason,
        )
        await anyio.to_thread.run_sync(lambda: write_archive(self._run, archive, extra=component.archived_paths))
        rest = component.order if decommissioned and component.order else self._rest("decommissioned", order)
        component.rest(msgspec.structs.replace(rest, until=archive.until))
        return archive.until

    def _prepare_revival(self, component: Component) -> None:
        """Look for what it needs; in a thread, since files are hashed."""
        order, name = component.order, component.spec.name
        if order is None or order.state != "decommissioned":
            raise Refused("refused", f"{name} is not decommissioned", f"agt component start {name}")
        if order.until is None:
            return  # Never archived: its own files are all there is.
        if order.until <= self._clock():
            raise Refused("refused", f"{name} was kept until {_day(order.until)}", "give the plan a new component")
        archive = read_archive(self._run, name)
        if archive is None:
            raise Refused("refused", f"the archive of {name} has gone", "give the plan a new component")
        mark_revived(self._run, archive, self._clock())

    def _revive(self, component: Component, _order: ComponentOrder) -> None:
        component.wake()

    def _rest(self, state: str, order: ComponentOrder) -> Order:
        return msgspec.convert({"state": state, "at": self._clock(), "by": order.by, "reason": order.reason}, Order)

    def _names(self, other: str, component: Component) -> bool:
        return component.spec.name in self._find(other).spec.depends_on

    def _refuse_needed(self, component: Component, others: tuple[str, ...], order: ComponentOrder) -> None:
        if others and not order.force:
            needs = "need" if len(others) > 1 else "needs"
            raise Refused("refused", f"{', '.join(others)} {needs} {component.spec.name}", "--force stops it anyway")

    def _refuse_decommissioned(self, component: Component) -> None:
        if component.order and component.order.state == "decommissioned":
            hint = f"agt component revive {component.spec.name}"
            raise Refused("refused", f"{component.spec.name} is {component.order.says}", hint)

    def _find(self, name: str) -> Component:
        try:
            return self._keeper.find(name)
        except KeyError:
            known = ", ".join(view.name for view in self._keeper.views) or "none"
            raise Refused("unknown", f"the plan has no component {name[:64]!r}", f"it has: {known}") from None


def _has_failed(component: Component) -> bool:
    """Whether it won't get ready soon: it waits for others, or for the end of a delay."""
    waits = component.state is State.WAITING and bool(component.detail)
    return waits or component.state in {State.BACKOFF, State.HELD_DOWN, State.STOPPED}


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
