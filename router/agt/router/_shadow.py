"""The counts of a shadow that compares by itself, as the HTTP adapter's does; what it has is `agt.router.shadow`'s."""

import msgspec


class ShadowCounts(msgspec.Struct, kw_only=True):
    """What the shadow saw."""

    compared: int = 0
    """Messages whose two endings are known."""
    differences: int = 0
    """Of these, how many differ."""
    decided: int = 0
    """Messages that had no twin, so that only the decision was counted."""
    shed: int = 0
    """Messages not mirrored, because the queue was full or the twin failed."""
