"""Reads a router's state: status, the line of each device, and what a selector would change."""

from collections import Counter
from heapq import nsmallest

import msgspec

from agt.router._counts import Counts
from agt.router._decision import Situation, choose, decide_in
from agt.router._device import Device
from agt.router._mode_status import mode_status
from agt.router._move import MoveState
from agt.router._position import order
from agt.router._problem import Problem
from agt.router._selector import Selector
from agt.router._shadow_status import shadow_status
from agt.router._state import RouterState
from agt.router._status import (
    LEGACY_USERS_MAX,
    DevicesInOrder,
    DeviceStatus,
    LedgerStatus,
    MovesStatus,
    RoutePreview,
    RouterStatus,
    RuntimeStatus,
    SessionsStatus,
)
from agt.transport import legacy_uses

PREVIEW_NAMES_MAX = 100
"""Names listed in a preview."""
ORDERED_MAX = 10_000
"""Names listed in the order of positions; what takes more devices than that is a percentage."""


def survey(state: RouterState, *, now: float) -> RouterStatus:
    """Return everything at one instant; `now` is the router's own clock."""
    selector = state.situation.selector
    overlaid = state.situation.overlaid
    problems = state.problems + (overlaid.problems if overlaid else ())
    if state.environment_problem:
        problems += (Problem("agt.env", state.environment_problem),)
    control = state.runtimes.control
    users = sorted(device.name for device in state.devices.values() if device.runtime == control)
    return RouterStatus(
        router=state.router,
        generation=state.generation,
        settled_generation=state.settled_generation,
        percentage=selector.percentage if selector and not state.killed else 0.0,
        killed=bool(state.killed),
        killed_reason=state.killed,
        selector=state.selector_state.value,
        problems=tuple(str(problem) for problem in problems),
        environment=dict(overlaid.sources) if overlaid else {},
        switches=overlaid.switches if overlaid else (),
        legacy_listener=selector.runtime.legacy_listener if selector else "serve",
        runtimes=_runtimes(state),
        ledger={name: _ledger(counts) for name, counts in sorted(state.ledger.totals.items())},
        moves=_moves(state),
        carried_s={str(generation): seconds for generation, seconds in state.carried.read(now=now).items()},
        shadow=shadow_status(state.shadow),
        sessions=SessionsStatus(
            begun=state.mover.begun,
            restarted=state.restarted,
            cut=state.mover.cut,
            cut_commands=state.mover.cut_commands,
        ),
        legacy_users=tuple(users[:LEGACY_USERS_MAX]),
        legacy_code=tuple(str(use) for use in legacy_uses()[:LEGACY_USERS_MAX]),
        mode=mode_status(state.mode, state.mode_report, state.situation.forced_mode(state.wall())),
        anomalies=state.ledger.anomalies_seen,
        journal=state.ledger.journal.broken if state.ledger.journal else "",
    )


def preview(state: RouterState, selector: Selector | None, *, wall: float) -> RoutePreview:
    """Return what a selector would change, with the environment as it is; changes nothing.

    A killed router's preview is that of the selector being put back.
    """
    situation = Situation(selector, environment=state.environment, runtimes=state.runtimes)
    kinds: Counter[str] = Counter()
    targets: Counter[str] = Counter()
    names: list[str] = []
    unconfirmed = in_flight = queued = waiting = 0
    for device in state.devices.values():
        target = choose(situation, state.subject(device, now=wall))
        waiting += target == state.runtimes.control and _would_wait(state, situation, device, wall=wall)
        if target != device.target:
            targets[target] += 1
            names.append(device.name)
            path = device.path_of(target) or device.path
            if path is not None:
                kinds[path.move.value] += 1
        elif device.state is not MoveState.DRAINING:
            continue  # What drains already changes over to the new receipt, with what it may leave in doubt.
        if device.path is not None:
            in_flight += device.path.in_flight
            queued += device.path.queued
        unconfirmed += device.unconfirmed_towards(target)
    return RoutePreview(
        moves=targets.total(),
        unconfirmed=unconfirmed,
        in_flight=in_flight,
        queued=queued,
        by_kind=dict(sorted(kinds.items())),
        to_candidate=targets[state.runtimes.candidate],
        to_control=targets[state.runtimes.control],
        waiting=waiting,
        devices=tuple(nsmallest(PREVIEW_NAMES_MAX, names)),
    )


