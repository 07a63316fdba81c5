"""The clocks of the events: the contracts' own numbers, which an environment variable shortens for squeezed plans."""

import os
from collections.abc import Mapping

import msgspec

PREFIX = "AGT_DEMO_EVENTS_"


class EventTimes(msgspec.Struct, frozen=True, kw_only=True):
    """All in seconds; `AGT_DEMO_EVENTS_HEARTBEAT_S=2` and the like override one."""

    heartbeat_s: float = 5.0
    """How often a source says that it is alive."""
    silence_s: float = 30.0
    """A source that was not heard of for so long is stale."""
    ack_timeout_s: float = 2.0
    checkpoint_s: float = 30.0
    window_s: float = 600.0
    """The rolling window of the latency from a device's act to its row in the projection."""
    window_samples: float = 200.0
    """A window with fewer says nothing."""
    limit_s: float = 2.0
    """The p95 that a window may have."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "EventTimes":
        """Read what is overridden.

        Raises:
            ValueError: for one that is no number above zero.
        """
        given: dict[str, float] = {}
        for name in cls.__struct_fields__:
            if text := environment.get(PREFIX + name.upper()):
                given[name] = float(text)
                if not 0 < given[name] < float("inf"):
                    raise ValueError(f"{PREFIX}{name.upper()} is {text!r}; it has to be above zero")
        return cls(**given)
