"""The selector: which runtime carries what, as a frozen value with a generation.

It is the meaning of `selector.toml`. Reading the text is `_selector_text`'s work, the file itself
`_selector_file`'s; everything else takes this struct and never a dict.
"""

import datetime
import enum
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agt.router._position import moves_at

Percent = Annotated[float, Meta(ge=0, le=100)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
ListenerMode = Literal["serve", "warn", "refuse"]
ShadowMode = Literal["off", "candidate", "control"]
MODES = ("datacenter", "hybrid", "internet")
"""Network modes of docs/reference/facts.md, 4."""
UNKNOWN_MODE = "unknown"
"""What a policy calls the time before enough has been measured."""
ModeName = Literal["datacenter", "hybrid", "internet"]


class Meaning(enum.StrEnum):
    """What an environment variable stands for."""

    FRACTION = "fraction"
    """0 to 1: caps the share of devices, `0.1` at 10 %."""
    PERCENTAGE = "percentage"
    """0 to 100: caps the share of devices."""
    KILL_SWITCH = "kill_switch"
    """True or false: true sends everything to control."""
    KILL_SWITCH_WHEN_FALSE = "kill_switch_when_false"
    """True or false: false sends everything to control."""
    SHADOW = "shadow"
    """True or false: true is `shadow = "candidate"`, false is `off`."""
    COHORT = "cohort"
    """Ids with commas between: these alone go to the candidate, the percentage no longer counts."""


DEFAULT_ENVIRONMENT: dict[str, Meaning] = {
    "CANARY_COHORT": Meaning.COHORT,
    "CANARY_PERCENTAGE": Meaning.PERCENTAGE,
    "DARK_LAUNCH": Meaning.SHADOW,
    "TESTOPS_V3_ENABLE": Meaning.FRACTION,
}
"""Variables that count without being named in `[environment]`: those of documents 000 and 004. Document 003's
`V2_ENABLED` counts too where the candidate is called v2, as `<CANDIDATE>_ENABLED` does for any name."""


class Runtimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The two systems' names, `[runtimes]`."""

    control: Name
    """The system that carries traffic today and is always the way back."""
    candidate: Name
    """The system that is to take over."""


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes where, `[runtime]`."""

    default: str = msgspec.field(default="", name="default_daemon")
    """Runtime of whatever nothing else decides; empty means control. The candidate here together with `percentage`
    or `up_to` is refused."""
    enabled: bool = msgspec.field(default=False, name="candidate_enabled")
    """Whether the candidate may carry anything; also written `<candidate>_enabled` (`v5_enabled`)."""
    cohort: tuple[str, ...] = msgspec.field(default=(), name="candidate_canary_sessions")
    """Devices or sessions on the candidate by name; also written `<candidate>_canary_sessions`."""
    percentage: Percent | None = None
    """Share of devices on the candidate, 0 to 100 in steps of 0.01; absent means 0, or whatever `up_to` says."""
    up_to: str = ""
    """The last device on the candidate in the order of positions: a share that ends at exactly one device. `agt set
    devices 7` finds it and writes it. Beside `percentage` the smaller share counts."""
    salt: Annotated[str, Meta(max_length=64)] = ""
    """At most 64 characters, mixed into positions, so that another rollout picks other devices."""
    shadow: ShadowMode = "off"
    """Which runtime gets a mirrored copy: `candidate` (a dark launch, works while it isn't enabled too), `control`
    (keeps the way back warm after the cut-over) or `off`."""
    shadow_percent: Percent = 100.0
    """Share of devices that are mirrored, each with all its messages; which, has nothing to do with the rollout's
    order."""
    pin_live_sessions: bool = False
    """Whether sessions that live on control stay there until they restart. Never holds one on the candidate. When
    the gateway restarts, every session does."""
    kill_switch: bool = False
    """True sends everything to control, whatever else is written; document 002's `ForceV1Mode`."""
    legacy_listener: ListenerMode = "serve"
    """What the legacy listener does: `serve`, `warn` (serve, and name who still uses it), or `refuse` in words."""


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One device forced to one runtime, `[[overrides]]`."""

    device: Annotated[str, Meta(min_length=1)]
    """Whom; one override a device."""
    runtime: str
    """Where: one of the two names in `[runtimes]`."""
    owner: Annotated[str, Meta(min_length=1)]
    """Who answers for it."""
    reason: str = ""
    """Why."""
    expires: datetime.datetime | None = None
    """When it stops, with an offset (`2026-01-31T12:00:00Z`); absent means never."""


class ForcedMode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network mode that counts instead of the measured one, `[forced_mode]`."""

    mode: ModeName
    """Which: `datacenter`, `hybrid` or `internet`."""
    owner: Annotated[str, Meta(min_length=1)]
    """Who answers for it."""
    reason: str = ""
    """Why."""
    expires: datetime.datetime | None = None
    """When it stops, with an offset (`2026-01-31T12:00:00Z`); absent means never."""


class Selector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole state that decides; compare-and-swap goes by `generation`."""

    runtimes: Runtimes
    """The two systems' names, which every other key uses; a table, see below."""
    generation: Annotated[int, Meta(ge=0)] = 0
    """Grows with each write. 0 or absent means written by hand: it counts as the next one. A lower number than the
    applied one is refused, unless the file was gone in between."""
    runtime: Route = Route()
    """What goes where; a table, see below."""
    components: dict[str, bool] = {}
    """Flags by component, any names. A device that is attached for a component, or asked about for one (`agt explain
    DEVICE --component C`), stays on control while that is false or unknown."""
    modes: dict[str, bool | dict[str, bool]] = {}
    """`datacenter`, `hybrid`, `internet`: false keeps all on control while the network is in that mode, a table of
    components those that are false in it (`internet = { compression = false }`); absent means true. `unknown` is
    the time before enough has been measured."""
    forced_mode: ForcedMode | None = None
    """A mode that counts instead of the measured one; a table, see below."""
    overrides: tuple[Override, ...] = ()
    """Devices forced by name; an array of tables, see below."""
    environment: dict[str, Meaning] = {}
    """Variables by name and what they mean, beside those that are known already, see below."""

    @property
    def default_runtime(self) -> str:
        """The runtime of whatever nothing else decides."""
        return self.runtime.default or self.runtimes.control

    @property
    def default_is_candidate(self) -> bool:
        """Whether traffic goes to the candidate unless something says otherwise."""
        return self.default_runtime == self.runtimes.candidate

    @property
    def percentage(self) -> float:
        """The share of devices that the selector means for the candidate, 0 to 100."""
        route = self.runtime
        if route.kill_switch or not route.enabled:
            return 0.0
        return 100.0 if self.default_is_candidate else self.written_share

    @property
    def written_share(self) -> float:
        """The share that `percentage` and `up_to` give, whatever else stands in its way, 0 to 100."""
        route = self.runtime
        if not route.up_to:
            return route.percentage or 0.0
        return min(moves_at(route.up_to, route.salt), 100.0 if route.percentage is None else route.percentage)

    @property
    def variables(self) -> dict[str, Meaning]:
        """Every variable that counts, built-in ones included."""
        enabled = f"{re.sub(r'[^A-Z0-9]', '_', self.runtimes.candidate.upper())}_ENABLED"
        return {**DEFAULT_ENVIRONMENT, enabled: Meaning.KILL_SWITCH_WHEN_FALSE, **self.environment}

    def with_route(self, **changes: Any) -> "Selector":
        """Return a selector with some fields of `[runtime]` changed; the generation stays."""
        return msgspec.structs.replace(self, runtime=msgspec.structs.replace(self.runtime, **changes))

    def at_generation(self, generation: int) -> "Selector":
        """Return the same selector under another generation."""
        return msgspec.structs.replace(self, generation=generation)
