"""Document 001's plan in virtual time: each row of its rollback table, and what has to be there first."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agt.supervisor.actions import Action, Refused
from agt.supervisor.measure import Reading
from agt.supervisor.records import Alert
from agt.supervisor.rollout import Judgement, Status, Verdict, gate_windows, load_plan
from agt.supervisor.rollout._checks import Checked
from agt.supervisor.rollout._effects import OpenIncident, SetRoute
from agt.supervisor.rollout._operator import operate

PLAN = Path(__file__).parents[2] / "plans" / "agtmux-v5.toml"
MINUTE_S = 60.0
HALF_HOUR_S = 1800.0
LEVELS = ("incidents", "sources_not_active", "projection_version", "sessions_left_on_control", "legacy_users")

COUNTED = ("hold_downs", "restarts", "conflicts", "invalid_cursors", "full_resyncs")


@dataclass
class World:
    """The plan on a bench, at its own pace: a check a minute."""

    bench: object
    incidents: int = 0
    escalate: bool = False
    happened: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in COUNTED})
    failing: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        plain = self.bench.observe

        def observe():
            seen, now = plain(), self.bench.now
            levels = {name: Reading(0.0, samples=1) for name in LEVELS} | {
                "incidents": Reading(float(self.incidents), samples=1)
            }
            alert = Alert(id=1, severity="escalate", source="component", message="v5 is held down", created=now)
            checks = {
                check.name: Checked(
                    Judgement(Verdict.FAILED if check.name in self.failing else Verdict.PASSED, "said"), at=now
                )
                for check in self.bench.plan.file.check
            }
            readings = replace(seen.readings, signals=levels, happenings=self.happened)
            return replace(seen, readings=readings, alerts=(alert,) if self.escalate else (), checks=checks)

        self.bench.observe = observe

    @property
    def phase(self) -> str:
        """The present phase."""
        return self.bench.plan.phases[self.bench.state.phase].name

    def act(self, action: str, **fields: object) -> None:
        """Do what an operator asks."""
        bench = self.bench
        bench.take(operate(bench.plan, bench.state, bench.observe(), Action(action=action, **fields), now=bench.now))

    def until(self, phase: str) -> "World":
        """Force the way to a phase, and let its route be carried for a while."""
        self.bench.new.good = 10.0
        self.tick(3)
        while self.phase != phase:
            self.act("advance", by="ann", reason="a test")
            self.tick()
        self.tick(3)
        assert self.bench.state.status is Status.RUNNING, self.bench.state.reason
        return self

    def tick(self, times: int = 1, seconds: float = MINUTE_S) -> None:
        """Let minutes pass."""
        for _ in range(times):
            self.bench.tick(seconds)

    def happens(self, kind: str) -> None:
        """Let something be counted now."""
        self.happened[kind].append(self.bench.now)

    def minutes_until(self, status: Status, *, limit: int = 60) -> int:
        """Return how many checks it takes until the rollout is so."""
        for minute in range(1, limit + 1):
            self.tick()
            if self.bench.state.status is status:
                return minute
        raise AssertionError(f"still {self.bench.state.status} after {limit} minutes: {self.bench.state.reason}")

    @property
    def opened(self) -> list[str]:
        """Severities of the incidents that rules have opened."""
        return [effect.severity for effect in self.bench.done if isinstance(effect, OpenIncident)]


@pytest.fixture
def world(make_bench: Callable[..., object]) -> World:
    """The plan, begun."""
    return World(make_bench(PLAN.read_text()))


CARRYING = ("canary", "canary-5", "canary-8", "gradual-default", "full-cutover")


@pytest.mark.parametrize("phase", CARRYING)
def test_second_hold_down_in_a_row_rolls_back_at_once(world: World, phase: str) -> None:
    """The first is waited out; the second says that it doesn't recover."""
    world.until(phase).happens("hold_downs")
    world.tick(6)
    assert world.bench.state.status is Status.RUNNING
    world.happens("hold_downs")
    assert world.minutes_until(Status.ROLLED_BACK) == 1
    assert world.bench.state.reason.startswith("hold-down-again")
    assert world.opened == ["critical"]


@pytest.mark.parametrize("phase", CARRYING)
def test_escalate_alert_that_stays_open_rolls_back_after_five_minutes(world: World, phase: str) -> None:
    """Not before, and one that is resolved in time changes nothing."""
    world.until(phase)
    world.escalate = True
    world.tick(4)
    world.escalate = False
    world.tick(2)
    assert world.bench.state.status is Status.RUNNING
    world.escalate = True
    assert world.minutes_until(Status.ROLLED_BACK) in (5, 6)
    assert world.bench.state.reason.startswith("escalate-open")


