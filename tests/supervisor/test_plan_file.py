"""Plans: durations, both passes of the check, the squeeze, and the plans that come with the project."""

from pathlib import Path

import pytest

from agt.supervisor.rollout import PlanInvalid, format_duration, load_plan, parse_duration, parse_plan

PLANS = Path(__file__).parents[2] / "plans"


@pytest.mark.parametrize(
    ("text", "seconds"), [("3d", 259_200), ("24h", 86_400), ("1m", 60), ("1h 30m", 5400), ("500ms", 0.5), ("1.5s", 1.5)]
)
def test_duration_is_read_as_written(text, seconds):
    """Numbers and units add up to seconds."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "3", "d", "3 days", "-1s", "3d!", "three"])
def test_what_is_no_duration_is_refused_with_an_example(text):
    """The message shows what a duration looks like."""
    with pytest.raises(ValueError, match="'3d'"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(3.21, "3.2 s"), (42, "42 s"), (90, "1m 30s"), (7260, "2h 01m"), (183_600, "2d 03h")]
)
def test_duration_is_shown_in_two_units(seconds, shown):
    """Durations for people are short."""
    assert format_duration(seconds) == shown


def test_all_problems_of_shape_are_reported_at_once_with_the_nearest_name(plan_text):
    """Unknown keys, wrong types and missing keys come together, each with its path."""
    text = plan_text.replace("checks_every", "checks_evry").replace("at_least = 50", 'at_least = "50"')
    text = text.replace('soak = "5s"\n', "").replace('then = "previous_phase"', 'then = "prevous_phase"')
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(text, "x.toml")
    found = {problem.path: problem for problem in caught.value.problems}
    assert set(found) == {"checks_evry", "phase[0].gate[0].at_least", "phase[0].soak", "rule[1].then"}
    assert found["checks_evry"].hint == "did you mean 'checks_every'?"
    assert found["rule[1].then"].hint == "did you mean 'previous_phase'?"
    assert all(line.startswith("x.toml: ") for line in str(caught.value).splitlines()[:4])


def test_all_problems_of_meaning_are_reported_at_once(plan_text):
    """Names that aren't there, contradictions and impossible metrics come together."""
    text = plan_text.replace('metric = "samples"', 'metric = "sampels"').replace('soak = "5s"', 'soak = "5 parsecs"')
    text = text.replace('phases = ["half"]', 'phases = ["halve"]').replace(
        "percent = 90", 'percent = 90, default = "candidate"'
    )
    text = text.replace('candidate = "new"', 'candidate = "old"')
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(text)
    paths = {problem.path for problem in caught.value.problems}
    wanted = {"phase[0].gate[0].metric", "phase[0].soak", "rule[0].phases", "phase[2].route", "runtimes.candidate"}
    assert paths == wanted


@pytest.mark.parametrize(
    ("route", "says"),
    [
        ("percent = 90, devices = 7", "phase[2].route.percent: stands beside a number of devices; drop one of them"),
        ('devices = 7, cohort = ["a"]', "phase[2].route.cohort: stands beside a number of devices"),
        ('devices = 7, default = "candidate"', "the candidate as default and a number contradict each other"),
        ("devices = 0", "phase[2].route.devices: expected `int` >= 1"),
        ("devices = 10001", "phase[2].route.devices: expected `int` <= 10000"),
        ("device = 7", "phase[2].route.device: unknown key; did you mean 'devices'?"),
    ],
)
def test_number_of_devices_stands_alone(plan_text, route, says):
    """A count is one way to say the share, and nothing may contradict it."""
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(plan_text.replace("percent = 90", route))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ('metric = "samples"', "no bound"),
        ('metric = "samples"\nat_least = 1\nbelow = 9', "at_least and below"),
        ('metric = "p99_seconds"\nagainst = "control"', "exactly one of ratio and plus_percent"),
        ('metric = "shadow_compared"\nagainst = "control"\nratio = 2.0', "not measured by runtime"),
        ('objective = "sucess"', "no objective 'sucess'; did you mean 'success'?"),
        ('objective = "all"\nsign_off = "mia"', "exactly one of metric, objective, alerts, check or sign_off"),
        ("samples = 3", "asks for nothing"),
    ],
)
def test_gate_without_one_clear_question_is_refused(plan_text, gate, says):
    """A gate asks exactly one thing, with what belongs to it."""
    text = plan_text.replace('metric = "samples"\nruntime = "control"\nat_least = 50', gate)
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(text)
    assert says in str(caught.value)


