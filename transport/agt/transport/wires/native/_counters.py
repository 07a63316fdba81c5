"""Plain integers that a link counts for the metrics; whoever exports them takes the growth."""


class LinkCounters:
    """What happened on one link since it was made."""

    __slots__ = (
        "abandoned",
        "ack_timeouts",
        "acks_received",
        "decode_errors",
        "duplicates_dropped",
        "heartbeats",
        "resends",
        "tag_failures",
    )

    def __init__(self) -> None:
        self.resends = 0
        """Messages written again."""
        self.ack_timeouts = 0
        """Times that the oldest message waited too long for its acknowledgement."""
        self.acks_received = 0
        """Acknowledgement frames taken in."""
        self.abandoned = 0
        """Messages given up after the last retry."""
        self.duplicates_dropped = 0
        """Messages received again and not handed to the application."""
        self.decode_errors = 0
        """Connections dropped for bytes that made no sense."""
        self.heartbeats = 0
        """Pings sent."""
        self.tag_failures = 0
        """Connections dropped because a record failed its tag; counted by what keeps the key (`KeyedLink`)."""