def in_order(state: RouterState, selector: Selector, count: int, *, wall: float) -> DevicesInOrder:
    """Return the first devices that a share of a selector would take; a missing attachment is no obstacle."""
    situation = Situation(selector, environment=state.environment, runtimes=state.runtimes)
    nobody, everybody = situation.at_share(0.0), situation.at_share(100.0)
    by_name, others = 0, []
    for device in state.devices.values():
        subject = state.subject(device, now=wall, candidate_ready=True)
        if choose(nobody, subject) == state.runtimes.candidate:
            by_name += 1
        elif choose(everybody, subject) == state.runtimes.candidate:
            others.append(device.name)
    salt = selector.runtime.salt
    first = nsmallest(min(count, ORDERED_MAX), others, key=lambda name: order(name, salt))
    return DevicesInOrder(by_name=by_name, devices=tuple(first), total=len(others))


def device_status(state: RouterState, device: Device, *, wall: float) -> DeviceStatus:
    """Return one device's line."""
    path = device.path
    return DeviceStatus(
        device=device.name,
        runtime=device.runtime,
        target=device.target,
        state=device.state.value,
        reason=decide_in(state.situation, state.subject(device, now=wall)).reason,
        attachments=tuple(sorted(name for name, attached in device.paths.items() if attached.ready)),
        in_flight=path.in_flight if path else 0,
        held=device.waiting,
        ledger={name: _ledger(counts) for name, counts in sorted(state.ledger.device(device.name).items())},
    )


def _runtimes(state: RouterState) -> dict[str, RuntimeStatus]:
    devices: Counter[str] = Counter()
    in_flight: Counter[str] = Counter()
    queued: Counter[str] = Counter()
    sessions: Counter[str] = Counter()
    pinned: Counter[str] = Counter()
    for device in state.devices.values():
        devices[device.runtime] += device.attached
        sessions[device.runtime] += device.began is not None
        pinned[device.runtime] += device.pinned
        path = device.path
        if path is not None:
            in_flight[device.runtime] += path.in_flight
            queued[device.runtime] += path.queued
        queued[device.runtime] += device.waiting
    names = (state.runtimes.control, state.runtimes.candidate)
    return {
        name: RuntimeStatus(
            devices=devices[name],
            in_flight=in_flight[name],
            queued=queued[name],
            sessions=sessions[name],
            pinned=pinned[name],
        )
        for name in names
    }


def _moves(state: RouterState) -> MovesStatus:
    draining = state.mover.draining
    waiting = sum(device.state is MoveState.WAITING for device in state.mover.moving.values())
    if state.newest is None:
        return MovesStatus(moving=draining, waiting=waiting)
    receipt = state.newest.receipt()
    return MovesStatus(
        moving=draining,
        waiting=waiting,
        moved=receipt.moved,
        routed_ms=receipt.routed_ms,
        settled_ms=receipt.settled_ms,
        resent=receipt.resent,
        indeterminate=receipt.indeterminate,
    )


def _ledger(counts: Counts) -> LedgerStatus:
    return msgspec.convert(counts, LedgerStatus, from_attributes=True)


def _would_wait(state: RouterState, situation: Situation, device: Device, *, wall: float) -> bool:
    """Tell whether only a missing attachment would keep a device on control."""
    if state.candidate_ready(device):
        return False
    return choose(situation, state.subject(device, now=wall, candidate_ready=True)) == state.runtimes.candidate
