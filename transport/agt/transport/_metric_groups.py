"""One runtime's counters, kept by groups of devices as well.

A label for each device is a trap at a hundred thousand of them, and counts without any hide what matters when two
runtimes are compared: whether all devices fail a little, or one of them all the time. So devices are put into a few
groups by a hash that has nothing to do with the router's positions, and each group counts for itself. A message costs
nothing more: a session is told its group's counters when its peer has said who it is.
"""

from typing import Final
from zlib import crc32

from agt.transport._metrics import TransportMetrics

METRIC_GROUPS: Final = 32
"""Groups: enough to see how much devices differ, few enough for every scrape."""


class MetricGroups(TransportMetrics):
    """A runtime's metrics in groups; hand it in wherever `TransportMetrics` goes.

    What can't be told to a device (a refused connection, say) counts in this object itself; `parts` has all of it.
    """

    __slots__ = ("groups",)

    def __init__(self, runtime: str = "candidate", *, count: int = METRIC_GROUPS) -> None:
        """Make the groups.

        Args:
            runtime: The runtime's name, exported as the label `transport`.
            count: How many groups; the same for all runtimes that are compared.
        """
        super().__init__(runtime)
        self.groups = tuple(TransportMetrics(runtime) for _ in range(count))
        """Counters of each group."""

    @property
    def parts(self) -> tuple[TransportMetrics, ...]:
        """Everything that adds up to the runtime's counts."""
        return (self, *self.groups)

    def for_peer(self, peer: str) -> TransportMetrics:
        """Return the counters of a peer's group, the same in every process."""
        return self.groups[crc32(peer.encode("utf-8", "surrogatepass")) % len(self.groups)]
