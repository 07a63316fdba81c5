"""Performing what a step asks for, and keeping account of every way back with its times."""

import contextlib
from dataclasses import replace
from functools import partial
from typing import Final

import anyio
from anyio.abc import TaskGroup

from agt.supervisor._answers import missing
from agt.supervisor.records import StoreUnavailable
from agt.supervisor.rollout._books import Books
from agt.supervisor.rollout._effects import Kill, Number, OpenIncident, RaiseAlert, ResolveAlerts, SetRoute
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._recorder import Recorder
from agt.supervisor.rollout._rollbacks import Rollbacks
from agt.supervisor.rollout._state import Event, State
from agt.supervisor.rollout._step import Step
from agt.supervisor.rollout._way import RouteRefused, Told, Way
from agt.supervisor.view import RollbackView

SELECTOR: Final = "selector"
"""Source of the alert that stands while the selector can't be written."""
_BACK: Final = (Event.ROLLED_BACK.value, Event.STEPPED_BACK.value, Event.KILLED.value)


class Performer:
    """The effects' hands. Nothing here decides."""

    def __init__(
        self, plan: Plan, way: Way, recorder: Recorder, books: Books, rollbacks: Rollbacks, group: TaskGroup
    ) -> None:
        self._plan, self._way, self._recorder, self._group = plan, way, recorder, group
        self._books, self._rollbacks = books, rollbacks

    async def perform(self, done: Step, *, before: State, at: float) -> Told | None:
        """Do what a step asks, in its order; return what came of going back, None when it didn't.

        A forward route that can't be written raises an alert; the next check asks for it again.
        """
        began, told = anyio.current_time(), None
        for effect in done.effects:
            if isinstance(effect, SetRoute):
                if effect.forward:
                    await self._forward(effect, at=at)
                    continue
                told = await self._way.go_back(effect)
                self._stands(told, at=at)
                told = self._account(done, told, before=before, at=at, began=began, generation=effect.generation)
            elif isinstance(effect, Kill):
                told = await self._way.kill(effect)
                told = self._account(done, told, before=before, at=at, began=began, generation=done.state.generation)
            elif isinstance(effect, Number):
                await self._number(effect, at=at)
            elif isinstance(effect, OpenIncident):
                await self._open_incident(effect, phase=self._plan.phases[before.phase].name)
            else:
                self.alert(effect, at=at)
        return told

    def alert(self, effect: RaiseAlert | ResolveAlerts, *, at: float) -> None:
        """Open or resolve alerts."""
        if isinstance(effect, ResolveAlerts):
            self._recorder.resolve_alerts(source=effect.source, at=at)
        else:
            self._recorder.raise_alert(
                at=at, severity=effect.severity, source=effect.source, message=effect.message, policy=effect.policy
            )

    async def _forward(self, effect: SetRoute, *, at: float) -> None:
        try:
            await self._way.go_forward(effect)
        except RouteRefused as error:
            self.alert(RaiseAlert("degraded", SELECTOR, str(error)), at=at)
        else:
            self.alert(ResolveAlerts(SELECTOR), at=at)

    async def _open_incident(self, effect: OpenIncident, *, phase: str) -> None:
        """Open it if the disk takes it; what the rule said is an alert in any case."""
        with contextlib.suppress(StoreUnavailable):
            await self._books.open_incident(
                severity=effect.severity, title=effect.title, by=f"rule {effect.rule}", phase=phase
            )

    async def _number(self, effect: Number, *, at: float) -> None:
        try:
            await self._way.number(effect.generation)
        except RouteRefused as error:
            self.alert(RaiseAlert("warn", SELECTOR, str(error)), at=at)

    def _stands(self, told: Told, *, at: float) -> None:
        """Say whether a way back is in the selector; a kill takes that away on purpose, and is none of this."""
        if told.latched:
            says = "the selector can't be written: renamed it aside, all on control"
            self.alert(RaiseAlert("escalate", SELECTOR, says), at=at)
        else:
            self.alert(ResolveAlerts(SELECTOR), at=at)

    def _account(self, done: Step, told: Told, *, before: State, at: float, began: float, generation: int) -> Told:
        """Begin the account of a way back, and let it be completed while we go on."""
        for one in missing(told.answers):
            says = f"{one.router} did not confirm to go back: {one.why}"
            self.alert(RaiseAlert("degraded", SELECTOR, says), at=at)
        if done.kind not in _BACK:
            return told
        stepped = done.kind == Event.STEPPED_BACK.value
        view = RollbackView(
            at=at,
            rule=done.by,
            from_phase=self._plan.phases[before.phase].name,
            to_phase=self._plan.phases[done.state.phase].name if stepped else "control",
            routed_ms=None if told.missing else told.routed_ms,
        )
        self._books.after_back(done.says)
        self._rollbacks.begin(view)
        follow = partial(self._rollbacks.follow, view, generation=generation, began=began)
        self._group.start_soon(follow)
        return replace(told, rollback=view)
