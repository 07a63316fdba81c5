"""The engine's step on a bench: forward on evidence only, back for the reasons that the plan names."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.supervisor.actions import Action, Refused
from agt.supervisor.rollout import Status, parse_plan
from agt.supervisor.rollout._effects import Kill, SetRoute, is_forward
from agt.supervisor.rollout._engine import step
from agt.supervisor.rollout._gates import budget_left
from agt.supervisor.rollout._operator import operate
from agt.supervisor.rollout._step import look_of
from agt.supervisor.rollout._turns import fresh


def test_healthy_plan_runs_to_its_end(bench):
    """With clean traffic every phase is entered in turn, and the plan completes."""
    bench.until("most")
    while bench.state.status is not Status.COMPLETE:
        bench.tick()
        assert bench.now < 1100, bench.state
    assert bench.said == ["started", "advanced", "advanced", "completed"]
    assert [effect.route.share for effect in bench.done if isinstance(effect, SetRoute)] == [0, 50, 90]


def test_nothing_starts_before_the_router_answers(bench):
    """Without a router the rollout waits in `starting` and says what is missing."""
    bench.up = False
    for _ in range(20):
        bench.tick()
    assert bench.state.status is Status.STARTING
    assert "can't be reached" in bench.state.reason
    assert not bench.done


def test_no_traffic_never_passes_the_first_gate(bench):
    """Time alone is no evidence: with no messages the first gate stays pending for ever."""
    bench.old.good = 0
    for _ in range(200):
        done = bench.tick()
    assert bench.state.phase == 0
    assert [judged.verdict.word for _, judged in done.gates] == ["pending"]


def test_soak_that_is_not_carried_holds_the_phase(bench):
    """Samples alone are not enough either: the router has to have carried the route for as long as the plan says."""
    bench.until("half")
    bench.new.good = 50
    entered = bench.state.generation
    for _ in range(30):
        bench.tick()
        bench.carried[entered] = 3.0
    assert bench.plan.phases[bench.state.phase].name == "half"


def test_violated_objective_rolls_back_to_control_after_three_checks(bench):
    """Three violated checks in a row go back to 0 by the named rule, not before."""
    bench.until("half")
    bench.new.good, bench.new.bad = 25, 25
    assert [bench.tick().by for _ in range(4)].count("slo") == 1
    assert bench.state.status is Status.ROLLED_BACK
    assert bench.state.percent == 0
    assert bench.state.reason.startswith("slo: success")
    back = [effect for effect in bench.done if isinstance(effect, SetRoute)][-1]
    assert not back.forward


def test_later_phase_goes_back_one_phase(bench):
    """A rule with `previous_phase` goes to the phase before and is locked there."""
    bench.until("most")
    bench.new.good, bench.new.bad = 25, 25
    for _ in range(4):
        bench.tick()
    assert bench.state.status is Status.ROLLED_BACK
    assert (bench.state.percent, bench.state.back_from) == (50, "most")


def test_stalled_candidate_is_noticed_by_what_is_in_flight(bench):
    """A candidate that says nothing more is slow now: it is rolled back although no message has failed yet."""
    bench.until("half")
    for _ in range(3):
        bench.tick()
    bench.new.good, bench.new.stuck = 0, 40
    for _ in range(3):
        bench.tick()
    assert bench.state.status is Status.ROLLED_BACK


def test_gate_is_not_passed_while_a_rule_counts(bench):
    """A phase whose soak is over isn't left while its rule is being violated."""
    bench.until("half")
    for _ in range(6):
        bench.tick()
    bench.new.stuck = 40
    bench.tick(5)
    assert bench.plan.phases[bench.state.phase].name == "half"
    assert bench.state.breaches == {"slo": 1}


def test_silent_gateway_suspends_and_nothing_is_blamed_on_the_candidate(bench):
    """A gateway that is gone holds the rollout; a restarted one has to be clean for a window before it goes on."""
    bench.until("half")
    bench.tick()
    bench.up = False
    for _ in range(10):
        bench.tick()
    assert bench.state.status is Status.SUSPENDED
    bench.up, bench.router, bench.new.bad = True, "r2", 20
    bench.tick()
    assert "started anew" in bench.state.reason
    bench.new.bad = 0
    for _ in range(12):
        bench.tick()
    assert bench.state.status is Status.RUNNING
    assert "rolled-back" not in bench.said
    look = look_of(bench.plan, bench.state, bench.observe(), now=bench.now)
    assert budget_left(bench.plan.objectives[0], look) == 1.0


