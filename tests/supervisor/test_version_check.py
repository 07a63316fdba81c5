"""The check of a version matrix, and who may sign."""

import pytest

from agt.supervisor.actions import Action, Refused
from agt.supervisor.rollout import PlanInvalid, load_plan, parse_plan
from agt.supervisor.rollout._inspector import Inspector
from agt.supervisor.rollout._operator import operate
from agt.supervisor.rollout._verdict import Verdict

PLAN = """
schema = 1
name = "versions"
[runtimes]
control = "old"
candidate = "new"
[[check]]
name = "matrix"
versions = "versions.toml"
[[phase]]
name = "only"
soak = "1d"
[[phase.gate]]
check = "matrix"
"""
MATRIX = """
schema = 1
require = ["engine"]
[[component]]
name = "engine"
control = { value = "2.5" }
candidate = { file = "engine.txt" }
"""


async def test_matrix_with_a_version_that_nobody_tells_fails_until_somebody_does(tmp_path):
    """What is missing is named; with it the check passes."""
    (tmp_path / "plan.toml").write_text(PLAN)
    (tmp_path / "versions.toml").write_text(MATRIX)
    plan = load_plan(tmp_path / "plan.toml")
    inspector = Inspector(plan, tmp_path, clock=lambda: 1.0, asked=frozenset)
    missing = (await inspector.look("matrix")).judgement
    assert missing.verdict is Verdict.FAILED
    assert "engine" in missing.reason
    (tmp_path / "engine.txt").write_text("3.0.1\n")
    whole = (await inspector.look("matrix")).judgement
    assert (whole.verdict, whole.reason) == (Verdict.PASSED, "1 components, complete")


def test_plan_check_reads_the_matrix_file_too(tmp_path):
    """Every problem, under the check's key path."""
    (tmp_path / "plan.toml").write_text(PLAN)
    with pytest.raises(PlanInvalid) as caught:
        load_plan(tmp_path / "plan.toml")
    assert [problem.path for problem in caught.value.problems] == ["check[0].versions"]
    (tmp_path / "versions.toml").write_text(MATRIX + MATRIX[MATRIX.index("[[component]]") :])
    with pytest.raises(PlanInvalid, match=r"check\[0\].versions: .*is named twice"):
        load_plan(tmp_path / "plan.toml")


@pytest.mark.parametrize(
    ("by", "signers", "may"),
    [
        ("mia", "", True),
        ("mia", 'signers = ["mia", "tom"]', True),
        ("token:mia", 'signers = ["mia"]', True),
        ("eve", 'signers = ["mia", "tom"]', False),
        ("mia", 'signers = ["token:mia"]', False),
        ("token:mia", 'signers = ["token:mia"]', True),
    ],
)
def test_only_those_whom_the_plan_names_may_sign(make_bench, plan_text, by, signers, may):
    """By name, or only with their token."""
    gate = f'[[phase.gate]]\nname = "handover"\nsign_off = "operations"\n{signers}\n[[phase]]\nname = "half"'
    bench = make_bench(plan_text.replace('[[phase]]\nname = "half"', gate))
    signed = Action(action="sign-off", name="handover", by=by, version=9)
    if may:
        assert operate(bench.plan, bench.state, bench.observe(), signed, now=1.0).state.sign_offs == {"handover": by}
        return
    with pytest.raises(Refused, match=f"{by} may not sign handover; it is for"):
        operate(bench.plan, bench.state, bench.observe(), signed, now=1.0)


def test_signers_of_nothing_are_refused():
    """They stand beside a sign-off."""
    with pytest.raises(PlanInvalid, match="nothing to sign"):
        parse_plan(PLAN.replace('check = "matrix"', 'check = "matrix"\nsigners = ["mia"]'))
