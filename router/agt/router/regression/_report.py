"""A suite's result for people and for build servers."""

from xml.etree.ElementTree import Element, SubElement, tostring

from agt.router.parity._table import table_lines
from agt.router.parity._verdict import Verdict
from agt.router.regression._checks import milliseconds, share_text
from agt.router.regression._result import SideResult, SuiteResult
from agt.router.regression._tally import Example

FIELDS_PRINTED = 5
_MARKS = {Verdict.PASSED: "v", Verdict.PENDING: ".", Verdict.INCONCLUSIVE: "?", Verdict.ERROR: "!", Verdict.FAILED: "x"}


def suite_lines(result: SuiteResult) -> list[str]:
    """Return a result for a terminal: verdict and reason, the checks, figures, and the worst examples."""
    lines = [f"{result.name}: {result.verdict}: {result.reason}", ""]
    lines += [f"  {_MARKS[check.verdict]} {check.name}: {check.says}" for check in result.checks]
    lines += ["", *_indented(_sides(result))]
    if result.fields:
        rows = [
            (one.field, str(one.compared), share_text(one.mean_delta), share_text(one.max_delta))
            for one in result.fields[:FIELDS_PRINTED]
        ]
        lines += ["", *_indented(table_lines(("number", "compared", "mean delta", "max delta"), rows))]
    examples = [*result.worst, *result.mismatches, *result.candidate.problems]
    if examples and result.verdict is not Verdict.PASSED:
        lines += ["", *_indented(_examples(examples[:10]))]
    lines += [
        f"  ignore rule {rule.field} of {rule.owner} ended on {rule.expires:%Y-%m-%d}: it hides nothing any more"
        for rule in result.expired
    ]
    return lines


def suite_junit(result: SuiteResult) -> bytes:
    """Return a result as JUnit XML: a test case for each check."""
    failed = [check for check in result.checks if check.verdict is Verdict.FAILED]
    errors = [check for check in result.checks if check.verdict not in {Verdict.PASSED, Verdict.FAILED}]
    suite = Element(
        "testsuite",
        name=_printable(result.name),
        tests=str(len(result.checks)),
        failures=str(len(failed)),
        errors=str(len(errors)),
        time=f"{result.took_s:.3f}",
    )
    for check in result.checks:
        case = SubElement(suite, "testcase", classname=_printable(result.name), name=_printable(check.name))
        if check.verdict is Verdict.FAILED:
            SubElement(case, "failure", message=_printable(check.says))
        elif check.verdict is not Verdict.PASSED:
            SubElement(case, "error", message=_printable(f"{check.verdict}: {check.says}"))
    document: bytes = tostring(suite, encoding="utf-8", xml_declaration=True)
    return document


def _sides(result: SuiteResult) -> list[str]:
    header = ("side", "calls", "failed", "p50", "p95", "alike when repeated", "source")
    return table_lines(header, [_side("control", result.control), _side("candidate", result.candidate)])


def _side(name: str, side: SideResult) -> tuple[str, ...]:
    alike = f"{side.alike} of {side.repeated}" if side.repeated else "-"
    return (
        name,
        str(side.calls),
        str(side.failed),
        milliseconds(side.p50_s),
        milliseconds(side.p95_s),
        alike,
        side.source,
    )


def _examples(examples: list[Example]) -> list[str]:
    rows = [
        (one.request, one.field, one.control, one.candidate, "" if one.delta is None else share_text(one.delta))
        for one in examples
    ]
    return table_lines(("request", "field", "control", "candidate", "delta"), rows)


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _printable(text: str) -> str:
    """XML has no place for control characters and half characters, however they are escaped."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
