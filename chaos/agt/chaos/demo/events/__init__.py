"""The demo's events: what its devices did, from sources by way of the gateway to the daemon, under the contracts.

A *source* (in the fleet's process) numbers what its devices report and keeps it in a log. The *gateway* admits sources,
reads from them and delivers to the daemon under tokens. The *daemon* keeps a cursor into each source and a projection,
and checkpoints both together. Whoever of the three is killed, the others go on from what is durable: no event is lost,
none is applied twice. The contracts are `agt.supervisor.contracts`; here they get sockets, files and clocks.
"""

from agt.chaos.demo.events._courier import Courier
from agt.chaos.demo.events._door import Door
from agt.chaos.demo.events._keeper import Keeper
from agt.chaos.demo.events._log import EventLog
from agt.chaos.demo.events._source import EventSource
from agt.chaos.demo.events._times import EventTimes

__all__ = ("Courier", "Door", "EventLog", "EventSource", "EventTimes", "Keeper")
