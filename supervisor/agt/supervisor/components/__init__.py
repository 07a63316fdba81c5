"""Real child processes in stages: started in order, watched, restarted by policy, adopted by the next supervisor."""

from agt.supervisor.components._graph import problems, start_order
from agt.supervisor.components._keeper import Keeper
from agt.supervisor.components._spec import (
    STAGES,
    CommandProbe,
    ComponentSpec,
    HttpProbe,
    Liveness,
    LogProbe,
    NotifyProbe,
    Probe,
    RestartPolicy,
    Stage,
    TcpProbe,
    UnixProbe,
    expand,
    socket_path,
)

__all__ = (
    "STAGES",
    "CommandProbe",
    "ComponentSpec",
    "HttpProbe",
    "Keeper",
    "Liveness",
    "LogProbe",
    "NotifyProbe",
    "Probe",
    "RestartPolicy",
    "Stage",
    "TcpProbe",
    "UnixProbe",
    "expand",
    "problems",
    "socket_path",
    "start_order",
)
