"""JUnit XML, as test reports of build servers want it."""

from collections.abc import Sequence
from xml.etree import ElementTree

from agt.chaos.scenario._run import Verdict


def junit_xml(verdicts: Sequence[Verdict]) -> bytes:
    """Return one test suite with a case for each scenario."""
    suite = ElementTree.Element(
        "testsuite",
        name="agt chaos",
        tests=str(len(verdicts)),
        failures=str(sum(not verdict.passed for verdict in verdicts)),
        time=f"{sum(verdict.seconds for verdict in verdicts):.3f}",
    )
    for verdict in verdicts:
        case = ElementTree.SubElement(
            suite, "testcase", classname="agt.chaos.scenario", name=verdict.scenario, time=f"{verdict.seconds:.3f}"
        )
        if not verdict.passed:
            failure = ElementTree.SubElement(case, "failure", message=verdict.problems[0])
            failure.text = "\n".join((*verdict.problems, f"replay: {verdict.replay}"))
    report: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return report
