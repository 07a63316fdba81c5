"""Named checks: results count in their phase and while they are fresh; days in a row are days in a row."""

import datetime
import sys
from dataclasses import replace

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.supervisor.rollout import Judgement, PlanInvalid, Status, Verdict, load_plan, parse_plan
from agt.supervisor.rollout._checks import Checked, judge_check, judge_hours, squeezed_moment
from agt.supervisor.rollout._engine import step
from agt.supervisor.rollout._gates import gate_name, judge
from agt.supervisor.rollout._inspector import Inspector
from agt.supervisor.rollout._plan_file import Gate, Hours
from agt.supervisor.rollout._step import look_of

GOOD, BAD = Judgement(Verdict.PASSED, "fine"), Judgement(Verdict.FAILED, "broken")


def with_checks(text: str, *, preflight: str = "", recurring: str = "") -> str:
    """Add two checks to the small plan, and ask for them."""
    checks = '[[check]]\nname = "one"\ncommand = ["true"]\n[[check]]\nname = "two"\ncommand = ["true"]\nevery = "2s"\n'
    text = text.replace('checks_every = "1s"\n', f'checks_every = "1s"\npreflight = [{preflight}]\n')
    text = text.replace("[[objective]]", checks + "[[objective]]", 1)
    return text.replace("route = { percent = 50 }\n", f"route = {{ percent = 50 }}\nrecurring = [{recurring}]\n")


def checked(bench, **results: Judgement):
    """What a check of the engine sees, with these results of just now."""
    found = {name: Checked(judged, bench.now) for name, judged in results.items()}
    return replace(bench.observe(), checks=found)


@pytest.mark.parametrize(
    ("at", "since", "verdict"),
    [(100.0, 90.0, Verdict.PASSED), (100.0, 100.5, Verdict.PENDING), (100.0, None, Verdict.PENDING)],
)
def test_a_result_of_an_earlier_phase_counts_for_nothing(at, since, verdict) -> None:
    """Nor does one that nobody has routed for."""
    judged = judge_check("c", {"c": Checked(GOOD, at)}, now=101.0, since=since, interval_s=1.0)
    assert judged.verdict is verdict
    assert judged.reason


def test_an_old_result_is_pending_again() -> None:
    """Three intervals, and what it took itself."""
    results = {"c": Checked(GOOD, 100.0, took_s=5.0)}
    assert judge_check("c", results, now=134.9, since=0.0, interval_s=10.0).verdict is Verdict.PASSED
    assert judge_check("c", results, now=135.1, since=0.0, interval_s=10.0).verdict is Verdict.PENDING
    assert judge_check("other", results, now=100.0, since=0.0, interval_s=10.0).verdict is Verdict.PENDING


def test_the_first_phase_waits_for_the_preflight(make_bench, plan_text) -> None:
    """Pending, error and failed keep it waiting, each in words; then it begins."""
    bench = make_bench(with_checks(plan_text, preflight='"one", "two"'))
    for results, says in (({}, "not looked at"), ({"one": GOOD}, "two"), ({"one": GOOD, "two": BAD}, "two: broken")):
        done = step(bench.plan, bench.state, checked(bench, **results), now=bench.now)
        assert not done.effects
        assert says in done.state.reason
        bench.state = done.state
    done = step(bench.plan, bench.state, checked(bench, one=GOOD, two=GOOD), now=bench.now)
    assert done.kind == "started"


def test_a_recurring_check_that_fails_holds_the_rollout(make_bench, plan_text) -> None:
    """Held once, with an alert, and only for its own phase."""
    bench = make_bench(with_checks(plan_text, recurring='"one"'))
    bench.until("half")
    bench.tick()
    assert step(bench.plan, bench.state, checked(bench, one=GOOD), now=bench.now).state.status is Status.RUNNING
    done = step(bench.plan, bench.state, checked(bench, one=BAD), now=bench.now)
    assert done.state.status is Status.HELD
    assert "one: broken" in done.says
    assert step(bench.plan, done.state, checked(bench, one=BAD), now=bench.now).says == ""


def test_a_gate_and_a_rule_can_ask_for_a_check(make_bench, plan_text) -> None:
    """The gate passes with it; the rule goes back for it after so many failures in a row."""
    rule = '[[rule]]\nname = "look"\nwhen = { check = "two", violated_for = "2 checks" }\nthen = "rollback"\n'
    bench = make_bench(with_checks(plan_text) + rule)
    bench.until("half")
    look = replace(look_of(bench.plan, bench.state, checked(bench, one=GOOD), now=bench.now))
    assert judge(Gate(check="one"), look).verdict is Verdict.PASSED
    assert gate_name(Gate(check="one")) == "one"
    for _ in range(2):
        done = step(bench.plan, bench.state, checked(bench, two=BAD), now=bench.now)
        bench.state = done.state
    assert bench.state.status is Status.ROLLED_BACK
    assert "two: broken" in bench.state.reason


