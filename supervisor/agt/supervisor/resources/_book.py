"""From what components cost, now and before, to the readings that gates name. Pure; time is an argument.

Processor time becomes a share only between two looks, so it needs some seconds, and starts over with every process:
what another one used says nothing about this one. A sum over all components is a number only while each of them has
one: a component that is down must not make its neighbours look thrifty.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from agt.supervisor.measure import Reading
from agt.supervisor.resources._proc import Usage

RESOURCES: Final = ("cpu_share", "rss_bytes", "descriptors")
"""The metrics, as plans name them."""
CPU_SPAN_S: Final = 60.0
"""Processor time is averaged over the last minute, or over what there is of it."""
CPU_LEAST_S: Final = 1.0
"""Less than this between two looks gives no share: processor time is counted in hundredths of a second."""
LOOKS_MAX: Final = 512


def key_of(metric: str, component: str) -> str:
    """Return the name of a reading: of one component, or of all where `component` is empty."""
    return f"{metric}:{component}" if component else metric


@dataclass(slots=True)
class _Looks:
    pid: int
    started: int
    looks: deque[tuple[float, Usage]] = field(default_factory=lambda: deque(maxlen=LOOKS_MAX))


class UsageBook:
    """The last looks at each component."""

    def __init__(self) -> None:
        self._by_name: dict[str, _Looks] = {}

    def look(self, found: Mapping[str, tuple[int, Usage] | None], *, now: float) -> None:
        """Take what was seen of each component: its pid and what it costs, or None while it isn't running."""
        for name in self._by_name.keys() - found.keys():
            del self._by_name[name]
        for name, seen in found.items():
            if seen is None:
                self._by_name.pop(name, None)
                continue
            pid, usage = seen
            own = self._by_name.get(name)
            if own is None or (own.pid, own.started) != (pid, usage.started) or now < own.looks[-1][0]:
                own = self._by_name[name] = _Looks(pid, usage.started)
            own.looks.append((now, usage))
            while len(own.looks) > 2 and own.looks[1][0] <= now - CPU_SPAN_S:
                own.looks.popleft()

    def usage(self, name: str) -> Usage | None:
        """Return what a component cost at the last look; None when it wasn't running."""
        own = self._by_name.get(name)
        return own.looks[-1][1] if own else None

    def cpu_share(self, name: str) -> float | None:
        """Return the share of one core that a component uses; None until it has been watched for long enough."""
        own = self._by_name.get(name)
        if own is None:
            return None
        (first_at, first), (last_at, last) = own.looks[0], own.looks[-1]
        if last_at - first_at < CPU_LEAST_S:
            return None
        return max(0.0, last.cpu_s - first.cpu_s) / (last_at - first_at)

    def readings(self, names: Iterable[str]) -> dict[str, Reading]:
        """Return each resource of each component, and of all together."""
        components = list(names)
        found: dict[str, Reading] = {}
        for metric in RESOURCES:
            values = {name: self._value(metric, name) for name in components}
            for name, value in values.items():
                why = "" if value is not None else f"{name} isn't running, or not for long enough"
                found[key_of(metric, name)] = Reading(value, samples=int(value is not None), why=why)
            silent = [name for name, value in values.items() if value is None]
            total = None if silent or not components else sum(value for value in values.values() if value is not None)
            why = f"nothing is known of {', '.join(silent)}" if components else "the plan has no [[component]]"
            found[metric] = Reading(total, samples=len(components), why="" if total is not None else why)
        return found

    def _value(self, metric: str, name: str) -> float | None:
        if metric == "cpu_share":
            return self.cpu_share(name)
        usage = self.usage(name)
        if usage is None:
            return None
        value = usage.rss_bytes if metric == "rss_bytes" else usage.descriptors
        return None if value is None else float(value)
