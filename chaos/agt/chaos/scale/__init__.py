"""Real gateways and real devices in numbers: a kill of ten thousand, a move of a thousand under faults.

Run by `agt chaos kill` and `agt chaos move`; the gateways, fleets and the oracle are the demo's.
"""

from agt.chaos.scale._idle import IdleFigures, IdleWork, idle_devices
from agt.chaos.scale._kill import KillFigures, KillRound, KillWork, kill_devices
from agt.chaos.scale._move import Moved, MoveFigures, MoveWork, move_devices
from agt.chaos.scale._stage import Stage, StageFailed, Troupe

__all__ = (
    "IdleFigures",
    "IdleWork",
    "KillFigures",
    "KillRound",
    "KillWork",
    "MoveFigures",
    "MoveWork",
    "Moved",
    "Stage",
    "StageFailed",
    "Troupe",
    "idle_devices",
    "kill_devices",
    "move_devices",
)