def test_days_in_a_row_have_to_be_whole_and_all_good(make_bench, plan_text) -> None:
    """Two of three seen is pending; a bad one in the middle fails until it has slid out."""
    bench = make_bench(plan_text.replace('soak = "10s"', 'soak = "1h"'))
    bench.until("half")
    bench.new.good = 50.0
    gate = Gate(objective="success", window="3s", consecutive=3)

    def now_judged() -> Judgement:
        return judge(gate, look_of(bench.plan, bench.state, bench.observe(), now=bench.now))

    began = bench.state.since
    while bench.now < began + 7:
        bench.tick()
    assert now_judged().verdict is Verdict.PENDING
    assert "2 of 3 x 3s seen" in now_judged().reason
    bench.tick(2.0)
    assert now_judged().verdict is Verdict.PASSED
    bench.new.bad = 50.0
    bench.tick()
    bench.new.bad = 0.0
    seen = []
    for _ in range(14):
        bench.state = replace_breaches(bench.state)
        bench.tick()
        seen.append(now_judged().verdict)
    assert Verdict.FAILED in seen
    assert seen[-1] is Verdict.PASSED


def replace_breaches(state):
    """Let no rule speak: only the gate is looked at."""
    return msgspec.structs.replace(state, breaches={})


@pytest.mark.parametrize(
    ("moment", "verdict", "says"),
    [
        ("2026-11-24T23:00", Verdict.PASSED, "open until 05:00"),
        ("2026-11-25T04:59", Verdict.PASSED, "open until 05:00"),
        ("2026-11-25T05:00", Verdict.PENDING, "opens Thu 22:00"),
        ("2026-11-24T21:59", Verdict.PENDING, "in 1m 00s"),
    ],
)
def test_a_deployment_window_may_end_on_the_day_after(moment, verdict, says) -> None:
    """Tuesday and Thursday, 22:00 to 05:00, in a time zone."""
    hours = Hours(days=("tue", "thu"), start="22:00", end="05:00", zone="Europe/Berlin")
    zone = datetime.timezone(datetime.timedelta(hours=1))
    judged = judge_hours(hours, now=datetime.datetime.fromisoformat(moment).replace(tzinfo=zone).timestamp())
    assert judged.verdict is verdict
    assert says in judged.reason


@given(st.integers(0, 2_000_000_000), st.sampled_from(["00:00", "05:30", "23:59"]), st.sampled_from(["01:00", "23:00"]))
def test_hours_are_decided_at_every_moment(now, start, end) -> None:
    """Never an error, and never outside for a whole week."""
    hours = Hours(start=start, end=end, zone="America/New_York")
    assert judge_hours(hours, now=float(now)).verdict in (Verdict.PASSED, Verdict.PENDING)
    assert any(judge_hours(hours, now=now + hour * 3600.0).verdict is Verdict.PASSED for hour in range(26))


def test_hours_of_a_squeezed_plan_pass_as_fast_as_its_days() -> None:
    """A day in a second and a half: of the looks, one finds each opening, and Friday to Sunday is waited for."""
    hours = Hours(days=("mon", "tue", "wed", "thu"), start="01:00", end="05:00", zone="UTC")
    squeeze, look_s = 57_600.0, 0.5
    verdicts = [
        judge_hours(hours, now=squeezed_moment(1_800_000_000 + look * look_s, squeeze), back_s=look_s * squeeze).verdict
        for look in range(42)  # Two weeks of one and a half seconds a day.
    ]
    assert verdicts.count(Verdict.PASSED) == 8, "one look sees each of eight openings"
    assert squeezed_moment(1_800_000_000.5, 1) == 1_800_000_000.5


async def test_checks_are_repeated_while_asked_for_and_errors_have_reasons(tmp_path, plan_text) -> None:
    """Real commands: passed, pending, failed, not startable, too slow; and nothing runs that nobody asks for."""
    script = '["{python}", "-c", "import sys; print(1 / 3); sys.exit(%d)"]'
    commands = {
        "good": script % 0,
        "later": script % 75,
        "bad": script % 3,
        "none": '["/no/such/program"]',
        "idle": script % 0,
    }
    table = "".join(f'[[check]]\nname = "{name}"\ncommand = {words}\n' for name, words in commands.items())
    table += f"[[check]]\n{_SLOW}\n"
    plan = parse_plan(plan_text.replace("[[objective]]", table + "[[objective]]", 1))
    asked = frozenset(commands) - {"idle"} | {"slow"}
    done = anyio.Event()

    def on_result() -> None:
        if inspector.results.keys() >= asked:
            done.set()

    inspector = Inspector(plan, tmp_path, clock=lambda: 5.0, asked=lambda: asked, on_result=on_result)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(inspector.run)
            await done.wait()
            group.cancel_scope.cancel()
    found = {name: (one.judgement.verdict, one.judgement.reason) for name, one in inspector.results.items()}
    assert found["good"][0] is Verdict.PASSED
    assert found["good"][1].startswith("0.333")
    assert found["later"][0] is Verdict.PENDING
    assert found["bad"][0] is Verdict.FAILED
    assert found["none"] == (Verdict.ERROR, "can't be looked at: No such file or directory")
    assert found["slow"] == (Verdict.ERROR, "did not end within 0.3 s")
    assert "idle" not in found