def test_both_runtimes_sick_at_once_holds_instead_of_rolling_back(bench):
    """When control loses messages too, it is the network: held, not rolled back, and it goes on when both are well."""
    bench.until("half")
    bench.tick()
    bench.old.good, bench.old.bad = 80, 20
    bench.new.good, bench.new.bad = 40, 10
    for _ in range(8):
        bench.tick()
    assert bench.state.status is Status.SUSPENDED
    assert "old is sick too" in bench.state.reason
    bench.old.good, bench.old.bad, bench.new.good, bench.new.bad = 100, 0, 50, 0
    for _ in range(20):
        bench.tick()
    assert bench.state.status in (Status.RUNNING, Status.COMPLETE)


def test_rolled_back_plan_is_locked_until_a_cause_is_recorded(bench):
    """Neither time nor resume brings it forward again; a recorded cause and then resume do."""
    bench.until("half")
    _act(bench, "rollback")
    for _ in range(50):
        bench.tick()
    assert bench.state.status is Status.ROLLED_BACK
    with pytest.raises(Refused, match="record a cause"):
        _act(bench, "resume")
    with pytest.raises(Refused, match="cause needs words"):
        _act(bench, "record-cause")
    _act(bench, "record-cause", reason="firmware 1.2 sleeps")
    _act(bench, "resume")
    assert (bench.state.status, bench.state.phase) == (Status.RUNNING, 0)


def test_kill_from_outside_is_taken_over_and_stays(bench):
    """A killed router means killed, whoever did it; time changes nothing about it."""
    bench.until("half")
    bench.killed = True
    for _ in range(5):
        bench.tick()
    assert (bench.state.status, bench.state.percent) == (Status.KILLED, 0)
    assert sum(isinstance(effect, Kill) for effect in bench.done) == 1


def test_kill_that_is_asked_for_again_is_told_to_the_routers_again(bench):
    """One that had not confirmed may be back; nothing else changes, and nothing is decided anew."""
    bench.until("half")
    _act(bench, "kill-switch-on")
    before = bench.state
    bench.done.clear()
    _act(bench, "kill-switch-on")
    assert [type(effect) for effect in bench.done] == [Kill]
    assert bench.state == before


def test_percentage_between_two_steps_is_refused_and_moves_nobody(bench):
    """0.001 is not 0: rounding it would have sent the whole fleet back."""
    bench.until("half")
    before = bench.state
    with pytest.raises(Refused, match=r"0\.001 % is finer than steps of 0\.01"):
        _act(bench, "set", percentage=0.001)
    assert bench.state == before


def test_second_reason_of_a_kill_is_answered_and_recorded(bench):
    """Who kills again has something to say, and hears it back, not what the first one said."""
    bench.until("half")
    _act(bench, "kill-switch-on", reason="one", by="mia")
    bench.done.clear()
    done = _act(bench, "kill-switch-on", reason="two", by="tom")
    assert (bench.state.status, bench.state.reason) == (Status.KILLED, "killed again by tom: two")
    assert (done.says, done.kind) == ("killed again by tom: two", "killed-again")
    assert isinstance(bench.done[0], Kill)


def test_refusal_names_the_command_that_comes_first(bench):
    """Who is told to lift the switch is told how."""
    bench.until("half")
    _act(bench, "kill-switch-on")
    with pytest.raises(Refused, match="lift the kill switch first: agt kill-switch off"):
        _act(bench, "resume")
    _act(bench, "kill-switch-off")
    with pytest.raises(Refused, match="agt record-cause TEXT, agt resume"):
        _act(bench, "resume")


def test_lifted_kill_is_locked_on_control(bench):
    """Lifting the kill switch moves nothing: everything stays on control until a cause is recorded."""
    bench.until("half")
    _act(bench, "kill-switch-on")
    bench.tick()
    _act(bench, "kill-switch-off")
    for _ in range(5):
        bench.tick()
    assert (bench.state.status, bench.state.percent) == (Status.ROLLED_BACK, 0)


def test_foreign_selector_holds_and_is_left_alone(bench):
    """A selector that someone else wrote is adopted and held, never overwritten."""
    bench.until("half")
    bench.generation += 5
    routes = len([effect for effect in bench.done if isinstance(effect, SetRoute)])
    for _ in range(5):
        bench.tick()
    assert bench.state.status is Status.HELD
    assert len([effect for effect in bench.done if isinstance(effect, SetRoute)]) == routes


def test_cut_off_effect_is_asked_for_again_and_is_the_same(bench):
    """A decision whose effect never happened is repeated with the same generation and route."""
    bench.until("half")
    asked = [effect for effect in bench.done if isinstance(effect, SetRoute)][-1]
    bench.generation -= 1
    (again,) = [effect for effect in bench.tick().effects if isinstance(effect, SetRoute)]
    assert again == asked


