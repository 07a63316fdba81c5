"""Our own wire: numbered, acknowledged, checked frames in both directions of one connection.

`docs/architecture/protocol-specification.md` gives bytes, states and limits.
"""

from agt.transport.wires.native._acceptor import Greeting, Keeper, NativeAcceptor, Refused
from agt.transport.wires.native._config import NativeConfig
from agt.transport.wires.native._frames import FrameParser, FrameType, encode_frame
from agt.transport.wires.native._handshake import AwayCode, Hello, go_away_frame
from agt.transport.wires.native._keeping_link import KeepingLink
from agt.transport.wires.native._link import NativeLink
from agt.transport.wires.native._probing import Probe, ProbeLimits
from agt.transport.wires.native._states import Role

__all__ = (
    "AwayCode",
    "FrameParser",
    "FrameType",
    "Greeting",
    "Hello",
    "Keeper",
    "KeepingLink",
    "NativeAcceptor",
    "NativeConfig",
    "NativeLink",
    "Probe",
    "ProbeLimits",
    "Refused",
    "Role",
    "encode_frame",
    "go_away_frame",
)
