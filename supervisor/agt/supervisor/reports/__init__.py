"""Reports on a run, from its records alone: service levels, incidents, proof of completion, retrospective data."""

from agt.supervisor.reports._archive import Archive, Decision, RecordsUnreadable, read_archive
from agt.supervisor.reports._completion import CompletionReport, Proof, completion_report
from agt.supervisor.reports._folder import FOLDER, Report, ReportNotWritten, encoded, write_report
from agt.supervisor.reports._heading import Heading
from agt.supervisor.reports._incident import IncidentReport, NothingToReport, about_incident, rollback_report
from agt.supervisor.reports._levels import Day, Level
from agt.supervisor.reports._pages import page
from agt.supervisor.reports._retrospective import RetrospectiveReport, retrospective_report
from agt.supervisor.reports._slo import SloReport, slo_report

__all__ = (
    "FOLDER",
    "Archive",
    "CompletionReport",
    "Day",
    "Decision",
    "Heading",
    "IncidentReport",
    "Level",
    "NothingToReport",
    "Proof",
    "RecordsUnreadable",
    "Report",
    "ReportNotWritten",
    "RetrospectiveReport",
    "SloReport",
    "about_incident",
    "completion_report",
    "encoded",
    "page",
    "read_archive",
    "retrospective_report",
    "rollback_report",
    "slo_report",
    "write_report",
)
