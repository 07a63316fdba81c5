"""Makes a failing world smaller: whatever it can do without is switched off, one thing after the other.

The seed stays, so that the world stays the same in kind; what remains in the profile is what the failure needs. Each
try is one more run of the world, so the whole costs less than a second.
"""

import msgspec

from agt.chaos.sim._kinds import Kind
from agt.chaos.sim._profile import with_overrides


def shrink(kind: Kind, seed: int, profile: msgspec.Struct, broken: str) -> dict[str, str]:
    """Return overrides under which the seed still breaks the same promise.

    Args:
        kind: which kind of world it was.
        seed: the failing seed.
        profile: its profile, as it failed.
        broken: what its report said; the part before the colon names the promise.
    """
    rule = broken.partition(":")[0]
    kept: dict[str, str] = {}
    for field, values in kind.calm.items():
        drawn = getattr(profile, field)
        for value in values:
            calmer = with_overrides(profile, {**kept, field: value})
            if getattr(calmer, field) < drawn and _breaks(kind, seed, calmer, rule):
                kept[field] = value
                break
    return kept


def _breaks(kind: Kind, seed: int, profile: msgspec.Struct, rule: str) -> bool:
    try:
        return kind.run(seed, profile).broken.partition(":")[0] == rule
    except Exception:  # noqa: BLE001  # Another failure; the one we look for is a broken promise.
        return False
