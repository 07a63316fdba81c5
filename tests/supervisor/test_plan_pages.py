"""A plan seen from outside: its schema, its reference page, and what `plan show` says of it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema_rs
import pytest

from agt.router.schemas import schema_of
from agt.supervisor.rollout import PlanFile, PlanInvalid, load_plan, parse_plan, summary_lines, summary_of

ROOT = Path(__file__).parents[2]
PLANS = [path for path in sorted((ROOT / "plans").glob("*.toml")) if "phase" in tomllib.loads(path.read_text())]
SHOWN = """
schema = 1
name = "shown"
preflight = ["window"]
[runtimes]
control = "old"
candidate = "new"
[statistics]
alpha = 0.08
[[check]]
name = "window"
says = "at night"
hours = { start = "22:00", end = "05:00" }
[[check]]
name = "nobody-asks"
command = ["true"]
[[objective]]
name = "success"
metric = "success_ratio"
at_least = 0.99
[[phase]]
name = "tenth"
route = { percent = 10 }
soak = "2d"
recurring = ["window"]
[[phase.gate]]
metric = "failure_ratio"
against = "control"
not_worse_by = 0.01
[[phase.gate]]
sign_off = "operations"
[[phase]]
name = "five"
route = { devices = 5 }
soak = "1d"
[[rule]]
name = "worse"
when = { metric = "failure_ratio", against = "control", worse_by = 0.0, violated_for = "3 checks" }
then = "rollback"
phases = ["tenth"]
incident = "major"
[[rule]]
name = "alerted"
when = { alerts = "escalate" }
then = "hold"
[[freeze]]
start = "2026-12-20"
end = "2026-12-24"
reason = "holidays"
"""


@pytest.fixture(scope="module")
def schema() -> dict:
    """The JSON Schema of plans, as `agt plan schema` prints it."""
    return schema_of(PlanFile, title="agt plan")


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_our_own_plans_are_valid_by_the_schema(schema, path):
    """An editor that checks with it finds nothing wrong with a plan that is sound."""
    load_plan(path)
    validator = jsonschema_rs.validator_for(schema)
    assert [error.message for error in validator.iter_errors(tomllib.loads(path.read_text()))] == []


@pytest.mark.parametrize(
    "edit",
    [
        ("percent = 10", 'percent = "10"'),
        ("percent = 10", "percent = 110"),
        ("soak = ", "soaks = "),
        ('then = "hold"', 'then = "wait"'),
        ('start = "22:00"', 'start = "25:00"'),
    ],
)
def test_schema_finds_what_the_first_pass_finds(schema, edit):
    """A wrong type, a number out of range, an unknown key, an unknown word."""
    text = SHOWN.replace(*edit)
    assert not jsonschema_rs.validator_for(schema).is_valid(tomllib.loads(text))
    with pytest.raises(PlanInvalid):
        parse_plan(text)


def test_reference_page_has_every_key_as_the_structs_have_it():
    """Each with its default and a sentence."""
    command = [sys.executable, str(ROOT / "scripts" / "plan_reference.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    page = (ROOT / "docs" / "reference" / "plan.md").read_text()
    assert [line for line in page.splitlines() if line.endswith("|  |")] == []


def test_summary_has_the_durations_of_the_speed_and_the_split_of_alpha():
    """Squeezed soaks, where each phase begins, what each test may spend, who asks for which check."""
    found = summary_of(parse_plan(SHOWN).squeezed(86_400))
    tenth, five = found.phases
    assert (tenth.soak, tenth.soak_s, tenth.begins_s, five.begins_s) == ("2d", 2.0, 0.0, 2.0)
    assert (tenth.alpha, five.alpha) == (0.08 / 1 / 2 / 2, None)
    assert [(check.name, check.asked_by) for check in found.checks] == [
        ("window", ("preflight", "tenth")),
        ("nobody-asks", ()),
    ]
    assert [(rule.when, rule.checks) for rule in found.rules] == [
        ("shown worse by 0.00%", 3),
        ("an open escalate alert", 1),
    ]


def test_summary_says_the_bound_of_a_comparison():
    """A gate's name leaves it out, and who reads the plan has to know it."""
    text = SHOWN.replace('sign_off = "operations"', 'metric = "p95_seconds"\nagainst = "control"\nratio = 2')
    assert summary_of(parse_plan(text)).phases[0].gates[1] == "p95_seconds at most 2 times control"
    text = text.replace("ratio = 2", "plus_percent = 20")
    assert summary_of(parse_plan(text)).phases[0].gates[1] == "p95_seconds at most 20 % above control"


def test_summary_is_written_for_people():
    """Line by line."""
    assert summary_lines(summary_of(parse_plan(SHOWN))) == [
        "shown: old to new, checked every 1m 00s",
        "3d 00h of soak, slow is over 1,500 ms",
        "",
        "phases",
        "  tenth: 10 %, soak 2d; shown not worse by 1 %, sign-off operations; again and again: window; "
        "alpha 0.02 a test; back to control",
        "  five: 5 devices, soak 1d; no gates; back to tenth",
        "",
        "rules",
        "  worse: rollback on shown worse by 0.00% for 3 checks in tenth, opens a major incident",
        "  alerted: hold on an open escalate alert at once in every phase",
        "",
        "checks",
        "  window: hours, every 1m 00s, for preflight, tenth",
        "  nobody-asks: command, every 1m 00s, for nobody",
        "",
        "preflight",
        "  window",
        "",
        "frozen",
        "  2026-12-20 to 2026-12-24 (UTC): holidays",
        "",
        "alpha 0.08 over the whole plan, halved with each visit of a phase",
    ]
