"""What a plan file may say: the shape, key by key.

These structs are the reference of the format (`docs/reference/plan.md`). Durations stay strings here (`3d`); what
they mean together with the squeeze is `_plan`'s, whether they make sense together is `_plan_check`'s.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from agt.supervisor.components import ComponentSpec
from agt.supervisor.sinks import Sink
from agt.supervisor.view import Severity

Percent = Annotated[float, Meta(ge=0, le=100)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Reaction = Literal["rollback", "previous_phase", "hold", "notify"]
Shadow = Literal["off", "candidate", "control"]
LegacyListener = Literal["serve", "warn", "refuse"]
Side = Literal["candidate", "control"]
CLOCK_PATTERN: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Frozen, keyword-only, unknown keys refused."""


class Runtimes(Strict, frozen=True, kw_only=True):
    """The two systems by the names that routers and reports use."""

    control: Name
    """What carries the traffic today."""
    candidate: Name
    """What shall carry it."""


class Route(Strict, frozen=True, kw_only=True):
    """What a phase routes where."""

    percent: Percent = 0.0
    """Share of the devices that the candidate carries, in steps of 0.01."""
    devices: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    """Instead of a percentage: exactly so many of the devices that the routers know when the phase is entered."""
    cohort: tuple[str, ...] = ()
    """Devices that the candidate carries whatever the percentage."""
    components: dict[str, bool] = {}
    """Which components the candidate may carry. Where one phase names a component, it is off in those that don't."""
    pin_live_sessions: bool | None = None
    """Whether sessions that live on control stay there until they restart. Where one phase says so, those that say
    nothing don't pin; where none does, the selector is left as it is."""
    shadow: Shadow = "off"
    """Which runtime gets a copy of the traffic that the other one carries."""
    legacy_listener: LegacyListener = "serve"
    """Whether the legacy listener serves, serves and names who still uses it, or refuses them in words."""
    default: Side = "control"
    """Where a device goes that nothing else decides; `candidate` takes no percentage."""

    @property
    def share(self) -> float:
        """Percentage that the route sends to the candidate; a number of devices is none."""
        return 100.0 if self.default == "candidate" else self.percent

    @property
    def sends(self) -> bool:
        """Whether the route sends devices to the candidate: by percentage, by number or by name."""
        return self.share > 0 or self.devices is not None or bool(self.cohort)

    @property
    def words(self) -> str:
        """The share as people read it."""
        if self.devices is not None:
            return f"{self.devices:,} device{'s' * (self.devices != 1)}"
        return f"{self.share:g} %"


class Bounds(Strict, frozen=True, kw_only=True):
    """What a condition compares: exactly one kind, with the keys that belong to it."""

    metric: str = ""
    """A named metric, compared with a number or with `against`."""
    at_least: float | None = None
    """Holds when the value is this or more."""
    above: float | None = None
    """Holds when it is more than this."""
    at_most: float | None = None
    """Holds when it is this or less."""
    below: float | None = None
    """Holds when it is less than this."""
    equals: float | None = None
    """Holds when it is exactly this."""
    against: Literal["", "control", "baseline"] = ""
    """Compare with the same metric of control now, or of control as it was before the candidate carried anything."""
    ratio: Annotated[float, Meta(gt=0)] | None = None
    """At most so many times the other value."""
    plus_percent: Annotated[float, Meta(ge=0)] | None = None
    """At most so many percent above the other value."""
    not_worse_by: Annotated[float, Meta(gt=0, le=1)] | None = None
    """For gates on `failure_ratio` against control: passed when the traffic shows that the candidate's is not higher
    by this much."""
    worse_by: Annotated[float, Meta(ge=0, le=1)] | None = None
    """For rules on `failure_ratio` against control: violated when the traffic shows that the candidate's is higher by
    more than this."""
    runtime: Side = "candidate"
    """Whose metric it is."""
    window: str = ""
    """How far back to look, never further than this phase; empty means the whole phase."""
    short_window: str = ""
    """For `burn_rate`: the second window that has to burn as fast; a twelfth of `window` when empty."""
    budget: str = ""
    """For `burn_rate`: the objective whose budget it is; the worst one on `success_ratio` when empty."""
    component: str = ""
    """For `cpu_share`, `rss_bytes` and `descriptors`: whose; all of the plan's components when empty."""
    limit_seconds: Annotated[float, Meta(gt=0)] | None = None
    """For `latency_windows_breached`: what a window's p95 may be; the plan's latency limit when not given."""
    samples: Annotated[int, Meta(ge=0)] = 0
    """How many samples it takes to decide."""
    objective: str = ""
    """`all`, `any` or the name of one objective."""
    consecutive: Annotated[int, Meta(ge=1, le=366)] = 1
    """In how many windows in a row, each `window` long, the condition has to hold: 3 with `1d` is three days."""
    alerts: Severity | None = None
    """An open alert of this severity or worse."""
    check: str = ""
    """The name of a `[[check]]`."""


