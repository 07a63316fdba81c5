"""What a router knows at one instant, apart from what it does with it.

`Steering` and `Roster` change it, `Router` sends by it, `_survey` reads it; none keeps anything of the devices' own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from agt.router._batch import MoveBatch
from agt.router._carried import CarriedClock
from agt.router._decision import Situation, Subject, choose
from agt.router._device import Device, KeptBy
from agt.router._ledger import Ledger
from agt.router._mirroring import Mirroring, mirroring
from agt.router._mode import ModeReport
from agt.router._move import MoveState
from agt.router._mover import Mover
from agt.router._position import shared_hundredths
from agt.router._problem import Problem
from agt.router._selector import Runtimes, Selector
from agt.router._selector_file import SelectorState
from agt.router.shadow import Shadow

_CARRYING: Final = MoveState.CARRYING  # An enumeration's members are slow to look up.
_NO_ATTACHMENT: Final = KeptBy.NO_ATTACHMENT


@dataclass(slots=True, kw_only=True)
class RouterState:
    """Everything that a status, a preview or an explanation may ask."""

    router: str
    """This instance's name."""
    runtimes: Runtimes
    clock: Callable[[], float]
    """Seconds, monotonic."""
    wall: Callable[[], float]
    """Seconds since the epoch."""
    ledger: Ledger
    mover: Mover
    shadow: Shadow
    situation: Situation
    """What decisions are taken in: selector, environment, latch."""
    mirroring: Mirroring | None = None
    """Whose messages the shadow is offered; follows from `situation`."""
    selector: Selector | None = None
    """The selector as written, without the environment; None when none is readable."""
    selector_state: SelectorState = SelectorState.MISSING
    problems: tuple[Problem, ...] = ()
    """What is wrong with the newest selector."""
    environment_problem: str = ""
    """Why the newest environment file could not be read; the one before is in force."""
    environment: dict[str, str] = field(default_factory=dict)
    generation: int = 0
    settled_generation: int = 0
    killed: str = ""
    """Why everything is on control; empty when the latch doesn't hold."""
    mode: str | None = None
    """The network mode, when one has been measured."""
    mode_report: ModeReport | None = None
    """What it was measured by."""
    mode_forced: bool = False
    """Whether the selector forced another at the last change of route; such a thing may expire."""
    devices: dict[str, Device] = field(default_factory=dict)
    carried: CarriedClock = field(default_factory=CarriedClock)
    newest: MoveBatch | None = None
    """The newest change of route that moved anything or had a generation of its own."""
    redial_per_s: float | None = None
    """How many callers the gateway takes in each second; None when it didn't say."""
    restarted: int = 0
    """Sessions that were restarted on request, since the start."""

    @property
    def effective(self) -> Selector | None:
        """The selector as the environment leaves it; None when none is readable or the kill latch holds."""
        return None if self.killed else self.situation.selector

    def subject(self, device: Device, *, now: float, candidate_ready: bool | None = None) -> Subject:
        """Ask about an attached device."""
        ready = self.candidate_ready(device) if candidate_ready is None else candidate_ready
        return Subject(
            device.name,
            device.session,
            device.component,
            self.mode,
            now,
            # What only waits on control for its candidate attachment has not been placed there, so no pin holds it.
            None if device.began is None or device.vetoed else device.runtime,
            ready,
        )

    def candidate_ready(self, device: Device) -> bool:
        """Tell whether the candidate could carry a device: attached, and up unless it is there already.

        A device on the candidate isn't taken back whenever its connection drops: the session resumes, and moving
        to and fro would cost more than waiting.
        """
        if device.runtime == self.runtimes.candidate:
            path, there = device.path, device.state is _CARRYING
        else:
            path, there = device.other, False
        return path is not None and (there or path.ready)

    def situate(self, situation: Situation) -> None:
        """Take all decisions in another situation from now on."""
        if situation.salt != self.situation.salt:
            for device in self.devices.values():
                device.hundredths = shared_hundredths(device.name, situation.salt)
        self.situation = situation
        self.mirroring = mirroring(situation)

    def choose(self, device: Device, *, now: float | None = None) -> str:
        """Choose the runtime of a device, and note whether only its attachment, or a pin, keeps it on control.

        `now` is the wall clock's, read when it is needed and not given. For a device that nothing names, the position
        decides alone, and no rule has to be asked.
        """
        situation = self.situation
        if (
            situation.by_share
            and device.component is None
            and device.aside is None
            and device.name not in situation.named
        ):
            wanted = situation.inside if device.hundredths < situation.threshold else situation.outside
        else:
            wanted = choose(situation, self._placed(device, now=now))
        kept_by = None
        if wanted != self.runtimes.control:
            if not self.candidate_ready(device):
                wanted, kept_by = self.runtimes.control, _NO_ATTACHMENT
        elif situation.pins and self._only_pinned(device, now=now):
            kept_by = KeptBy.PIN
        if device.kept_by is not kept_by:  # Rarely: a million devices are read faster than written.
            device.kept_by = kept_by
        return wanted

    def _placed(self, device: Device, *, now: float | None) -> Subject:
        """Ask about an attached device whose position is known, as if its candidate attachment were up."""
        at = self.wall() if now is None else now
        return self.subject(device, now=at, candidate_ready=True).at(device.hundredths)

    def _only_pinned(self, device: Device, *, now: float | None) -> bool:
        """Tell whether a device that control carries would be on the candidate if it had no live session."""
        subject = self._placed(device, now=now)
        if subject.live_on != self.runtimes.control:
            return False
        return choose(self.situation, msgspec.structs.replace(subject, live_on=None)) == self.runtimes.candidate

    def count_carried(self) -> None:
        """Let time count for the generation whose moves are settled."""
        if self.mover.draining:
            self.carried.set(None, now=self.clock())
            return
        carries = any(device.attached for device in self.devices.values()) and self.effective is not None
        self.settled_generation = self.generation
        self.carried.set(self.generation if carries else None, now=self.clock())
