"""Bugs in moves: in the mover, the hand-over, the journal, owners and the intake of the selector (promise 9).

Each is caught in router worlds: in worlds of some seeds with a profile that gives the bug its chance, or in scripted
cases, where a gateway dies at a durable step of a move.
"""

from collections.abc import Iterable

from agt.chaos.sim._book import BrokenPromise
from agt.chaos.sim._profile import with_overrides
from agt.chaos.sim.moves import router_profile_of, run_router_seed
from agt.chaos.sim.moves._script import DIRECTIONS, Case, run_case
from agt.router import Anomaly, Router, SelectorFile
from agt.router import _handover as handover
from agt.router._device import Device
from agt.router._handover import Handover
from agt.router._journal import LedgerJournal
from agt.router._ledger import Ledger
from agt.router._mover import Mover
from agt.router._ownership import Ownership
from agt.router._path import InDoubt, Message, Path
from agt.transport import Barrier, Delivery
from support.mutants import Check, Mutant, Patch

SEEDS = 40
FAULTS = (
    *("drop", "duplicate", "reorder", "damage", "cut", "half_open", "slice", "stall_per_s", "device_crash_per_s"),
    *("crash_per_s", "crash_at_write", "full_per_s", "corrupt_per_s", "redial", "kills", "report", "jitter_s"),
)
NOTHING = dict.fromkeys(FAULTS, "0")
SLOW = NOTHING | {"wire": "lines", "reaction_s": "7", "changes": "6", "deadline_s": "30", "devices": "1"}
"""Devices answer later than a drain lasts, and nothing else is wrong."""
LAGGING = NOTHING | {"wire": "lines", "reaction_s": "0.3", "changes": "8", "devices": "2", "legacy_lag_s": "0.5"}
"""What is written on legacy sockets arrives half a second later."""
CUTS = LAGGING | {"cut": "0.1"}
TORN = LAGGING | {"cut": "0.1", "changes": "14", "legacy_lag_s": "1.5", "devices": "3", "jitter_s": "1"}
"""A gateway often hears of a cut before what was written on that connection has arrived."""
CRASHES = LAGGING | {"crash_per_s": "0.5"}

ACK, NONE, SEQUENCE = {"barrier": "ack"}, {"barrier": "none"}, {"barrier": "sequence"}


def in_router_worlds(rule: str, settings: dict[str, str], seeds: Iterable[int] = range(SEEDS)) -> Check:
    """Return the check that a rule holds in router worlds with these settings."""

    def hold() -> None:
        for seed in seeds:
            report = run_router_seed(seed, with_overrides(router_profile_of(seed), settings))
            if report.broken.startswith(rule):
                assert f"--world router --seed {seed}" in report.replay, "whoever breaks it must see it again"
                raise BrokenPromise(rule, report.broken.partition(": ")[2])

    return Check(f"router worlds: {rule}", hold, shown_elsewhere=True)


def in_cases(rule: str, cases: Iterable[Case]) -> Check:
    """Return the check that a rule holds in cases of the script."""
    cases = tuple(cases)

    def hold() -> None:
        for case in cases:
            ran = run_case(case)
            if ran.broken.startswith(rule):
                raise BrokenPromise(rule, ran.broken.partition(": ")[2])

    return Check(f"moves of the script: {rule}", hold, shown_elsewhere=True)


def moves_of(barrier: Barrier, boundaries: Iterable[int] = (10, 25)) -> list[Case]:
    """Return the cases of one barrier without a crash."""
    return [Case("lines", barrier, direction, at) for direction in DIRECTIONS for at in boundaries]


def no_drain(patch: Patch) -> None:
    """New messages go out on the new path while the old one still has some on their way."""
    drain_s = Mover._drain_s
    patch.setattr(Mover, "_drain_s", lambda self, device: 0.0 * drain_s(self, device))


def held_before_taken(patch: Patch) -> None:
    """What was held goes out before what was taken back."""
    send_on = Handover.send_on

    def buggy(self: Handover, device: Device, path: Path, *, now: float) -> None:
        taken, device.taken = device.taken, []
        send_on(self, device, path, now=now)
        device.taken = taken
        send_on(self, device, path, now=now)

    patch.setattr(Handover, "send_on", buggy)


def doubts_forgotten(patch: Patch) -> None:
    """A message that can't be sent again is left without an end."""
    patch.setattr(Handover, "_doubted", lambda self, device, delivery, reason: None)


