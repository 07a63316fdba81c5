"""How a send ends.

Every send ends as one of these, within its deadline. `lost` is not among them: a message is lost when nobody
was told anything about it, and only someone who joins the logs of both ends can count that.
"""

import enum


class Outcome(enum.StrEnum):
    """How a send ended, in the words that reports use."""

    DELIVERED = "delivered"
    """The receiving application processed the message (at the ack level that was asked for)."""

    NOT_DELIVERED = "not_delivered"
    """The message was provably never handed to the receiving application; sending it again is safe."""

    INDETERMINATE = "indeterminate"
    """Nobody can know: the message was written, and no answer will come. It may or may not have arrived."""

    WRITTEN = "written"
    """Legacy paths only: the bytes went to the socket, which is all such a path can ever say."""

    __hash__ = str.__hash__  # What equals the word hashes like it; an enum's own hash is a call for each count.
