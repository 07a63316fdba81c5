"""A proxy for real sockets that knows frames, so that faults strike messages and not just bytes.

`FaultProxy` relays TCP or Unix connections; `add` puts a fault of `agt.chaos.faults` in force with a scope, a
probability and a duration. Order within a direction stays as TCP keeps it, except where a reorder fault says so.
"""

from agt.chaos.proxy._framing import Splitter, WireName, make_splitter, peer_in
from agt.chaos.proxy._proxy import FaultProxy
from agt.chaos.proxy._rules import Direction, Flow, Rule, Scope, everything, peers, towards
from agt.chaos.proxy._socket import Address

__all__ = (
    "Address",
    "Direction",
    "FaultProxy",
    "Flow",
    "Rule",
    "Scope",
    "Splitter",
    "WireName",
    "everything",
    "make_splitter",
    "peer_in",
    "peers",
    "towards",
)
