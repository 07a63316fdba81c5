"""One file a widget; each shows one part of an immutable view and asks nobody for anything."""

from agt.tui.widgets._alerts import Alerts
from agt.tui.widgets._banner import Banner
from agt.tui.widgets._budget import Budget
from agt.tui.widgets._charts import Charts
from agt.tui.widgets._gates import Gates
from agt.tui.widgets._header import Header
from agt.tui.widgets._ladder import Ladder
from agt.tui.widgets._ledger import Ledger
from agt.tui.widgets._panel import Panel
from agt.tui.widgets._processes import Processes
from agt.tui.widgets._rollbacks import Rollbacks
from agt.tui.widgets._traffic import Traffic

__all__ = (
    "Alerts",
    "Banner",
    "Budget",
    "Charts",
    "Gates",
    "Header",
    "Ladder",
    "Ledger",
    "Panel",
    "Processes",
    "Rollbacks",
    "Traffic",
)
