"""What the supervisor remembers: decisions, soak, samples and alerts, in SQLite with a thread of its own."""

from agt.supervisor.records._alerts import SCHEMA as ALERTS_SCHEMA
from agt.supervisor.records._alerts import SEVERITIES, Alert, AlertBook, AlertLedger, Policy, at_or_above
from agt.supervisor.records._journal import SCHEMA as JOURNAL_SCHEMA
from agt.supervisor.records._journal import Carried, Entry, Journal
from agt.supervisor.records._store import Store, StoreUnavailable

SCHEMA = JOURNAL_SCHEMA + ALERTS_SCHEMA
"""Everything that `records.sqlite` holds."""

__all__ = (
    "SCHEMA",
    "SEVERITIES",
    "Alert",
    "AlertBook",
    "AlertLedger",
    "Carried",
    "Entry",
    "Journal",
    "Policy",
    "Store",
    "StoreUnavailable",
    "at_or_above",
)
