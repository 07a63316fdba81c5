"""Whom a fault of the demo means: the candidate's connections, control's, or all.

A native connection always is the candidate's, a lines connection control's. A cync connection is the candidate's as
long as the selector puts its device there: the scope follows the selector file, and ends when the device is back.
"""

from collections.abc import Callable
from pathlib import Path

from agt.chaos.proxy import Flow, Scope
from agt.router import Selector, SelectorFile, decide

NATIVE, LINES = "native", "lines"


class Routes:
    """Which devices are on the candidate now, read from the selector file when it has changed."""

    def __init__(self, path: Path, devices: tuple[str, ...], clock: Callable[[], float]) -> None:
        self._file, self._path, self._devices, self._clock = SelectorFile(path), path, devices, clock
        self._seen: tuple[int, int] | None = None
        self.candidates: frozenset[str] = frozenset()
        """Devices on the candidate."""

    def look(self) -> bool:
        """Read the selector again if the file changed; true when other devices are on the candidate now."""
        try:
            stat = self._path.stat()
            seen: tuple[int, int] | None = (stat.st_ino, stat.st_mtime_ns)
        except OSError:
            seen = None  # Killed, or not there yet: everything is on control.
        if seen == self._seen and seen is not None:
            return False
        self._seen = seen
        selector = self._file.read().selector
        before = self.candidates
        self.candidates = frozenset() if selector is None else frozenset(self._chosen(selector))
        return self.candidates != before

    def _chosen(self, selector: Selector) -> list[str]:
        now, candidate = self._clock(), selector.runtimes.candidate
        return [device for device in self._devices if decide(selector, device, now=now).runtime == candidate]


def scope_of(target: str, routes: Routes) -> Scope:
    """Make the scope for a target's name.

    Raises:
        ValueError: when there is no such target.
    """

    def on_candidate(flow: Flow) -> bool:
        return flow.wire == NATIVE or (flow.wire != LINES and flow.peer in routes.candidates)

    scopes: dict[str, Scope] = {
        "all": lambda _: True,
        "candidate": on_candidate,
        "control": lambda flow: not on_candidate(flow),
    }
    if target not in scopes:
        raise ValueError(f"{target!r} is no target for a fault; there are {', '.join(scopes)}")
    return scopes[target]
