"""What an operator sees: one immutable picture of rollout, traffic and processes.

The supervisor builds a `View`, the control API streams it (a snapshot, then the sections that changed), the
screens and `agt status` show it. It holds facts and words, no behaviour; times are seconds, `at` is seconds
since the Unix epoch, shares are 0 to 1.
"""

from typing import Literal

import msgspec

PhaseState = Literal["done", "active", "pending", "rolled-back"]
RolloutStatus = Literal["starting", "running", "held", "rolled-back", "complete", "killed"]
VerdictName = Literal["passed", "pending", "inconclusive", "error", "failed"]
Severity = Literal["info", "warn", "degraded", "escalate"]
ProcessState = Literal["waiting", "starting", "ready", "stopping", "stopped", "backoff", "held-down"]


class PhaseView(msgspec.Struct, frozen=True, kw_only=True):
    """One rung of the ladder."""

    name: str
    state: PhaseState
    percent: float
    """Percentage that the phase routes to the candidate."""
    soak_s: float
    """What the routers must have carried, in (squeezed) seconds."""
    carried_s: float = 0.0
    """What they have carried so far."""
    planned: str = ""
    """The soak as the plan writes it, before squeezing: `3d`."""
    note: str = ""
    """What the phase does beside routing: `shadow`, `legacy warns`, `legacy refuses`."""


class GateView(msgspec.Struct, frozen=True, kw_only=True):
    """One condition for leaving the active phase."""

    name: str
    verdict: VerdictName
    reason: str
    """What was seen, and what is missing: `7,214 of 10,000 samples`."""
    value: str = ""
    """The measured value, formatted; empty when there is none."""
    samples: int = 0


