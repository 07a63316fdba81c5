"""The selector: which runtime carries what, as a frozen value with a generation.

It is the meaning of `selector.toml`. Reading the text is `_selector_text`'s work, the file itself
`_selector_file`'s; everything else takes this struct and never a dict.
"""

import datetime
import enum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Percent = Annotated[float, Meta(ge=0, le=100)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
ListenerMode = Literal["serve", "warn", "refuse"]
ShadowMode = Literal["off", "candidate", "control"]
MODES = ("datacenter", "hybrid", "internet")
"""Network modes of docs/reference/facts.md, 4 that a policy can name."""


class Meaning(enum.StrEnum):
    """What an environment variable stands for."""

    FRACTION = "fraction"
    """The percentage as a fraction, 0 to 1."""
    PERCENTAGE = "percentage"
    """The percentage, 0 to 100."""
    KILL_SWITCH = "kill_switch"
    """True sends everything to control."""
    KILL_SWITCH_WHEN_FALSE = "kill_switch_when_false"
    """False sends everything to control."""
    SHADOW = "shadow"
    """True mirrors to the candidate, false mirrors nothing."""
    COHORT = "cohort"
    """Comma-separated ids that alone go to the candidate; the percentage no longer counts."""


DEFAULT_ENVIRONMENT: dict[str, Meaning] = {
    "CANARY_COHORT": Meaning.COHORT,
    "CANARY_PERCENTAGE": Meaning.PERCENTAGE,
    "DARK_LAUNCH": Meaning.SHADOW,
}
"""Variables that count without being named in `[environment]`."""


class Runtimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The two systems' names, `[runtimes]`."""

    control: Name
    """The system that carries traffic today and is always the way back."""
    candidate: Name
    """The system that is to take over."""


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes where, `[runtime]`."""

    default: str = msgspec.field(default="", name="default_daemon")
    """Runtime of whatever nothing else decides; empty means control."""
    enabled: bool = msgspec.field(default=False, name="candidate_enabled")
    """Whether the candidate may carry anything; in the file `<candidate>_enabled`."""
    cohort: tuple[str, ...] = msgspec.field(default=(), name="candidate_canary_sessions")
    """Devices or sessions on the candidate by name; in the file `<candidate>_canary_sessions`."""
    percentage: Percent | None = None
    """Share of devices on the candidate, 0 to 100 in steps of 0.01; absent means 0."""
    salt: Annotated[str, Meta(max_length=64)] = ""
    """Mixed into positions, so that another rollout picks other devices."""
    shadow: ShadowMode = "off"
    """Which runtime gets a mirrored copy: `candidate` is a dark launch, `control` keeps the way back warm."""
    shadow_percent: Percent = 100.0
    """Share of devices that are mirrored."""
    pin_live_sessions: bool = False
    """Whether sessions that live on control stay there until they restart; never holds one on the candidate."""
    kill_switch: bool = False
    """True sends everything to control, whatever else is written (document 002's `force_v1_mode`)."""
    legacy_listener: ListenerMode = "serve"
    """What the legacy listener does: `serve`, `warn` who still uses it, or `refuse` in words."""


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One device forced to one runtime, `[[overrides]]`."""

    device: Annotated[str, Meta(min_length=1)]
    """Whom."""
    runtime: str
    """Where."""
    owner: Annotated[str, Meta(min_length=1)]
    """Who answers for it."""
    reason: str = ""
    """Why."""
    expires: datetime.datetime | None = None
    """When it stops, with an offset (`2026-01-31T12:00:00Z`); absent means never."""


class Selector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole state that decides; compare-and-swap goes by `generation`."""

    runtimes: Runtimes
    """The names that every other key uses."""
    generation: Annotated[int, Meta(ge=0)] = 0
    """Grows by one with each write; 0 means written by hand, without a number."""
    runtime: Route = Route()
    """What goes where."""
    components: dict[str, bool] = {}
    """Flags by component; where a component is asked about, an unknown or false one stays on control."""
    modes: dict[str, bool] = {}
    """Whether the candidate may be used in a network mode; absent means yes."""
    overrides: tuple[Override, ...] = ()
    """Devices forced by name."""
    environment: dict[str, Meaning] = {}
    """Variables and what they mean, beside the built-in `DEFAULT_ENVIRONMENT`."""

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
        return 100.0 if self.default_is_candidate else (route.percentage or 0.0)

    @property
    def variables(self) -> dict[str, Meaning]:
        """Every variable that counts, built-in ones included."""
        return {**DEFAULT_ENVIRONMENT, **self.environment}

    def with_route(self, **changes: Any) -> "Selector":
        """Return a selector with some fields of `[runtime]` changed; the generation stays."""
        return msgspec.structs.replace(self, runtime=msgspec.structs.replace(self.runtime, **changes))

    def at_generation(self, generation: int) -> "Selector":
        """Return the same selector under another generation."""
        return msgspec.structs.replace(self, generation=generation)
