"""Makes a failing world smaller: whatever it can do without is switched off, one thing after the other.

The seed stays, so that the world stays the same in kind; what remains in the profile is what the failure needs. Each
try is one more run of the world, so the whole costs less than a second.
"""

from collections.abc import Mapping
from typing import Final

from agt.chaos.sim._profile import Profile, with_overrides
from agt.chaos.sim._story import run_seed

CALM: Final[Mapping[str, tuple[str, ...]]] = {
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


def shrink(seed: int, profile: Profile, broken: str) -> dict[str, str]:
    """Return overrides under which the seed still breaks the same promise.

    Args:
        seed: the failing seed.
        profile: its profile, as it failed.
        broken: what its report said; the part before the colon names the promise.
    """
    rule = broken.partition(":")[0]
    kept: dict[str, str] = {}
    for field, values in CALM.items():
        drawn = getattr(profile, field)
        for value in values:
            calmer = with_overrides(profile, {**kept, field: value})
            if getattr(calmer, field) < drawn and _breaks(seed, calmer, rule):
                kept[field] = value
                break
    return kept


def _breaks(seed: int, profile: Profile, rule: str) -> bool:
    try:
        return run_seed(seed, profile).broken.partition(":")[0] == rule
    except Exception:  # noqa: BLE001  # Another failure; the one we look for is a broken promise.
        return False