class RuntimeView(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two systems that carry traffic."""

    name: str
    role: Literal["control", "candidate"]
    devices: int = 0
    sessions: int = 0
    """Live sessions; a device keeps its session for a while without an attachment."""
    pinned: int = 0
    """Of these, how many only a pin keeps here."""
    share: float = 0.0
    """Share of devices that it carries now."""
    success: float | None = None
    """Ratio in the window; None when nothing can be said (a legacy path without an observer, or no traffic)."""
    observed: bool = False
    """Whether success and latency come from an observer rather than from acknowledgements."""
    p50_s: float | None = None
    p99_s: float | None = None
    rate: float = 0.0
    """Messages a second."""
    in_flight: int = 0


class History(msgspec.Struct, frozen=True, kw_only=True):
    """The last points of one charted series, oldest first, one a check; None where nothing was measured."""

    series: str
    """`legacy p99`, `reliable rate`: runtime and measure."""
    points: tuple[float | None, ...]


class BudgetView(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of one objective's error budget."""

    objective: str
    left: float | None
    """1 is untouched, below 0 is overspent; None without data."""
    burn: dict[str, float] = {}
    """How many times faster than allowed it is spent, by long window (`1h`), each together with its twelfth."""


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the alert ledger."""

    id: int
    at: float
    severity: Severity
    source: str
    message: str
    open: bool


class ProcessView(msgspec.Struct, frozen=True, kw_only=True):
    """One component."""

    name: str
    stage: str
    state: ProcessState
    pid: int | None = None
    restarts: int = 0
    detail: str = ""
    """What it waits for, or why it stopped."""
    order: Literal["", "stopped", "decommissioned"] = ""
    """What an operator has ordered: it rests until somebody wants it back. Empty when nothing is."""
    cpu_share: float | None = None
    """Share of one core over the last minute, its descendants included; None until there are two looks."""
    rss_bytes: int | None = None
    """Resident memory."""
    descriptors: int | None = None
    """Open file descriptors."""


class RollbackView(msgspec.Struct, frozen=True, kw_only=True):
    """One way back that was taken."""

    at: float
    rule: str
    """The rule's name, or `operator`."""
    from_phase: str
    to_phase: str
    """A phase's name, or `control`."""
    routed_ms: float | None = None
    settled_ms: float | None = None
    moved: int = 0
    resent: int = 0
    """Messages in doubt that were sent again on the new path."""
    indeterminate: int = 0
    """Messages in doubt that were reported as such."""


class RehearsalView(msgspec.Struct, frozen=True, kw_only=True):
    """The way back, walked with one probe device."""

    at: float
    """When it was ordered back, seconds since the epoch."""
    device: str
    router: str = ""
    """Socket of the router that had it."""
    by: str = ""
    """Who wanted it; `the plan` where a check did."""
    phase: str = ""
    routed_ms: float | None = None
    settled_ms: float | None = None
    """From the order until every router said that the move had settled; None when that did not happen."""
    problem: str = ""
    """Why the way back is broken; empty when it isn't."""


class LedgerView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every message, by runtime, as the routers count it."""

    runtime: str
    accepted: int = 0
    delivered: int = 0
    written: int = 0
    not_delivered: int = 0
    indeterminate: int = 0
    in_flight: int = 0
    resends: int = 0


class DrillView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the plan lets an operator try on purpose."""

    name: str
    says: str
    """What it will do, in words."""


class RouterView(msgspec.Struct, frozen=True, kw_only=True):
    """One router, as it answered at the last look."""

    router: str
    """The router's socket."""
    generation: int | None = None
    """Of the selector that it applies; None when it doesn't answer."""
    settled: bool = False
    """Whether all moves to that generation have settled."""
    killed: bool = False
    devices: int = 0
    error: str = ""
    """Why there is nothing else; empty when it answers."""
    unmeasured: str = ""
    """Why nobody has counts of it though it answers: a Prometheus server that is away, or has only old ones."""
    age_s: float = 0.0
    """How old its counts are; 0 when it was asked itself."""


class SwitchView(msgspec.Struct, frozen=True, kw_only=True):
    """One environment variable that is set where a router runs, and what it does to the selector."""

    router: str
    """The router's socket."""
    variable: str
    overrides: bool
    """Whether it changes what the selector says."""
    says: str
    """`percentage 25 -> 5 (CANARY_PERCENTAGE=5)`."""


class OverrideView(msgspec.Struct, frozen=True, kw_only=True):
    """One device that is forced to one side."""

    device: str
    runtime: str
    owner: str
    reason: str = ""
    expires_at: float | None = None
    """Seconds since the epoch; None for never."""


class ModeView(msgspec.Struct, frozen=True, kw_only=True):
    """The network mode of one router."""

    router: str
    says: str
    """One line: `hybrid: latency 23 ms of 10, bandwidth 1.4 Gbit/s of 10, since ...`."""
    mode: str
    """What counts: `datacenter`, `hybrid`, `internet`, or `unknown`."""
    measured: str
    """What was measured, which differs while another is forced."""
    forced_by: str = ""
    latency_s: float | None = None
    """Average of the last round trips."""
    latencies: tuple[float, ...] = ()
    """These, oldest first, in seconds."""
    bandwidth: float | None = None
    """Average of the last bandwidths, in bits a second."""
    bandwidths: tuple[float, ...] = ()
    since: float | None = None
    """Since when the measured mode is what it is, seconds since the epoch."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at one instant."""

    version: int
    """Grows with each change; forward commands name the one they were based on."""
    at: float
    plan: str
    status: RolloutStatus
    reason: str = ""
    """Why it is held, rolled back or starting; empty when running."""
    phase: str = ""
    squeeze: float = 1.0
    """How many times faster than written the plan runs."""
    percentage: float = 0.0
    kill_switch: bool = False
    selector_generation: int = 0
    phases: tuple[PhaseView, ...] = ()
    gates: tuple[GateView, ...] = ()
    runtimes: tuple[RuntimeView, ...] = ()
    history: tuple[History, ...] = ()
    budgets: tuple[BudgetView, ...] = ()
    alerts: tuple[AlertView, ...] = ()
    """Newest first, at most 50."""
    processes: tuple[ProcessView, ...] = ()
    rollbacks: tuple[RollbackView, ...] = ()
    rehearsals: tuple[RehearsalView, ...] = ()
    """Ways back that were tried out with a probe, oldest first."""
    frozen: str = ""
    """Why nothing goes forward, until when; empty when it isn't frozen."""
    ledger: tuple[LedgerView, ...] = ()
    drills: tuple[DrillView, ...] = ()
    routers: tuple[RouterView, ...] = ()
    """Each router of the plan, those that don't answer included."""
    switches: tuple[SwitchView, ...] = ()
    """Environment variables that are set, by router, and what each overrides."""
    components: dict[str, bool] = {}
    """Flags by component; where a component is asked about, false or unknown means control."""
    overrides: tuple[OverrideView, ...] = ()
    """Devices that are forced by name."""
    modes: tuple[ModeView, ...] = ()
    """The network mode of each router."""
    selector_problems: tuple[str, ...] = ()
    """What is wrong with selector or environment as the routers see them; the last good ones are in force."""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What an action would do, in numbers and in the sentence that the operator confirms."""

    action: str
    says: str
    """`moves 12 devices; up to 7 commands on legacy can't be confirmed`."""
    moves: int = 0
    """Devices that would change runtime."""
    unconfirmed: int = 0
    """Of the messages in flight, at most this many that can't be confirmed."""
    version: int = 0
    """The view's version that this was computed from."""
    percentage: float | None = None
    """The share that the candidate would have; None when the action routes nothing."""
    to_candidate: int = 0
    to_control: int = 0
    waiting: int = 0
    """Devices meant for the candidate that stay on control until their attachment to it is up."""
    by_kind: dict[str, int] = {}
    """Moves by how the device changes path: `in-place`, `warm`, `redial`."""
    in_flight: int = 0
    """Messages on the paths that would be left."""
    devices: tuple[str, ...] = ()
    """Names of those that would move, sorted, the first 100."""


class RouterAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one router said when it was told to go back."""

    router: str
    """Its socket, as the plan writes it."""
    ms: float | None = None
    """Milliseconds from the order to its confirmation; None when it has not confirmed."""
    why: str = ""
    """Why it has not confirmed; empty when it has."""
    moving: int = 0
    """Devices whose old path was draining when it answered."""
    redial: int = 0
    """Of these, devices without an attachment to the side they go to: they have to dial first."""
    redial_per_s: float | None = None
    """Callers that it takes in each second, over time; None when it doesn't say."""

    @property
    def confirmed(self) -> bool:
        """Whether no new message enters the candidate there."""
        return self.ms is not None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What an action did."""

    action: str
    says: str
    version: int = 0
    routed_ms: float | None = None
    settled_ms: float | None = None
    moved: int = 0
    missing: tuple[str, ...] = ()
    """Routers that have not confirmed."""
    routers: tuple[RouterAnswer, ...] = ()
    """What each router said, where the action told them anything."""
    latched: bool | None = None
    """For a kill: whether the selector is out of the way, so that it outlives restarts; None for anything else."""
