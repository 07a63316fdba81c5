"""What a demo lends to a plan that was written for a real controller: the simulated fleet, and traffic enough for it.

Such a plan names no components, since its controller is started by somebody else, and asks for as many samples as
weeks of real traffic bring. Nothing in it is changed: components are added, and commands come faster.
"""

import os
from pathlib import Path
from typing import Final

from agt.supervisor.rollout import Phase, Plan

RATE_MAX: Final = 800.0
"""Commands a second that two cores carry with all that is written down of each; a plan that needs more takes longer."""
SPARE: Final = 1.15
"""How much more than is needed: a fleet of threes and fives is not cut into exact shares."""
_STAGES: Final = {"fleet": "sources", "gateway": "gateway", "daemon": "daemon"}


def playable(plan: Plan, path: Path, run_dir: Path) -> Path:
    """Return a plan file that has components: the plan's own, or one in the run directory with ours added.

    Raises:
        OSError: when it can't be written.
    """
    if plan.components:
        return path
    lent = run_dir / "plan.toml"
    text = path.read_text(encoding="utf-8")
    with os.fdopen(os.open(lent, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text.rstrip() + "\n\n# Lent by `agt demo`: this plan names no components.\n" + _components(plan))
    return lent


def _components(plan: Plan) -> str:
    names = {"gateway": f', "--control", "{plan.control}", "--candidate", "{plan.candidate}"'}
    return "\n".join(
        f'[[component]]\nname = "{name}"\nstage = "{stage}"\n'
        f'command = ["{{python}}", "-m", "agt.chaos.demo.{name}"{names.get(name, "")}]\n'
        for name, stage in _STAGES.items()
    )


def rate_for(plan: Plan) -> float:
    """Return the commands a second with which each phase and each window gets its samples in time, if ours carry them.

    Args:
        plan: The plan, squeezed as it will run.
    """
    asked = max((_rate_of(plan, phase) for phase in plan.phases), default=0.0)
    return min(SPARE * asked, RATE_MAX)


def _rate_of(plan: Plan, phase: Phase) -> float:
    share, soak_s = phase.route.share / 100 or 1.0, max(plan.soak_s(phase), 1.0)
    asked = [0.0]
    for gate in phase.gate:
        seen = share if gate.runtime != "control" or share == 1.0 else 1.0 - share
        counted = gate.at_least if gate.metric in {"samples", "shadow_compared"} else gate.samples
        asked.append((counted or 0.0) / seen / soak_s)
        if gate.objective and gate.consecutive:
            samples = max((one.samples or 0 for one in plan.objectives), default=0)
            asked.append(samples / share / plan.window_s(gate.window))
    return max(asked)
