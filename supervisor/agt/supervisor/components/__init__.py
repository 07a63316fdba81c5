"""Real child processes in stages: started in order, watched, restarted by policy, adopted by the next supervisor."""

from agt.supervisor.components._component import Component
from agt.supervisor.components._graph import problems, start_order
from agt.supervisor.components._keeper import Keeper
from agt.supervisor.components._lifecycle import State
from agt.supervisor.components._order import Order
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
from agt.supervisor.components._why import chain as why_chain

__all__ = (
    "STAGES",
    "CommandProbe",
    "Component",
    "ComponentSpec",
    "HttpProbe",
    "Keeper",
    "Liveness",
    "LogProbe",
    "NotifyProbe",
    "Order",
    "Probe",
    "RestartPolicy",
    "Stage",
    "State",
    "TcpProbe",
    "UnixProbe",
    "expand",
    "problems",
    "socket_path",
    "start_order",
    "why_chain",
)
