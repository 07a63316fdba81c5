"""Signals: what gates ask of an instant, and that a silent router is never counted as zero."""

import pytest

from agt.supervisor.measure import RouterSeen, RouterStatus
from agt.supervisor.rollout import Plan, parse_plan
from agt.supervisor.rollout._gates import compare
from agt.supervisor.rollout._signals import signals_of
from agt.supervisor.rollout._verdict import Verdict

PLAN = """
schema = 1
name = "two-routers"
routers = ["gateway-a.sock", "gateway-b.sock"]
[runtimes]
control = "v4"
candidate = "v5"
[[phase]]
name = "cutover"
route = { default = "candidate" }
soak = "7d"
[[phase.gate]]
metric = "sessions_left_on_control"
equals = 0
"""


@pytest.fixture
def plan() -> Plan:
    """A plan over two routers."""
    return parse_plan(PLAN)


def seen(name: str, sessions: int | None, *, users: int = 0) -> RouterSeen:
    """A router that has so many sessions on control; None is one from before sessions were counted."""
    runtimes = {"v4": {"devices": users} | ({} if sessions is None else {"sessions": sessions})}
    status = RouterStatus(router="r", generation=1, runtimes=runtimes, legacy_users=["x"] * users)
    return RouterSeen(socket=name, status=status)


def test_sessions_on_control_are_added_over_routers(plan: Plan) -> None:
    """Zero only when all of them say zero."""
    some = signals_of(plan, (seen("gateway-a.sock", 2, users=3), seen("gateway-b.sock", 0)), incidents=0)
    assert (some["sessions_left_on_control"].value, some["legacy_users"].value) == (2.0, 3.0)
    none = signals_of(plan, (seen("gateway-a.sock", 0), seen("gateway-b.sock", 0)), incidents=0)
    judged = compare("sessions_left_on_control", "equals", 0, none["sessions_left_on_control"], samples=0)
    assert (judged.verdict, judged.reason) == (Verdict.PASSED, "0 of = 0")


@pytest.mark.parametrize(
    "other",
    [RouterSeen(socket="gateway-b.sock", error="can't be reached"), seen("gateway-b.sock", None)],
    ids=["silent", "older"],
)
def test_router_that_says_nothing_lets_no_gate_pass(plan: Plan, other: RouterSeen) -> None:
    """It may have the last session there is."""
    found = signals_of(plan, (seen("gateway-a.sock", 0), other), incidents=0)["sessions_left_on_control"]
    judged = compare("sessions_left_on_control", "equals", 0, found, samples=0)
    assert judged.verdict is Verdict.PENDING
    assert "1 of 2 routers say nothing of it" in judged.reason


def test_incidents_need_no_router(plan: Plan) -> None:
    """They are the supervisor's own."""
    assert signals_of(plan, (), incidents=1)["incidents"].value == 1.0
