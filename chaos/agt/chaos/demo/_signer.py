"""Who signs off in a headless run: nobody is there, so the run itself does, and says so in the name it signs with.

It signs as a careful person would: when every other gate of the phase is passed.
"""

from agt.supervisor.actions import Action, Refused
from agt.supervisor.client import Client
from agt.supervisor.rollout import Plan, gate_name
from agt.supervisor.view import View

BY = "agt demo, for the {role}"


def due_sign_offs(plan: Plan, view: View) -> list[Action]:
    """Return the sign-offs that a phase waits for and for nothing else."""
    phase = next((phase for phase in plan.phases if phase.name == view.phase), None)
    if phase is None or view.status != "running":
        return []
    roles = {gate_name(gate): gate.sign_off for gate in phase.gate if gate.sign_off}
    if any(gate.verdict != "passed" and gate.name not in roles for gate in view.gates):
        return []
    return [
        Action(action="sign-off", name=gate.name, by=BY.format(role=roles[gate.name]))
        for gate in view.gates
        if gate.name in roles and gate.verdict != "passed"
    ]


async def sign_off(client: Client, plan: Plan, view: View) -> None:
    """Sign what waits; what is refused, because the phase has just been left, is nobody's loss.

    Raises:
        NoSupervisor: when the supervisor is gone.
    """
    for action in due_sign_offs(plan, view):
        try:
            await client.act(action)
        except Refused:
            return
