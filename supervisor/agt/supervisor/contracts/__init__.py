"""The runtime contracts between sources, gateway and daemon, as pure state machines.

Delivery with tokens, cursors with two watermarks, the registry of sources, projections under compare-and-swap, the
rolling latency window. None of them looks at a clock or a socket: `now` is an argument, in seconds of any monotonic
clock, and what has to be sent, stored or raised comes back as a value. Numbers are those of docs/reference/facts.md, as
named defaults.
"""

from agt.supervisor.contracts._admission import Caller, Refusal, admit
from agt.supervisor.contracts._cursor import Cursor, CursorLimits, Position, Recovery
from agt.supervisor.contracts._delivery import AckAnswer, Deliveries, DeliveryLimits, Resend
from agt.supervisor.contracts._latency import LatencyLimits, LatencyWindow, WindowVerdict
from agt.supervisor.contracts._projection import Projection, ProjectionConflict
from agt.supervisor.contracts._sources import Source, SourceRegistry, SourceState

__all__ = (
    "AckAnswer",
    "Caller",
    "Cursor",
    "CursorLimits",
    "Deliveries",
    "DeliveryLimits",
    "LatencyLimits",
    "LatencyWindow",
    "Position",
    "Projection",
    "ProjectionConflict",
    "Recovery",
    "Refusal",
    "Resend",
    "Source",
    "SourceRegistry",
    "SourceState",
    "WindowVerdict",
    "admit",
)
