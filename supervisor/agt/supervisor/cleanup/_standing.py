"""Whether anybody is still on legacy: by what routers say now, or by a completion report. Pure.

Nobody answers is not nobody is left: what isn't known counts as in use.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from agt.supervisor._errors import SupervisorError
from agt.supervisor.measure import RouterSeen

NAMED_MAX = 10


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Who is still on legacy."""

    free: bool
    """Nobody is, and that is known."""
    says: str
    devices: tuple[str, ...] = ()
    """By name."""
    code: tuple[str, ...] = ()
    """Lines of code that used something deprecated in a running process."""


def judge_standing(routers: Sequence[RouterSeen]) -> Standing:
    """Return who is still on legacy, as the routers say."""
    silent = [one.socket for one in routers if one.status is None]
    devices = tuple(sorted({str(user) for one in routers if one.status for user in one.status.legacy_users}))
    code = tuple(sorted({str(line) for one in routers if one.status for line in one.status.legacy_code}))
    if devices:
        named = ", ".join(devices[:NAMED_MAX]) + (", ..." if len(devices) > NAMED_MAX else "")
        says = f"{len(devices)} devices are still on legacy: {named}"
    elif code:
        says = f"running code still uses what goes: {code[0]}" + (f", and {len(code) - 1} more" * (len(code) > 1))
    elif silent or not routers:
        says = f"it is not known who is still on legacy: {', '.join(silent) or 'no router'} does not answer"
    else:
        says = "nobody is on legacy"
    return Standing(free=not (devices or code or silent) and bool(routers), says=says, devices=devices, code=code)


def from_report(body: bytes) -> Standing:
    """Return what a completion report proves.

    Raises:
        SupervisorError: when it is no completion report.
    """
    try:
        report: Any = msgspec.json.decode(body, type=_Report)
    except msgspec.DecodeError as error:
        raise SupervisorError(f"this is no completion report: {error}", "agt report completion --out FOLDER") from error
    if report.complete:
        return Standing(free=True, says="the report proves the migration complete")
    missing = ", ".join(one.name for one in report.proofs if one.verdict != "passed")
    return Standing(free=False, says=f"the report does not prove it complete: {missing}")


class _Proof(msgspec.Struct, frozen=True):
    name: str
    verdict: str


class _Report(msgspec.Struct, frozen=True):
    complete: bool
    proofs: tuple[_Proof, ...]
