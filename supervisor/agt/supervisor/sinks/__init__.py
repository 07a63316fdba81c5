"""Alert sinks: where alerts go beside the ledger. A line in the log, a webhook, a command.

Nothing waits for a sink: each has a bounded queue and a worker of its own, and what there is no room for is shed and
counted. The ledger has every alert in any case.
"""

from agt.supervisor.rows import SinkReport
from agt.supervisor.sinks._dispatcher import QUEUE_MAX, Dispatcher, note_of
from agt.supervisor.sinks._spec import Sink, sink_problem

__all__ = ("QUEUE_MAX", "Dispatcher", "Sink", "SinkReport", "note_of", "sink_problem")
