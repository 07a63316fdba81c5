"""Scenario files: traffic, faults on a timeline, and what must hold; run on real sockets and a real process."""

from agt.chaos.scenario._junit import junit_xml
from agt.chaos.scenario._run import Verdict, run_scenario
from agt.chaos.scenario._spec import SCENARIOS, Expect, Scenario, ScenarioInvalid, find_scenario, load_scenario

__all__ = (
    "SCENARIOS",
    "Expect",
    "Scenario",
    "ScenarioInvalid",
    "Verdict",
    "find_scenario",
    "junit_xml",
    "load_scenario",
    "run_scenario",
)
