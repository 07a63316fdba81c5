"""What a message handler's end means for its message, the same in every driver."""

import logging
from collections.abc import Callable

from agt.transport._received import ReceivedMessage

logger = logging.getLogger("agt.transport")


def hand_over(message: ReceivedMessage, on_message: Callable[[ReceivedMessage], None]) -> None:
    """Give a message to its handler: processed when that returns, unless deferred; refused when it raises."""
    try:
        on_message(message)
    except Exception:  # one bad message must not take down every other session
        logger.exception("the message handler failed for a message from %r; it was refused", message.peer)
        message.refuse("rejected")
    else:
        if not message.deferred:
            message.ack()