_SLOW = f'name = "slow"\ntimeout = "300ms"\ncommand = ["{sys.executable}", "-c", "import signal; signal.pause()"]'


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('name = "x"', "check[0]: looks at nothing; give exactly one of command"),
        ('name = "x"\ncommand = ["a"]\nhours = { start = "22:00", end = "05:00" }', "looks at command and hours"),
        ('name = "x"\ncommand = ["a"]\nevery = "soon"', "check[0].every"),
        ('name = "x"\nhours = { start = "25:00", end = "05:00" }', "check[0].hours.start"),
        ('name = "x"\nhours = { start = "22:00", end = "05:00", zone = "Mars/Base" }', "no time zone 'Mars/Base'"),
    ],
)
def test_a_check_that_makes_no_sense_is_refused_with_its_path(plan_text, table, says) -> None:
    """One clear problem each."""
    with pytest.raises(PlanInvalid, match="1 problem") as caught:
        parse_plan(plan_text.replace("[[objective]]", f"[[check]]\n{table}\n[[objective]]", 1))
    assert says in str(caught.value)


def test_unknown_checks_and_senseless_rows_are_all_reported(plan_text) -> None:
    """Preflight, recurring, gate and rule, each with the nearest name."""
    text = (
        with_checks(plan_text, preflight='"on"', recurring='"tow"').replace('objective = "all"', 'check = "onee"', 1)
        + '[[rule]]\nname = "r"\nwhen = { check = "two", consecutive = 2 }\nthen = "hold"\n'
    )
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(text)
    said = str(caught.value)
    for path in ("preflight[0]", "phase[1].recurring[0]", "phase[1].gate[0].check", "rule[2].when.consecutive"):
        assert path in said
    assert "did you mean 'one'?" in said


PARITY = """
[[projection]]
name = "panes"
control = "file:v4.json"
candidate = "file:v5.json"
key = ["id"]
fields = ["evidence_mode"]
takes = 1
every_s = 0.0
"""
SUITE = """
name = "echo"
control = 'cmd:{python} -c "print(7)"'
candidate = 'cmd:{python} -c "print(%d)"'
[[request]]
name = "one"
"""


@pytest.mark.parametrize(("candidate", "verdict"), [("deterministic", Verdict.PASSED), ("heuristic", Verdict.FAILED)])
async def test_listings_of_both_runtimes_are_compared(tmp_path, plan_text, candidate, verdict) -> None:
    """The parity file and what it names are beside the plan."""
    (tmp_path / "parity.toml").write_text(PARITY)
    (tmp_path / "v4.json").write_text('[{"id": 1, "evidence_mode": "deterministic"}]')
    (tmp_path / "v5.json").write_text(f'[{{"id": 1, "evidence_mode": "{candidate}"}}]')
    inspector = inspector_of(tmp_path, plan_text, 'parity = "parity.toml"')
    judged = (await inspector.look("c")).judgement
    assert judged.verdict is verdict
    assert "panes" in judged.reason
    assert judged.samples > 0


@pytest.mark.parametrize(("answer", "verdict"), [(7, Verdict.PASSED), (9, Verdict.FAILED)])
async def test_a_suite_is_run_on_both_sides(tmp_path, plan_text, answer, verdict) -> None:
    """The same request to both; the candidate is no worse, or it fails with what differed."""
    (tmp_path / "suite.toml").write_text(SUITE.replace("{python}", sys.executable) % answer)
    inspector = inspector_of(tmp_path, plan_text, 'suite = "suite.toml"')
    judged = (await inspector.look("c")).judgement
    assert judged.verdict is verdict, judged
    assert judged.reason.startswith("echo: ")


def inspector_of(folder, plan_text: str, kind: str) -> Inspector:
    """Read a plan with one check from a folder."""
    path = folder / "plan.toml"
    path.write_text(plan_text.replace("[[objective]]", f'[[check]]\nname = "c"\n{kind}\n[[objective]]', 1))
    return Inspector(load_plan(path), folder, clock=lambda: 5.0, asked=lambda: frozenset({"c"}))


def test_files_that_a_plan_names_are_read_with_it(tmp_path, plan_text) -> None:
    """A missing one and one that is not sound are problems of the plan."""
    with pytest.raises(PlanInvalid, match=r"check\[0\]\.parity"):
        inspector_of(tmp_path, plan_text, 'parity = "nowhere.toml"')
    (tmp_path / "suite.toml").write_text("[[request]]\nnme = 1\n")
    with pytest.raises(PlanInvalid, match=r"check\[0\]\.suite"):
        inspector_of(tmp_path, plan_text, 'suite = "suite.toml"')
