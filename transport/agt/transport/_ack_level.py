"""What `delivered` stands for: how much the receiver has done before it acknowledged."""

import enum


class AckLevel(enum.StrEnum):
    """How far a message has come when its sender is told `delivered`."""

    PROCESSED = "processed"
    """The application has called `ack()`, or its handler has returned."""
    DURABLE = "durable"
    """That too, and the sender's mark (with `commit`, the message's effect in the same transaction) is on the disk:
    a receiver that is killed does not apply the message again."""
