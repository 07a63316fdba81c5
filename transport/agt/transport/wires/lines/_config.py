"""What can be set on a lines link, each default beside its reason."""

from typing import Annotated

import msgspec
from msgspec import Meta

from agt.transport.wires.lines._text import MAX_LINE_BYTES


class LinesConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one `LinesLink`; times in seconds."""

    name: str = ""
    """Device role: who it is; required there."""
    sequenced: bool = False
    """Device role: announce one watermark over all attachments, which makes a move's barrier exact."""
    line_max_bytes: Annotated[int, Meta(ge=16)] = MAX_LINE_BYTES
    """Longest line, without its newline; a longer one costs the peer its connection."""
    send_queue_max: Annotated[int, Meta(ge=1)] = 100
    """Messages accepted and not written yet."""
    reply_timeout_s: Annotated[float, Meta(gt=0)] = 5.0
    """After this a written message counts as unanswered for good."""
    unanswered_max: Annotated[int, Meta(ge=1)] = 1000
    """Written messages whose replies are waited for; over this the oldest counts as unanswered for good."""
    unprocessed_max: Annotated[int, Meta(ge=1)] = 1000
    """Received messages that the application has not acknowledged yet; more are dropped, and counted."""
    unsent_max_bytes: Annotated[int, Meta(ge=4096)] = 262_144
    """Bytes waiting for the driver; over this a write is refused and queued messages wait. A peer whose answers pile
    up to twice this, because it asks on and never reads, is dropped."""
    warnings_max: Annotated[int, Meta(ge=1)] = 20
    """Device role: the controller's latest words that are kept."""
