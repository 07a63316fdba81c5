"""What routers say when they are told to go back, read the same way by the supervisor and by a command without one."""

from collections.abc import Iterable
from typing import Final

import msgspec

from agt.supervisor.view import RouterAnswer

_OK: Final = range(200, 300)


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """A router's receipt, as far as it is shown; keys that a newer router adds are ignored."""

    moving: int = 0
    redial: int = 0
    redial_per_s: float | None = None


def answer_of(router: str, status: int, body: bytes, *, ms: float) -> RouterAnswer:
    """Read one router's answer, which came after so many milliseconds; one that can't be read confirms nothing."""
    if status not in _OK:
        return RouterAnswer(router=router, why=f"answers {status}")
    try:
        said = msgspec.json.decode(body, type=_Said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return RouterAnswer(router=router, why=f"answers what can't be read: {error}")
    return RouterAnswer(router=router, ms=ms, moving=said.moving, redial=said.redial, redial_per_s=said.redial_per_s)


def missing(answers: Iterable[RouterAnswer]) -> tuple[RouterAnswer, ...]:
    """Return the routers that have not confirmed."""
    return tuple(one for one in answers if not one.confirmed)


def slowest(answers: Iterable[RouterAnswer]) -> RouterAnswer | None:
    """Return the router that confirmed last; None when none has."""
    return max((one for one in answers if one.confirmed), key=lambda one: one.ms or 0.0, default=None)


def redial_in_words(answers: Iterable[RouterAnswer]) -> str:
    """Say how many devices have to dial first, and how fast they are taken in; empty when none has to."""
    found = [one for one in answers if one.redial]
    count = sum(one.redial for one in found)
    if not count:
        return ""
    devices = f"{count:,} devices come back by redial" if count > 1 else "1 device comes back by redial"
    if any(not one.redial_per_s for one in found):
        return devices
    # Each router takes in its own: the crowd is through when the slowest of them is.
    longest_s = max(one.redial / (one.redial_per_s or 1.0) for one in found)
    pace = sum(one.redial_per_s or 0.0 for one in found)
    return f"{devices}, at most {pace:,.0f} a second, over about {longest_s:.1f} s"
