"""The words for how a message may end, and when its sender has to ask so that it can end exactly."""

from typing import Final

from agt.transport._outgoing import Outgoing

MARGIN_SHARE: Final = 0.25
"""The largest share of a message's time that is kept back for asking what became of it."""

EXPIRED: Final = "its deadline passed"
CANCELLED: Final = "cancelled"
UNANSWERED: Final = "written, and not answered by its deadline"
FORGOTTEN: Final = "written to a receiver that has since forgotten this sender"


def ask_at(message: Outgoing, round_trip_s: float) -> float:
    """When to stop sending a message and ask what became of it, so that the answer comes before the deadline."""
    return message.deadline - min(round_trip_s, MARGIN_SHARE * (message.deadline - message.accepted_at))
