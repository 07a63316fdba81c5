"""One message on its way out, and the words for how it may end."""

from typing import Final

MARGIN_SHARE: Final = 0.25
"""The largest share of a message's time that is kept back for asking what became of it."""

EXPIRED: Final = "its deadline passed"
CANCELLED: Final = "cancelled"
UNANSWERED: Final = "written, and not answered by its deadline"
FORGOTTEN: Final = "written to a receiver that has since forgotten this sender"


class Outgoing:
    """A message between `send` and its end."""

    __slots__ = ("accepted_at", "deadline", "ending", "failures", "message", "payload", "resends", "settled")

    def __init__(self, message: int, payload: bytes, accepted_at: float, deadline: float) -> None:
        self.message = message
        """The number that `send` returned."""
        self.payload = payload
        """Freed once it can't be written any more."""
        self.accepted_at = accepted_at
        self.deadline = deadline
        self.resends = 0
        """How often it was written again."""
        self.failures = 0
        """How often it was the oldest unreceived message when a timer ran out or a connection was lost."""
        self.ending = ""
        """Why its sequence is to be skipped from now on; empty while it is to be delivered."""
        self.settled = False
        """Whether its sender has been told; its sequence still has to be skipped."""

    def give_up(self, reason: str) -> None:
        """Have the sequence skipped from now on; what became of the message is the receiver's to say."""
        self.ending = self.ending or reason
        self.payload = b""

    def ask_at(self, round_trip_s: float) -> float:
        """When to stop sending it and ask what became of it, so that the answer comes before the deadline."""
        return self.deadline - min(round_trip_s, MARGIN_SHARE * (self.deadline - self.accepted_at))
