"""No regression: the same requests, with the same seeds, to both runtimes; and two trees of snapshots compared.

A `Suite` says what is sent and what may differ, `run_suite` sends it to two sources of `agt.router.parity` and returns
a `SuiteResult`: relative deltas of numbers, equal categories, latency, determinism over equal seeds, invariants.
`compare_snapshots` compares what was written down.
"""

from agt.router.regression._expression import CannotTell, Expression, ExpressionWrong, parse_expression
from agt.router.regression._report import suite_junit, suite_lines
from agt.router.regression._result import FieldResult, SideResult, SuiteResult
from agt.router.regression._run import run_suite
from agt.router.regression._snapshots import SnapshotDifference, SnapshotResult, compare_snapshots, snapshot_lines
from agt.router.regression._suite import AllowedToDiffer, Invariant, Request, Suite, check_suite
from agt.router.regression._suite_file import SuiteFile, load_suite, parse_suite
from agt.router.regression._tally import Example

__all__ = (
    "AllowedToDiffer",
    "CannotTell",
    "Example",
    "Expression",
    "ExpressionWrong",
    "FieldResult",
    "Invariant",
    "Request",
    "SideResult",
    "SnapshotDifference",
    "SnapshotResult",
    "Suite",
    "SuiteFile",
    "SuiteResult",
    "check_suite",
    "compare_snapshots",
    "load_suite",
    "parse_expression",
    "parse_suite",
    "run_suite",
    "snapshot_lines",
    "suite_junit",
    "suite_lines",
)
