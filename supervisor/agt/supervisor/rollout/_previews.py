"""What an action would do, asked of the routers and put into words; nothing is changed."""

from typing import Final

import msgspec

from agt.supervisor.measure import RequestFailed
from agt.supervisor.rollout._effects import Kill, SetRoute
from agt.supervisor.rollout._moves import Moves, in_words
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._step import Step
from agt.supervisor.rollout._way import Way
from agt.supervisor.view import Preview

_PREVIEWED: Final = frozenset(Preview.__struct_fields__)


async def preview_of(plan: Plan, way: Way, done: Step, *, action: str, percent: float, version: int) -> Preview:
    """Return what a step would move; `percent` is what the candidate has now."""
    wanted, moves, routed = done.state.percent, Moves(), False
    says = f"{done.says or 'changes nothing'}; stays at {wanted:g} %"
    for effect in done.effects:
        if not isinstance(effect, SetRoute | Kill):
            continue
        leaves, routed = plan.candidate if wanted < percent else plan.control, True
        try:
            moves = await way.preview(effect)
            says = in_words(moves, percent=wanted, leaves=leaves)
        except RequestFailed as error:
            says = f"goes to {wanted:g} %; how many devices move can't be said: {error}"
    facts = {key: value for key, value in msgspec.structs.asdict(moves).items() if key in _PREVIEWED}
    return Preview(action=action, says=says, version=version, percentage=wanted if routed else None, **facts)