def test_comparing_with_an_unobserved_control_is_refused(plan_text):
    """Without an observer there is nothing to compare with, and the plan check says so before the night."""
    text = plan_text.replace('objective = "all"', 'metric = "p99_seconds"\nagainst = "control"\nratio = 2.0', 1)
    parse_plan(text)
    with pytest.raises(PlanInvalid, match="control is not observed"):
        parse_plan(text.replace("schema = 1", "schema = 1\nlegacy_observed = false"))


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"= =", b'schema = 2\nname = "x"'])
def test_file_that_is_no_plan_is_one_clear_error(tmp_path, damage):
    """Bytes, broken TOML and other schemas are refused in words."""
    path = tmp_path / "plan.toml"
    path.write_bytes(damage)
    with pytest.raises(PlanInvalid) as caught:
        load_plan(path)
    assert str(path) in str(caught.value)


def test_missing_file_is_one_clear_error(tmp_path):
    """A path without a file says so."""
    with pytest.raises(PlanInvalid, match="can't be read: No such file"):
        load_plan(tmp_path / "none.toml")


def test_squeeze_shrinks_time_and_leaves_limits_alone():
    """Soak and windows shrink to their floors; latency limits and counts stay."""
    plan = load_plan(PLANS / "demo.toml")
    fast = plan.squeezed(plan.factor_for(60))
    assert plan.total_soak_s == 76 * 86_400
    assert 50 < fast.total_soak_s < 60
    assert fast.soak_s(fast.phases[1]) == pytest.approx(plan.soak_s(plan.phases[1]) / fast.squeeze)
    assert (fast.check_interval_s, fast.window_s("1h")) == (0.2, 2.0)
    assert fast.latency_limit_s == plan.latency_limit_s == 0.8
    assert [fast.checks(rule) for rule in fast.rules] == [3, 3]


@pytest.mark.parametrize("name", ["demo", "cync-tcp"])
def test_plans_of_the_project_are_sound_and_carry_document_004(name):
    """Both plans have the ten phases of document 004 with its earlier stages, and go back as it says."""
    plan = load_plan(PLANS / f"{name}.toml")
    ladder = [(phase.name, phase.route.share, phase.soak) for phase in plan.phases]
    assert ladder == [
        ("dark-launch", 0, "24h"),
        ("canary-10", 10, "3d"),
        ("canary-25", 25, "4d"),
        ("canary-50", 50, "7d"),
        ("canary-75", 75, "3d"),
        ("canary-90", 90, "3d"),
        ("cutover", 100, "1d"),
        ("validation", 100, "30d"),
        ("deprecation", 100, "10d"),
        ("removal", 100, "14d"),
    ]
    reactions = {phase: rule.then for rule in plan.rules for phase in rule.phases}
    assert [reactions.get(phase.name) for phase in plan.phases] == [None] + ["rollback"] * 3 + ["previous_phase"] * 6
    assert [phase.route.legacy_listener for phase in plan.phases[-2:]] == ["warn", "refuse"]


@pytest.mark.parametrize("factor", [0, -1, float("nan"), float("inf")])
def test_impossible_squeeze_is_refused(factor):
    """A factor has to be a number above zero."""
    with pytest.raises(ValueError, match="can't be squeezed"):
        load_plan(PLANS / "demo.toml").squeezed(factor)


