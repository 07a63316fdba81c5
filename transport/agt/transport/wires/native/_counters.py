"""Plain integers that a link counts for the metrics; whoever exports them takes the growth."""

import msgspec


class LinkCounters(msgspec.Struct):
    """What happened on one link since it was made; two are equal when nothing has happened between them."""

    resends: int = 0
    """Messages written again."""
    ack_timeouts: int = 0
    """Times that the oldest message waited too long for its acknowledgement."""
    abandoned: int = 0
    """Messages given up after the last retry."""
    duplicates_dropped: int = 0
    """Messages received again and not handed to the application."""
    decode_errors: int = 0
    """Connections dropped for bytes that made no sense."""
    heartbeats: int = 0
    """Pings sent."""
    tag_failures: int = 0
    """Connections dropped because a record failed its tag; counted by what has the key (`KeyedLink`)."""
