"""Real child processes in stages: started in order, watched, restarted by policy, adopted by the next supervisor."""

from agt.supervisor.components._spec import (
    STAGES,
    ComponentSpec,
    HttpProbe,
    Liveness,
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
    "ComponentSpec",
    "HttpProbe",
    "Liveness",
    "NotifyProbe",
    "Probe",
    "RestartPolicy",
    "Stage",
    "TcpProbe",
    "UnixProbe",
    "expand",
    "socket_path",
)
