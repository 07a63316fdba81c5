"""What a process and all that descend from it cost at this moment, out of Linux's `/proc`.

Processor time is of the living and of the children they have waited for, so a worker that ends takes nothing away.
Memory is resident (pages that processes share count in each), descriptors are those that are open. What ends while it
is being read is left out.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
PROCESSES_MAX: Final = 256
"""So many descendants of a component are looked at."""
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME, _CUTIME, _CSTIME, _STARTED, _RSS = 11, 12, 13, 14, 19, 21
"""Places after the command's name in `/proc/PID/stat`, from 0: proc_pid_stat(5) counts from 1, and two fields more."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a component costs."""

    cpu_s: float
    """Processor time since it started, in seconds."""
    rss_bytes: int
    descriptors: int | None
    """None where they may not be counted: another user's process."""
    started: int = 0
    """When the process started, in ticks since the boot: another one that got its pid has another."""

    def plus(self, other: "Usage") -> "Usage":
        """Return both together, with our own start."""
        known = self.descriptors is not None and other.descriptors is not None
        descriptors = (self.descriptors or 0) + (other.descriptors or 0) if known else None
        return Usage(self.cpu_s + other.cpu_s, self.rss_bytes + other.rss_bytes, descriptors, self.started)


def parse_usage(
    stat: str, descriptors: int | None, *, ticks_per_s: int = _TICKS_PER_S, page_bytes: int = _PAGE_BYTES
) -> Usage:
    """Read one line of `/proc/PID/stat`; the command's name may hold blanks and brackets.

    Raises:
        ValueError: if it is no such line.
    """
    fields = stat.rpartition(")")[2].split()
    if len(fields) <= _RSS:
        raise ValueError(f"no line of /proc/PID/stat: {stat[:40]!r}")
    ticks = sum(int(fields[place]) for place in (_UTIME, _STIME, _CUTIME, _CSTIME))
    return Usage(ticks / ticks_per_s, int(fields[_RSS]) * page_bytes, descriptors, int(fields[_STARTED]))


def read_usage(pid: int, *, proc: Path = PROC) -> Usage | None:
    """Return what a process and its descendants cost; None when there is no such process."""
    own = _read_one(pid, proc)
    if own is None:
        return None
    seen, waiting = {pid}, _children(pid, proc)
    while waiting and len(seen) < PROCESSES_MAX:
        child = waiting.pop()
        if child in seen:
            continue
        seen.add(child)
        found = _read_one(child, proc)
        if found is not None:
            own = own.plus(found)
            waiting += _children(child, proc)
    return own


def _read_one(pid: int, proc: Path) -> Usage | None:
    folder = proc / str(pid)
    try:
        stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    try:
        descriptors = sum(1 for _ in (folder / "fd").iterdir())
    except OSError:
        descriptors = None
    try:
        return parse_usage(stat, descriptors)
    except ValueError:
        return None


def _children(pid: int, proc: Path) -> list[int]:
    """Return the children of all of its threads; none where the kernel doesn't say."""
    found: list[int] = []
    try:
        for task in (proc / str(pid) / "task").iterdir():
            found += [int(child) for child in (task / "children").read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return found
    return found