class Gate(Bounds, frozen=True, kw_only=True):
    """One condition for leaving a phase."""

    name: str = ""
    """What the ladder calls it; made from the condition when empty."""
    sign_off: str = ""
    """Who has to sign off, as a name or a role."""
    signers: tuple[Name, ...] = ()
    """The names that may sign; anybody by name when empty. `token:mia` only counts when her token was shown."""


class When(Bounds, frozen=True, kw_only=True):
    """When a rule fires: a metric that is so, an objective that is violated, an alert that is open."""

    violated_for: str = "1 check"
    """How long in a row: `3 checks` or a duration."""


class Hours(Strict, frozen=True, kw_only=True):
    """When something may be done: days of the week and hours, in one time zone."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    """Days on which it begins; every day when empty."""
    start: Annotated[str, Meta(pattern=CLOCK_PATTERN)]
    """`22:00`."""
    end: Annotated[str, Meta(pattern=CLOCK_PATTERN)]
    """`05:00`; before `start` it is on the day after."""
    zone: str = "UTC"
    """A time zone's name, such as `Europe/Berlin`."""


class WayBack(Strict, frozen=True, kw_only=True):
    """The way back, rehearsed with a probe device that may be moved at any time."""

    device: Name
    """Its id, or a pattern (`probe-*`): the first attached device by name."""
    within: str = "7d"
    """A rehearsal that is older is made anew; squeezed with the plan."""
    at_most: str = "5s"
    """From the order until every router has settled the move; never squeezed."""


class Check(Strict, frozen=True, kw_only=True):
    """Something that is looked at by name, again and again: exactly one kind, with what belongs to it.

    Gates and rules name it (`check = "..."`), `preflight` and a phase's `recurring` list it. A result counts in the
    phase in which it was seen, until it is three intervals old.
    """

    name: Name
    """What gates and rules call it."""
    says: str = ""
    """What it is for, in words."""
    every: str = "1m"
    """How often it is repeated while something asks for it."""
    timeout: str = "1m"
    """One that takes longer is an error."""
    command: tuple[str, ...] = ()
    """Passes when it ends with status 0; 75 is pending. `{python}` and `{run}` are filled in; no shell."""
    parity: str = ""
    """A parity file, beside the plan: passes when every projection in it agrees."""
    suite: str = ""
    """A suite file, beside the plan: passes when the candidate is no worse on the same requests."""
    versions: str = ""
    """A version-matrix file, beside the plan: passes when every component tells its version on both sides."""
    snapshot: str = ""
    """The oldest that a snapshot may be, such as `10m`: passes when one that young can be restored; takes a fresh one
    when there is none."""
    hours: Hours | None = None
    """Passes during these hours: a deployment window."""
    way_back: WayBack | None = None
    """Passes when a probe device went to the candidate and back in time, not too long ago; rehearses when it is."""


CHECK_KINDS: Final = ("command", "parity", "suite", "versions", "snapshot", "hours", "way_back")
"""The keys of a `[[check]]` that say what it looks at."""


class Objective(Strict, frozen=True, kw_only=True):
    """One service level: a metric of the candidate, a bound and a window."""

    name: Name
    """What gates and rules call it."""
    metric: str
    """A named metric of the candidate."""
    at_least: float | None = None
    """Holds when the value is this or more."""
    above: float | None = None
    """Holds when it is more than this."""
    at_most: float | None = None
    """Holds when it is this or less."""
    below: float | None = None
    """Holds when it is less than this."""
    equals: float | None = None
    """Holds when it is exactly this."""
    window: str = "30d"
    """What there is since the phase was routed, at most this."""
    samples: Annotated[int, Meta(ge=0)] = 20
    """Fewer samples decide nothing, unless messages are stuck."""


class Phase(Strict, frozen=True, kw_only=True):
    """One rung of the ladder."""

    name: Name
    """What the ladder calls it."""
    route: Route = Route()
    soak: str
    """How long routers must have carried this route."""
    back_to: str = ""
    """Where `previous_phase` goes from here; the phase before when empty."""
    gate: tuple[Gate, ...] = ()
    recurring: tuple[str, ...] = ()
    """Checks that are repeated for as long as the phase lasts; one that fails holds the rollout."""
    baseline: bool = False
    """Keep control's measures at the end of this phase as the baseline."""


