"""What can be wrong in a rehearsal: with a path, with a gateway, with the supervisor's own machine.

A cause is data: which of these stand, for how many checks, and who is to blame. Whatever harms both paths (devices,
network, a starved gateway) is said once, in `both`, so that no cause can be made up that strikes them differently by
accident.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

Blame = Literal["candidate", "gateway", "control", "environment"]
Ratio = Annotated[float, Meta(ge=0, le=1)]
BASE_FAILS: Final = 0.0001
"""Share of messages that fail on a sound path."""


class Path(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the messages of one runtime fare; all zero is a sound path."""

    fails: Ratio = 0.0
    """Share that ends undelivered at once."""
    stalls: Ratio = 0.0
    """Share of the devices that answer nothing any more: messages stay in flight until their deadline."""
    slow: Ratio = 0.0
    """Share that is answered late."""
    slow_s: Annotated[float, Meta(gt=0)] = 3.0
    """How late."""
    resends: Annotated[float, Meta(ge=0)] = 0.0
    """Packets sent again, for each message."""
    undecodable: Ratio = 0.0
    refused: Ratio = 0.0
    """Share that meets a full queue."""
    differs: Ratio = 0.0
    """Share of mirrored answers that differ."""
    groups: Ratio = 1.0
    """Share of the groups of devices that all this happens to."""


class Gateway(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wrong with the gateways."""

    down: bool = False
    """Nothing answers, and no message passes."""
    silent: bool = False
    """Messages pass, but it doesn't answer the supervisor."""
    restarts: bool = False
    """It is another instance each time that it is asked first."""
    lag_s: Annotated[float, Meta(ge=0)] = 0.0
    """How late its event loop is."""
    forgets: bool = False
    """It applies the route before."""
    only: Annotated[int, Meta(ge=-1)] = -1
    """Which of several; -1 is all."""


class Supervisor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wrong where the supervisor runs."""

    clock_jumps_s: float = 0.0
    """How far the wall clock is set once, when it begins."""
    suspended_s: Annotated[float, Meta(ge=0)] = 0.0
    """How long the whole machine sleeps, once: wall time passes, no other clock does."""
    paused_s: Annotated[float, Meta(ge=0)] = 0.0
    """How long the supervisor alone is stopped, once."""
    disk_full: bool = False


class Cause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong."""

    name: str
    says: str
    blame: Blame
    """Whose fault it is."""
    lasts: Annotated[int, Meta(ge=1)] = 8
    """Checks."""
    percent: Annotated[float, Meta(ge=0, le=100)] = 50.0
    """What the candidate carries when it begins, for the table."""
    traffic: Annotated[float, Meta(ge=0)] = 1.0
    """Times the usual traffic."""
    candidate: Path = Path()
    control: Path = Path()
    both: Path | None = None
    """Instead of the two: what befalls both paths alike."""
    gateway: Gateway = Gateway()
    supervisor: Supervisor = Supervisor()
    incidents: Annotated[int, Meta(ge=0)] = 0
    """Incidents that people open."""
    alert: Literal["", "warn", "degraded", "escalate"] = ""
    """An alert of a component that stands meanwhile."""
    check: str = ""
    """A named check of the plan that fails meanwhile; `*` is every one."""
    happens: str = ""
    """A happening that is counted over windows, such as `hold_downs`: one at its first check, one at its last."""

    def path(self, candidate: bool) -> Path:  # noqa: FBT001 - the side is the whole question.
        """Return what befalls one side."""
        if self.both is not None:
            return self.both
        return self.candidate if candidate else self.control


class Causes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of causes."""

    cause: tuple[Cause, ...]


HEALTHY: Final = Cause(name="healthy", says="nothing is wrong", blame="environment")
