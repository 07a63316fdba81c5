"""The name of a message for people and logs: derived from where it stands, the same on both sides, never generated.

An epoch begins with the time at which its outbox was created, so that the ids of one sender sort by time from one
incarnation to the next, and by place within one.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

CHANNEL_SHIFT: Final = 48
"""The token of a received message holds its channel above these bits."""
RANDOM_BITS: Final = 20
"""Low bits of an epoch, so that two outboxes created in one millisecond differ."""


def new_epoch(created_ms: int, rng: "Random") -> int:
    """Return the epoch of an outbox that is created now; never 0.

    Args:
        created_ms: the wall clock's milliseconds since 1970; below 2**42, which lasts until the year 2109.
        rng: draws the low bits.
    """
    return (created_ms % (1 << 42) << RANDOM_BITS) + rng.getrandbits(RANDOM_BITS) + 1


def message_id(epoch: int, channel: int, sequence: int) -> str:
    """Return the id of a message: epoch, sequence and channel in hexadecimal, sortable as text."""
    return f"{epoch:016x}-{sequence:012x}-{channel:02x}"