class Rule(Strict, frozen=True, kw_only=True):
    """What sends the rollout back, holds it or tells someone."""

    name: Name
    """What alerts and the journal call it."""
    when: When
    """What has to be so."""
    then: Reaction
    """What it does when it speaks."""
    phases: tuple[str, ...] = ()
    """Phases in which it applies; empty means all."""
    incident: Literal["", "minor", "major", "critical"] = ""
    """Opens an incident of this severity when it speaks."""


class Drill(Strict, frozen=True, kw_only=True):
    """Something that an operator may try on purpose."""

    name: Name
    """What an operator asks for."""
    says: str
    """What it will do, in words."""
    command: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Program and arguments; `{python}` and `{run}` are filled in."""


class FreezeSpan(Strict, frozen=True, kw_only=True):
    """Days on which nothing goes forward, by the calendar; going back works."""

    start: str
    """`2026-12-20`, or with a time: `2026-12-20T18:00`."""
    end: str
    """The last day, frozen whole, or the time at which it ends."""
    reason: str
    """Why, in words; shown while it lasts."""
    zone: str = "UTC"
    """A time zone's name, such as `Europe/Berlin`."""


class Statistics(Strict, frozen=True, kw_only=True):
    """What statistical conditions may cost and have to find; fixed before the first message."""

    alpha: Annotated[float, Meta(gt=0, lt=0.5)] = 0.05
    """The probability that such rules ever send back a candidate that is no worse, over the whole plan."""
    effect: Annotated[float, Meta(gt=0, lt=1)] = 0.01
    """The difference of failure ratios that has to be found."""
    power: Annotated[float, Meta(ge=0.5, lt=1)] = 0.8
    """How surely it has to be found once there is the traffic that it takes."""


class MeasureSettings(Strict, frozen=True, kw_only=True):
    """Where the routers' counts come from; without an address they are scraped from the routers' own sockets."""

    prometheus: str = ""
    """Address of a Prometheus server that scrapes the routers, `http://127.0.0.1:9090`."""
    matchers: str = ""
    """Which series are this plan's, as PromQL writes it: `job="agt"`."""
    max_age: str = "1m"
    """What the server scraped longer ago than this is no data; never squeezed."""
    timeout: str = "5s"
    """How long the server may take."""
    token_file: str = ""
    """Holds a bearer token for the server; beside the plan."""


class SnapshotSettings(Strict, frozen=True, kw_only=True):
    """When snapshots are taken, how many are kept, and what they hold beside records and selector."""

    every: str = "15m"
    """How often one is taken by itself."""
    kept: Annotated[int, Meta(ge=1, le=1000)] = 3
    """How many are left, beside those that somebody asked to keep."""
    max_age: str = "10m"
    """Older ones are not restored."""
    projection: str = ""
    """Where the projection is asked for, as a source of a listing; its version is the snapshot's."""


class StatusSource(Strict, frozen=True, kw_only=True):
    """Where the candidate's daemon is asked what it says of itself."""

    source: str = ""
    """As a source of a listing: `unix:daemon.sock?send=status`; sockets and files are in the run directory. It answers
    with a JSON object of counts: see the signals."""


class PlanFile(Strict, frozen=True, kw_only=True):
    """A whole plan, as its file writes it."""

    schema: Literal[1]
    """The version of this format."""
    name: Name
    """What screens, alerts and the journal call it."""
    runtimes: Runtimes
    routers: Annotated[tuple[str, ...], Meta(min_length=1, max_length=16)] = ("gateway.sock",)
    """Sockets of the routers; bare names are in the run directory."""
    checks_every: str = "1m"
    """How often routers are asked and rules are judged."""
    legacy_observed: bool = True
    """Whether control's replies are observed; without it nothing can be compared with control."""
    statistics: Statistics = Statistics()
    measure: MeasureSettings = MeasureSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    runtime_status: StatusSource = StatusSource()
    preflight: tuple[str, ...] = ()
    """Checks that have to pass before the first phase is routed."""
    component: tuple[ComponentSpec, ...] = ()
    check: tuple[Check, ...] = ()
    objective: tuple[Objective, ...] = ()
    phase: Annotated[tuple[Phase, ...], Meta(min_length=1, max_length=64)]
    rule: tuple[Rule, ...] = ()
    drill: tuple[Drill, ...] = ()
    sink: Annotated[tuple[Sink, ...], Meta(max_length=16)] = ()
    """Where alerts go beside the ledger."""
    freeze: Annotated[tuple[FreezeSpan, ...], Meta(max_length=100)] = ()
