"""Where reports go: one folder a run under `reports/migration/`, each report as Markdown and JSON, written whole."""

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from agt.supervisor._errors import SupervisorError
from agt.supervisor.reports._completion import CompletionReport
from agt.supervisor.reports._incident import IncidentReport
from agt.supervisor.reports._pages import page
from agt.supervisor.reports._retrospective import RetrospectiveReport
from agt.supervisor.reports._slo import SloReport

FOLDER = Path("reports", "migration")
"""Where document 000 and document 004 look for them, below the run directory unless told otherwise."""
Report = SloReport | IncidentReport | CompletionReport | RetrospectiveReport


class ReportNotWritten(SupervisorError):
    """Raised when the disk refuses a report."""


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write a report below `folder`, in its run's own; return the page and the JSON.

    A report about the same moment replaces the earlier one: it knows more.

    Raises:
        ReportNotWritten: when the disk refuses.
    """
    about = report.at if isinstance(report, IncidentReport) else report.heading.made_at
    stem = f"{report.heading.kind}-{datetime.fromtimestamp(about, UTC):%Y%m%d-%H%M%S}"
    target = folder / report.heading.tag
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        shown = _put(target / f"{stem}.md", page(report).encode())
        data = _put(target / f"{stem}.json", msgspec.json.format(encoded(report), indent=2) + b"\n")
    except OSError as error:
        raise ReportNotWritten(f"no report in {target}: {error.strerror}", "say where with --out FOLDER") from error
    return shown, data


def encoded(report: Report) -> bytes:
    """Return a report as JSON."""
    return msgspec.json.encode(report)


def _put(path: Path, body: bytes) -> Path:
    handle, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
    return path
