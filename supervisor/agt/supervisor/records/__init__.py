"""What the supervisor remembers: decisions, soak, samples, alerts, incidents and the audit.

In SQLite, with a thread of its own.
"""

from agt.supervisor.records._alerts import SCHEMA as ALERTS_SCHEMA
from agt.supervisor.records._alerts import SEVERITIES, Alert, AlertBook, AlertLedger, Policy, at_or_above
from agt.supervisor.records._audit import SCHEMA as AUDIT_SCHEMA
from agt.supervisor.records._audit import Audit, AuditHead, AuditVerdict, verify_at, verify_chain, verify_file
from agt.supervisor.records._context import SCHEMA as CONTEXT_SCHEMA
from agt.supervisor.records._context import Context, KeptPlan
from agt.supervisor.records._happenings import SCHEMA as HAPPENINGS_SCHEMA
from agt.supervisor.records._happenings import Happenings
from agt.supervisor.records._incidents import SCHEMA as INCIDENTS_SCHEMA
from agt.supervisor.records._incidents import Incidents
from agt.supervisor.records._journal import SCHEMA as JOURNAL_SCHEMA
from agt.supervisor.records._journal import Carried, Entry, Journal, kept_samples
from agt.supervisor.records._store import Store, StoreUnavailable
from agt.supervisor.rows import AuditRow, Incident, IncidentSeverity

SCHEMA = JOURNAL_SCHEMA + ALERTS_SCHEMA + AUDIT_SCHEMA + INCIDENTS_SCHEMA + HAPPENINGS_SCHEMA + CONTEXT_SCHEMA
"""Everything that `records.sqlite` holds."""

__all__ = (
    "SCHEMA",
    "SEVERITIES",
    "Alert",
    "AlertBook",
    "AlertLedger",
    "Audit",
    "AuditHead",
    "AuditRow",
    "AuditVerdict",
    "Carried",
    "Context",
    "Entry",
    "Happenings",
    "Incident",
    "IncidentSeverity",
    "Incidents",
    "Journal",
    "KeptPlan",
    "Policy",
    "Store",
    "StoreUnavailable",
    "at_or_above",
    "kept_samples",
    "verify_at",
    "verify_chain",
    "verify_file",
)