def test_too_short_a_duration_says_how_long_it_takes():
    """A duration that not even the checks fit into is refused with the least that works."""
    with pytest.raises(ValueError, match="give it 5 s or more"):
        load_plan(PLANS / "demo.toml").factor_for(2)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "at_least = 0.99\n",
            "at_least = 99.9\n",
            "objective[0].at_least: a ratio is between 0 and 1; 99.9 % is 0.999",
        ),
        (
            "at_least = 0.99\n",
            "at_least = -0.5\n",
            "objective[0].at_least: a ratio is between 0 and 1; 99.9 % is 0.999",
        ),
        (
            'soak = "5s"',
            "soak = 2",
            "phase[0].soak: expected `str`, got `int`; a duration is text with its unit, such as",
        ),
        ("at_most = 0.8", 'at_most = "800ms"', "got `str`; seconds, without unit and quotes: 0.8"),
        ("at_most = 0.8", 'at_most = "0.8"', "expected a number, got `str`; without quotes: 0.8"),
        ('metric = "p99_seconds"', 'metric = "p99_ms"', "no metric 'p99_ms'; did you mean 'p99_seconds'?"),
    ],
)
def test_value_in_another_unit_is_refused_with_what_to_write(plan_text, old, new, says):
    """`99.9` for a ratio would never hold, and a plan must not be called sound with it."""
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(plan_text.replace(old, new, 1))
    assert says in str(caught.value)


def test_what_is_probably_not_meant_is_remarked_and_sound(plan_text):
    """500 seconds, a tenth of a percent, a script that is nowhere: allowed, and rarely what somebody wanted."""
    text = plan_text.replace("at_most = 0.8", "at_most = 500").replace("percent = 90", "percent = 0.1")
    text += '[[component]]\nname = "x"\nstage = "ui"\ncommand = ["{python}", "nothing.py"]\n'
    remarks = [str(one) for one in parse_plan(text, "/plans/x.toml").remarks]
    assert remarks == [
        "objective[1].at_most: 500 seconds is long; 500 ms is 0.5",
        "phase[2].route.percent: 0.1 is 0.1 %, less than one device in a hundred; 10 % is 10",
        "component[0].command: there is no /plans/nothing.py; paths are beside the plan",
    ]


def test_components_are_checked_with_the_plan(plan_text):
    """A pattern that is no regular expression is found by the check, and not when the component is started."""
    text = plan_text + '[[component]]\nname = "x"\nstage = "ui"\ncommand = ["x"]\n'
    with pytest.raises(PlanInvalid, match=r"component\[0\].readiness \(x\): '\(' is no regular expression"):
        parse_plan(text + 'readiness = { by = "log", pattern = "(" }\n')
    with pytest.raises(PlanInvalid, match=r"'tpc'.*did you mean 'tcp'"):
        parse_plan(text + 'readiness = { by = "tpc", port = 1 }\n')
    with pytest.raises(PlanInvalid, match="did you mean 'port'"):
        parse_plan(text + 'readiness = { by = "tcp", prot = 1 }\n')
    with pytest.raises(PlanInvalid, match="say which: by = command or http"):
        parse_plan(text + "readiness = { port = 1 }\n")
    with pytest.raises(PlanInvalid, match=r"component\[0\].stage: invalid enum value 'ux'; known are .*gateway"):
        parse_plan(text.replace('"ui"', '"ux"'))


def test_misspelt_key_hides_nothing_else(plan_text):
    """Shape and meaning are reported together; where that can't be, it is said that more may follow."""
    text = plan_text.replace("checks_every", "checks_evry").replace("at_least = 0.99\n", "at_least = 99.9\n")
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(text)
    assert [problem.path for problem in caught.value.problems] == ["checks_evry", "objective[0].at_least"]
    with pytest.raises(PlanInvalid, match="references are checked after that"):
        parse_plan(text.replace('soak = "5s"\n', ""))


def test_rule_that_goes_back_a_phase_is_named_where_there_is_none(plan_text):
    """With many rules, `the first phase has none before it` leaves one guessing which of them is meant."""
    with pytest.raises(PlanInvalid, match="rule 'slo-late' goes back a phase, and 'shadow' has none before it"):
        parse_plan(plan_text.replace('phases = ["most"]', "phases = []"))