def test_advance_by_hand_skips_soak_but_not_open_gates(bench):
    """Passed gates let an operator skip the rest of a soak; open ones need a reason, recorded as forced."""
    bench.until("half")
    for _ in range(3):
        bench.tick()
    _act(bench, "advance")
    assert bench.plan.phases[bench.state.phase].name == "most"
    bench.new.good = 0
    bench.tick(0)
    with pytest.raises(Refused, match="gates are open"):
        _act(bench, "advance")
    done = _act(bench, "advance", reason="the fleet is asleep")
    assert "forced" in done.says


def test_lowering_the_percentage_goes_back_and_raising_goes_forward(bench):
    """`set` is a way back downwards and a way forward upwards, and the plan waits in both."""
    bench.until("half")
    down = _act(bench, "set", percentage=10.0)
    assert not any(is_forward(effect) for effect in down.effects)
    bench.tick()
    up = _act(bench, "set", percentage=30.0)
    assert any(is_forward(effect) for effect in up.effects)
    assert bench.state.status is Status.HELD
    bench.tick()
    _act(bench, "resume")
    assert bench.state.percent == 50


def test_sign_off_gate_waits_for_a_name(make_bench, plan_text):
    """A sign-off gate is pending until somebody signs by name."""
    text = plan_text.replace('[[phase]]\nname = "half"', '[[phase.gate]]\nsign_off = "sre"\n[[phase]]\nname = "half"')
    bench = make_bench(text)
    for _ in range(20):
        bench.tick()
    assert bench.state.phase == 0
    with pytest.raises(Refused, match="needs a name"):
        _act(bench, "sign-off", name="sre")
    done = _act(bench, "sign-off", name="sre", by="mia")
    assert done.says == "sign-off sre of shadow signed off by mia"
    bench.tick()
    assert bench.state.phase == 1
    with pytest.raises(Refused, match="half has no sign-off 'sre'; it is of shadow, which is behind us"):
        _act(bench, "sign-off", name="sre", by="mia")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["tick", "down", "up", "restart", "stall", "flow", "fail", "sick", "well"]), max_size=60)
)
def test_no_phase_is_ever_shorter_than_its_soak(make_plan_bench, steps):
    """Whatever happens, a phase that was left forward had been carried for its soak with nothing left undecided."""
    bench = make_plan_bench()
    for word in steps:
        _disturb(bench, word)
        before, carried = bench.state, dict(bench.carried)
        done = bench.tick()
        if done.kind == "advanced":
            phase = bench.plan.phases[before.phase]
            assert carried.get(before.generation, 0.0) + 1.0 >= bench.plan.soak_s(phase)
            assert all(judged.verdict.word == "passed" for _, judged in done.gates)
            assert bench.up


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["tick", "down", "up", "restart", "stall", "flow", "fail", "sick", "well"]), max_size=40)
)
def test_same_step_twice_is_the_same(make_plan_bench, steps):
    """The step is pure: the same state, observation and time give the same state and effects."""
    bench = make_plan_bench()
    for word in steps:
        _disturb(bench, word)
        bench.tick()
        seen = bench.observe()
        one, two = (step(bench.plan, bench.state, seen, now=bench.now) for _ in range(2))
        assert (one.state, one.effects) == (two.state, two.effects)


@pytest.fixture(scope="module")
def make_plan_bench(request):
    """Benches for hypothesis, which must not share function-scoped fixtures between examples."""
    module = request.config.pluginmanager.get_plugin(str(request.path.parent / "conftest.py"))

    def make():
        plan = parse_plan(module.PLAN)
        return module.Bench(plan, fresh(plan, now=1000.0))

    return make


def _act(bench, verb, **fields):
    done = operate(bench.plan, bench.state, bench.observe(), Action(action=verb, **fields), now=bench.now)
    bench.take(done)
    return done


def _disturb(bench, word):
    if word in ("up", "down"):
        bench.up = word == "up"
    elif word == "restart":
        bench.router += "x"
        bench.totals.clear()
    elif word in ("stall", "flow", "fail"):
        bench.new.good, bench.new.stuck = (0, 30) if word == "stall" else (50, 0)
        bench.new.bad = 20 if word == "fail" else 0
    elif word in ("sick", "well"):
        bench.old.bad = 20 if word == "sick" else 0


def test_baseline_is_kept_by_whoever_leaves_the_phase(bench):
    """An operator who advances by force keeps it too; what was measured is there to be compared with."""
    bench.tick()
    for _ in range(3):
        bench.tick()
    assert bench.state.baseline == {}
    _act(bench, "advance", reason="we know why", version=9)
    assert bench.plan.phases[bench.state.phase].name == "half"
    assert bench.state.baseline["success_ratio"] == 1.0
