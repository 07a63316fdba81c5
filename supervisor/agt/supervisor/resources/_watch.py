"""Looking at the components' processes, no more often than it makes sense; the only file here that reads."""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from agt.supervisor.measure import Reading
from agt.supervisor.resources._book import UsageBook
from agt.supervisor.resources._proc import Usage, read_usage
from agt.supervisor.view import ProcessView

LOOK_S: Final = 0.5
"""No more often than this: a look costs about 0.1 ms a process."""


class ComponentUsage:
    """What a plan's components cost."""

    def __init__(self, processes: Callable[[], Iterable[ProcessView]], clock: Callable[[], float]) -> None:
        """Remember whom to ask; nothing is read yet.

        Args:
            processes: The components as they are now.
            clock: Seconds that never jump.
        """
        self._processes, self._clock = processes, clock
        self._book = UsageBook()
        self._due = 0.0

    def readings(self) -> dict[str, Reading]:
        """Look if it is time to, and return what gates may name."""
        now, processes = self._clock(), [one for one in self._processes() if not one.order]
        if now >= self._due:
            self._due = now + LOOK_S
            self._book.look({one.name: _seen(one.pid) for one in processes}, now=now)
        return self._book.readings(one.name for one in processes)

    def shown(self) -> tuple[ProcessView, ...]:
        """Return the components with what each cost at the last look."""
        return tuple(self._with_usage(one) for one in self._processes())

    def _with_usage(self, one: ProcessView) -> ProcessView:
        usage = self._book.usage(one.name) if one.pid else None
        if usage is None:
            return one
        return msgspec.structs.replace(
            one,
            cpu_share=self._book.cpu_share(one.name),
            rss_bytes=usage.rss_bytes,
            descriptors=usage.descriptors,
        )


def _seen(pid: int | None) -> tuple[int, Usage] | None:
    usage = None if pid is None else read_usage(pid)
    return None if pid is None or usage is None else (pid, usage)
