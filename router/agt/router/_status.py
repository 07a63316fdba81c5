"""What a router says about itself, as data: the body of `GET /status`, of a preview and of a receipt."""

import msgspec

from agt.router._environment import Switch
from agt.router._mode_status import ModeStatus

LEGACY_USERS_MAX = 1000
"""Names listed in `legacy_users`; `runtimes` has the whole count."""


class RuntimeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One runtime as it carries now."""

    devices: int = 0
    in_flight: int = 0
    queued: int = 0
    sessions: int = 0
    """Live sessions; a device keeps its session for a while without an attachment."""
    pinned: int = 0
    """Of these, how many only a pin keeps here."""


class LedgerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One runtime's counts since the journal began, or since the router started."""

    accepted: int = 0
    delivered: int = 0
    written: int = 0
    not_delivered: int = 0
    indeterminate: int = 0
    resends: int = 0
    taken_over: int = 0
    given_up: int = 0
    in_flight: int = 0


class MovesStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The newest change of route."""

    moving: int = 0
    """Devices whose old path is draining, of any change."""
    waiting: int = 0
    """Devices that wait for an attachment."""
    moved: int = 0
    routed_ms: float | None = None
    settled_ms: float | None = None
    resent: int = 0
    indeterminate: int = 0


class SessionsStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What became of sessions since the router started."""

    begun: int = 0
    restarted: int = 0
    """Ended and begun anew on request."""
    cut: int = 0
    """Moves and restarts whose drain ended at its deadline, with commands unanswered."""
    cut_commands: int = 0
    """The commands that were unanswered then; what became of each is in the ledger."""


class ShadowStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the shadow saw; its comparisons are those of the runtime tried out last."""

    compared: int = 0
    """Mirrored messages with two answers."""
    differences: int = 0
    """Of these, how many differ in a field that no rule ignores."""
    decided: int = 0
    """Messages without a twin, only decided."""
    shed: int = 0
    """Messages not mirrored for want of room, or of a twin that works."""
    tried: str = ""
    """The runtime that is tried out; empty before the first comparison."""
    errors: int = 0
    """Of the compared, how many ended well where they were carried and not where they were mirrored."""
    error_rate: float | None = None
    floor_rate: float | None = None
    """How often a second control differs; None where there is none."""
    excess: float = 0.0
    """Differences above the floor, as a share of the messages."""
    verdict: str = "undecided"
    """`equal` (within noise), `differs` or `undecided` (not enough yet)."""
    says: str = ""
    """The verdict in words."""
    more: int | None = None
    """About how many more messages decide, if the two are equal; None when that can't be said."""
    reads: int = 0
    """Mirrored messages that only ask."""
    writes: int = 0
    """Mirrored messages that may act."""
    timed_out: int = 0
    """Comparisons that were ended by their time."""
    held: int = 0
    """Messages that wait or are being compared."""


class RouterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at one instant."""

    router: str
    """This router's instance: new at each start."""
    generation: int
    """Generation of the selector that is applied."""
    settled_generation: int
    """Newest generation whose moves have all been settled."""
    percentage: float
    """Share of devices meant for the candidate, after environment and kill."""
    killed: bool
    killed_reason: str = ""
    selector: str = ""
    """State of the selector as last looked at: `ok`, `missing`, `killed`, `bad`."""
    problems: tuple[str, ...] = ()
    """What is wrong with selector or environment; the last good ones are in force."""
    environment: dict[str, str] = {}
    """Field of `[runtime]` to the variable that set it."""
    switches: tuple[Switch, ...] = ()
    """Every variable that is set and known, and what it overrides."""
    legacy_listener: str = "serve"
    runtimes: dict[str, RuntimeStatus] = {}
    ledger: dict[str, LedgerStatus] = {}
    moves: MovesStatus = MovesStatus()
    carried_s: dict[str, float] = {}
    """Seconds carried by generation."""
    shadow: ShadowStatus = ShadowStatus()
    sessions: SessionsStatus = SessionsStatus()
    legacy_users: tuple[str, ...] = ()
    """Devices that control carries, by name, at most `LEGACY_USERS_MAX`."""
    legacy_code: tuple[str, ...] = ()
    """Lines of code in this process that used something deprecated, and how often, at most `LEGACY_USERS_MAX`."""
    mode: ModeStatus = ModeStatus()
    """The network mode, with what it was measured by."""
    loop_lag_s: float = 0.0
    """The event loop's worst delay in the last 2 s: how starved the router's own process is."""
    anomalies: int = 0
    journal: str = ""
    """Why the ledger's journal can't be written; empty when it can or there is none."""


class RoutePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a selector would do if it were applied now."""

    moves: int
    """Devices that would change runtime."""
    unconfirmed: int
    """Of the messages in flight and queued, at most this many that can't be confirmed."""
    in_flight: int = 0
    """Messages on the paths that would be left, written and not answered."""
    queued: int = 0
    """Messages there that are not written yet; they go over the new path."""
    by_kind: dict[str, int] = {}
    """Moves by how the device changes path: `in-place`, `warm`, `redial`."""
    to_candidate: int = 0
    to_control: int = 0
    waiting: int = 0
    """Devices meant for the candidate that stay on control until their attachment to it is up."""
    devices: tuple[str, ...] = ()
    """Names of those that would move, sorted, the first 100."""


class DevicesInOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The devices that a share can take, in the order in which it takes them."""

    by_name: int
    """Devices that are on the candidate whatever the share: by override."""
    devices: tuple[str, ...]
    """The first of the others, in order."""
    total: int
    """How many others there are."""


class DeviceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One device's line in `GET /devices`."""

    device: str
    runtime: str
    """The owner: whose path may write to it."""
    target: str
    """Where it belongs; differs from `runtime` during a move."""
    state: str
    """`carrying`, `draining` or `waiting`."""
    reason: str
    attachments: tuple[str, ...]
    in_flight: int
    held: int
    ledger: dict[str, LedgerStatus] = {}
