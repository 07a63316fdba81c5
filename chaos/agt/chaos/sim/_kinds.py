"""The kinds of world there are: how each draws its profile, lives through a seed, and is calmed down.

`links` are two hosts' links and stores; `router` a gateway with the real router between sources and devices.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from agt.chaos.sim._profile import draw_profile_of
from agt.chaos.sim._report import Report
from agt.chaos.sim._story import run_seed
from agt.chaos.sim.moves import router_profile_of, run_router_seed

LINKS: Final[Mapping[str, tuple[str, ...]]] = {
    "devices": ("1",),
    "messages": ("2", "5", "10", "20"),
    "crash_per_s": ("0",),
    "zombie": ("0",),
    "partition_per_s": ("0",),
    "withdraw_per_s": ("0",),
    "cancel": ("0",),
    "refuse": ("0",),
    "cut": ("0",),
    "damage": ("0",),
    "reorder": ("0",),
    "duplicate": ("0",),
    "drop": ("0",),
    "channels": ("1",),
    "busy": ("0",),
    "resize_per_s": ("0",),
    "drain_per_s": ("0",),
    "disk_fail": ("0",),
    "disk_s": ("0",),
    "durable": ("0",),
    "remembers": ("0",),
    "half_open": ("0",),
    "slice": ("0",),
    "think_s": ("0",),
    "jitter_s": ("0",),
    "latency_s": ("0",),
    "payload_max": ("0",),
}
"""What each part of a profile is calmed down to, the calmest first; in the order in which it is tried."""

ROUTER: Final[Mapping[str, tuple[str, ...]]] = {
    "devices": ("1",),
    "messages": ("2", "5", "10", "20"),
    "changes": ("1", "2", "4"),
    "kills": ("0",),
    "crash_at_write": ("0",),
    "crash_per_s": ("0",),
    "device_crash_per_s": ("0",),
    "corrupt_per_s": ("0",),
    "full_per_s": ("0",),
    "stall_per_s": ("0",),
    "redial": ("0",),
    "cut": ("0",),
    "damage": ("0",),
    "reorder": ("0",),
    "duplicate": ("0",),
    "drop": ("0",),
    "half_open": ("0",),
    "slice": ("0",),
    "report": ("0",),
    "reaction_s": ("0",),
    "jitter_s": ("0",),
    "legacy_lag_s": ("0",),
    "latency_s": ("0",),
}
"""The same for router worlds."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of world."""

    name: str
    draw: Callable[[int], msgspec.Struct]
    """Draws the profile of a seed."""
    run: Callable[..., Report]
    """Lives through a seed with a profile."""
    calm: Mapping[str, tuple[str, ...]]
    """What each part of a profile is calmed down to, in the order in which it is tried."""


KINDS: Final[dict[str, Kind]] = {
    "links": Kind("links", draw_profile_of, run_seed, LINKS),
    "router": Kind("router", router_profile_of, run_router_seed, ROUTER),
}