def doubts_resent_blindly(patch: Patch) -> None:
    """What is in doubt is sent again whatever the barrier bears."""
    patch.setattr(handover, "may_resend", lambda message, barrier: True)


def class_ignored(patch: Patch) -> None:
    """A message that must never act twice is sent again like any other."""

    def buggy(message: Message, barrier: Barrier) -> bool:
        return barrier in (Barrier.SEQUENCE, Barrier.ACK) and message.in_doubt in InDoubt

    patch.setattr(handover, "may_resend", buggy)


def tail_forgotten(patch: Patch) -> None:
    """The unanswered tail of a legacy path is neither repeated nor named."""
    patch.setattr(Handover, "_take_written", lambda self, *arguments: None)


def silence_by_disconnection(patch: Patch) -> None:
    """A path whose connection was cut counts as silent at once."""
    patch.setattr(Ownership, "bar", lambda self, device, path, *, until: None)


def journal_after_telling(patch: Patch) -> None:
    """The journal keeps its lines until there are many of them."""
    flush = LedgerJournal.flush
    patch.setattr(LedgerJournal, "flush", lambda self: flush(self) if len(self._pending) > 20 else None)
    patch.setattr(LedgerJournal, "pending", property(lambda self: len(self._pending) > 20))


def open_ones_unnamed(patch: Patch) -> None:
    """A ledger that comes back counts what was left open, and names none of it."""
    note = Ledger.note

    def buggy(self: Ledger, anomaly: Anomaly) -> None:
        if "died" not in anomaly.says:
            note(self, anomaly)

    patch.setattr(Ledger, "note", buggy)


def owners_forgotten(patch: Patch) -> None:
    """A gateway that comes back doesn't ask who owned its devices, and overtakes what is under way."""
    patch.setattr(Ownership, "former", lambda self, device, *, now: "")


def kill_without_taking(patch: Patch) -> None:
    """A kill acts in memory and leaves the selector where it is, so that the next process goes forward again."""
    patch.setattr(SelectorFile, "kill", lambda self: True)


def preview_blind(patch: Patch) -> None:
    """A preview says that nothing is in doubt."""
    patch.setattr(Device, "unconfirmed_towards", lambda self, target: 0)


def two_writers(patch: Patch) -> None:
    """While a device moves, its new messages go to the new path at once."""
    send = Router.send

    def buggy(self: Router, message: Message) -> Delivery:
        known = self._state.devices.get(message.device)
        path = known.paths.get(known.target) if known is not None else None
        if known is not None and path is not None and known.runtime != known.target:
            delivery = path.send(message)
            delivery.runtime = known.target
            self._state.ledger.accept(message, delivery)
            return delivery
        return send(self, message)

    patch.setattr(Router, "send", buggy)


ONCE = "at most once where nobody could tell"
MUTANTS = tuple(
    Mutant(plant, 9, check, rule)
    for plant, check, rule in (
        (no_drain, in_cases("in order", moves_of(Barrier.NONE)), "in order"),
        (two_writers, in_cases("one owner", moves_of(Barrier.ACK)), "one owner"),
        (kill_without_taking, in_cases("a kill holds", moves_of(Barrier.ACK)), "a kill holds"),
        (held_before_taken, in_router_worlds("nothing is overtaken", CUTS | SEQUENCE), "nothing is overtaken"),
        (tail_forgotten, in_router_worlds("a move loses nothing", CUTS | SEQUENCE), "a move loses nothing"),
        (silence_by_disconnection, in_router_worlds("in order", TORN | NONE, (8, 24)), "in order"),
        (doubts_forgotten, in_router_worlds("every send ends", SLOW | NONE, range(4, SEEDS)), "every send ends"),
        (doubts_resent_blindly, in_router_worlds(ONCE, SLOW | NONE), ONCE),
        (class_ignored, in_router_worlds(ONCE, SLOW | {"barrier": "ack", "report": "1"}), ONCE),
        (
            preview_blind,
            in_router_worlds("at most what the preview said", SLOW | NONE, range(4, SEEDS)),
            "what the preview said",
        ),
        (owners_forgotten, in_router_worlds("one owner", CRASHES | ACK, range(7, SEEDS)), "one owner"),
        (journal_after_telling, in_router_worlds("taken means noted", CRASHES | ACK), "taken means noted"),
        (open_ones_unnamed, in_router_worlds("what a dead gateway left", CRASHES | ACK), "what a dead gateway left"),
    )
)