@pytest.mark.parametrize("phase", CARRYING)
def test_latency_beyond_its_limit_rolls_back_in_the_fourth_window(world: World, phase: str) -> None:
    """Ten minutes each, end to end: three breached windows in a row are borne, a fourth is not."""
    world.until(phase).bench.new.latency_s = 2.0
    world.tick(20)
    world.bench.new.latency_s = 0.1
    world.tick(20)
    assert world.bench.state.status is Status.RUNNING
    world.bench.new.latency_s = 2.0
    assert 31 <= world.minutes_until(Status.ROLLED_BACK) <= 40
    assert world.bench.state.reason.startswith("latency-breach")
    assert world.opened == ["major"]


@pytest.mark.parametrize("phase", CARRYING)
def test_full_resync_holds_until_somebody_has_looked(world: World, phase: str) -> None:
    """Investigate, consider rollback: nothing moves, and an incident is open."""
    world.until(phase).happens("full_resyncs")
    assert world.minutes_until(Status.HELD) == 1
    assert world.bench.state.reason.startswith("full-resync")
    assert world.opened == ["minor"]


@pytest.mark.parametrize("phase", CARRYING)
def test_users_report_rolls_back_at_the_next_check(world: World, phase: str) -> None:
    """An incident that a person opens; everything is on v4 then, by one route."""
    world.until(phase)
    world.incidents = 1
    assert world.minutes_until(Status.ROLLED_BACK) == 1
    back = [effect for effect in world.bench.done if isinstance(effect, SetRoute)][-1]
    assert (back.forward, back.route.share, back.route.cohort) == (False, 0.0, ())


def test_held_canary_still_goes_back(world: World) -> None:
    """A cohort is no percentage, and it is on v5 all the same while the rollout is held."""
    world.until("canary").act("hold", by="ann", reason="lunch")
    world.incidents = 1
    assert world.minutes_until(Status.ROLLED_BACK) == 1


def test_no_retry_without_a_cause(world: World) -> None:
    """After a rollback nothing goes forward until somebody has written down why; then it begins anew."""
    world.until("gradual-default").incidents = 1
    world.minutes_until(Status.ROLLED_BACK)
    world.incidents = 0
    with pytest.raises(Refused, match="record a cause first"):
        world.act("resume", by="ann")
    world.act("record-cause", by="ann", reason="v5 dropped a pane")
    world.act("resume", by="ann")
    assert world.phase == "internal-alpha"


def test_another_listing_on_v5_holds_the_rollout(world: World) -> None:
    """Parity is looked at in every phase in which both daemons serve."""
    world.until("canary").failing = frozenset({"parity"})
    assert world.minutes_until(Status.HELD) == 1


def test_phase_1_is_left_by_nobody_who_hasnt_signed(world: World) -> None:
    """A day of clean traffic isn't enough: its owner has to sign."""
    world.bench.new.good = 10.0
    world.tick(50, HALF_HOUR_S)
    assert world.phase == "internal-alpha"
    for role in ("phase 1 owner", "on-call engineer"):
        world.act("sign-off", by="ann", name=role)
    waits = {name: judged for name, judged in world.bench.tick(MINUTE_S).gates if judged.verdict}
    assert [name for name in waits if name != "mirrored commands"] == []


def test_without_traffic_the_first_gate_stays_shut(world: World) -> None:
    """Time, signatures and checks are no evidence of traffic."""
    world.bench.old.good = 0.0
    world.tick(3)
    world.act("sign-off", by="ann", name="phase 1 owner")
    world.tick(96, HALF_HOUR_S)
    assert world.phase == "internal-alpha"
    assert {"v4 is measured", "mirrored commands"} <= {
        name for name, judged in world.bench.tick(MINUTE_S).gates if judged.verdict
    }


def test_every_exit_criterion_of_the_document_is_a_gate() -> None:
    """By phase, with the span that each looks back."""
    plan = load_plan(PLAN)
    gates = {phase.name: gate_windows(phase) for phase in plan.phases}
    assert [plan.soak_s(phase) / 3600 for phase in plan.phases] == [24, 48, 24, 24, 168, 168]
    assert gates["internal-alpha"]["no HoldDown in 24 h"] == "24h"
    assert {"v5 matches v4 for all active sessions", "snapshot taken, restore dry run passes"} <= set(
        gates["internal-alpha"]
    )
    assert {"canary users confirm", "phase 2 signed", "no Degraded alert"} <= set(gates["canary-8"])
    assert {"all new sessions on v5", "no more restarts than in a week of v4"} <= set(gates["gradual-default"])
    assert {"phase 3 signed", "on-call briefed on rollback", "no unresolved Escalate alert"} <= set(
        gates["gradual-default"]
    )
    assert {"zero v4 sessions", "final snapshot", "v5 alone is stable"} <= set(gates["full-cutover"])
