"""Every scenario that comes with the package, on real sockets and a real process; and the command around it."""

import json
from pathlib import Path
from xml.etree import ElementTree

import anyio
import msgspec
import pytest
from typer.testing import CliRunner

from agt.chaos.cli import app
from agt.chaos.scenario import SCENARIOS, Expect, ScenarioInvalid, find_scenario, load_scenario, run_scenario

NAMES = sorted(path.stem for path in SCENARIOS.glob("*.toml"))
BROKEN = """
schema = 1
name = "hopeless"
says = "nothing gets through, and still everything is expected"
messages = 5
deadline_s = 0.5
[[fault]]
kind = "drop"
"""


SHORT = {"packet-loss": {"messages": 24, "expect": Expect(struck_at_least=5)}}
"""What is changed in scenarios that take long; as they stand they run under `make soak`."""


@pytest.mark.parametrize("name", NAMES)
def test_scenario_loses_doubles_and_misorders_nothing(name: str) -> None:
    """What documents demand of the reliable path holds, whatever the network does; a failure names its replay."""
    scenario = msgspec.structs.replace(load_scenario(find_scenario(name)), **SHORT.get(name, {}))
    verdict = anyio.run(lambda: run_scenario(scenario, source=name))
    assert verdict.passed, (verdict.problems, verdict.replay)
    assert verdict.counts.sent == scenario.messages


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("name", sorted(SHORT))
def test_long_scenario_holds_as_it_stands(name: str, seed: int) -> None:
    """Nothing shortened, and more than one seed."""
    verdict = anyio.run(lambda: run_scenario(load_scenario(find_scenario(name)), source=name, seed=seed))
    assert verdict.passed, (verdict.problems, verdict.replay)


def test_what_the_documents_demand_is_there() -> None:
    """Loss, latency, reordering, duplicates, corruption, partition, a killed peer."""
    assert set(NAMES) >= {
        "packet-loss", "latency", "reordering", "duplicate-delivery", "corruption", "partition", "peer-killed",
    }  # fmt: skip


def test_a_failing_scenario_says_how_to_run_it_again(tmp_path: Path) -> None:
    """Exit status 1, the problems in JSON, a failure in JUnit, and the replay command in both."""
    scenario, junit = tmp_path / "hopeless.toml", tmp_path / "report.xml"
    scenario.write_text(BROKEN)
    result = CliRunner().invoke(app, ["run", str(scenario), "--seed", "9", "--junit", str(junit), "--json"])
    assert result.exit_code == 1
    (verdict,) = json.loads(result.stdout)["scenarios"]
    assert not verdict["passed"]
    assert verdict["counts"]["lost"] == 0
    assert verdict["counts"]["not_delivered"] + verdict["counts"]["indeterminate"] == 5
    assert verdict["replay"] == f"agt chaos run {scenario} --seed 9"
    suite = ElementTree.fromstring(junit.read_bytes())
    assert suite.get("failures") == "1"
    assert "replay: agt chaos run" in (suite.findtext("testcase/failure") or "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "schema = 1\nname = 'x'\nsays = 'y'\nfault = [{ kind = 'dorp' }]",
            "unknown fault 'dorp'; there are bandwidth, corrupt",
        ),
        ("schema = 1\nname = 'x'\nsays = 'y'\nmesages = 3", "unknown field `mesages`"),
        ("schema = 2\nname = 'x'\nsays = 'y'", "schema"),
        ("schema =", "Invalid value"),
    ],
)
def test_a_wrong_scenario_is_told_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    """Mistakes in a file get one message that names it."""
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ScenarioInvalid, match=says) as caught:
        load_scenario(path)
    assert str(path) in str(caught.value)


def test_an_unknown_scenario_is_told_which_there_are() -> None:
    """Exit status 2 and the names of ours."""
    result = CliRunner().invoke(app, ["run", "paket-loss"])
    assert result.exit_code == 2
    assert "packet-loss" in result.output
