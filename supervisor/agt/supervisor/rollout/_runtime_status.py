"""What the candidate's daemon says of itself: counts and levels that gates ask for, and no router can know.

The plan names where it is asked (`[runtime_status]`). The answer is a JSON object; the keys that are known here are
taken, whatever else is in it is left. What a daemon doesn't say, or a silent one, is no number with a reason, never 0:
a gate that asks for no conflicts must not pass because nobody counts them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio

from agt.supervisor.measure import Reading
from agt.supervisor.rollout._asking import NotAnswered, ask_document
from agt.supervisor.rollout._durations import format_duration
from agt.supervisor.rollout._metrics import DAEMON_COUNTS, DAEMON_LEVELS
from agt.supervisor.rollout._plan import Plan

ASK_FLOOR_S: Final = 1.0
"""A daemon is asked no more often than this."""
ASK_EVERY_MAX_S: Final = 30.0
ANSWER_TIMEOUT_S: Final = 2.0
STALE_AFTER: Final = 3
"""An answer that is older than so many askings says nothing any more."""
COUNT_MAX: Final = 1 << 53

NAMES: Final = (*DAEMON_COUNTS, *DAEMON_LEVELS)
"""Every number that it may say."""


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """One answer of a daemon, as far as it is known here."""

    instance: str = ""
    """Which process answered, where it says so; another one counts from zero."""
    counts: Mapping[str, int] = field(default_factory=dict)
    levels: Mapping[str, int] = field(default_factory=dict)


def read_status(document: Any) -> DaemonStatus:
    """Return what a daemon's JSON answer says.

    `sources_not_active` may also come as `sources`, a list of objects with a `state`, or an object of states by name;
    `projection_version` as `state_version`.

    Raises:
        ValueError: when it is no object, or one of the known keys holds no number.
    """
    if not isinstance(document, dict):
        raise ValueError("answers with no JSON object")  # noqa: TRY004 - it is data that is wrong, as the other keys.
    given = {"projection_version": document.get("state_version"), **document}
    if "sources_not_active" not in given and (states := _states(given.get("sources"))) is not None:
        given["sources_not_active"] = sum(state != "active" for state in states)
    found = {name: given[name] for name in NAMES if given.get(name) is not None}
    for name, value in found.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= COUNT_MAX:
            raise ValueError(f"answers with no count for {name}")
    return DaemonStatus(
        instance=str(document.get("instance", ""))[:64],
        counts={name: found[name] for name in DAEMON_COUNTS if name in found},
        levels={name: found[name] for name in DAEMON_LEVELS if name in found},
    )


class StatusDesk:
    """Asks the plan's daemon from time to time, and answers what is known of it now."""

    def __init__(
        self, plan: Plan, run: Path, *, clock: Callable[[], float], counted: Callable[[DaemonStatus, float], None]
    ) -> None:
        """Prepare; nobody is asked before `run`.

        Args:
            plan: Which names the source, or none.
            run: The run directory.
            clock: Seconds since the epoch.
            counted: Called with each answer and when it came, so that what it counts is remembered.
        """
        self._source, self._run = plan.file.runtime_status.source, run
        self._clock, self._counted = clock, counted
        self._every_s = min(ASK_EVERY_MAX_S, max(ASK_FLOOR_S, plan.check_interval_s))
        self._status, self._at, self._why = DaemonStatus(), -1.0, "nobody was asked yet"

    async def run(self) -> None:
        """Ask until cancelled; at once done where the plan names no source."""
        while self._source:
            began = anyio.current_time()
            await self.ask()
            await anyio.sleep(max(0.0, self._every_s - (anyio.current_time() - began)))

    async def ask(self) -> None:
        """Ask once; what goes wrong is the reason that readings give."""
        try:
            document = await ask_document(self._source, self._run, timeout_s=ANSWER_TIMEOUT_S)
            status = read_status(document)
        except (NotAnswered, ValueError) as error:
            self._at, self._why = -1.0, f"the daemon says nothing: {error}"
            return
        self._status, self._at, self._why = status, self._clock(), ""
        self._counted(status, self._at)

    def readings(self, *, now: float) -> dict[str, Reading]:
        """Return every level as it is now, and for each count why it isn't known; a count that is known is left out."""
        why = self._silent(now)
        if why:
            return {name: Reading(None, why=why) for name in NAMES}
        status = self._status
        unsaid = [name for name in NAMES if name not in status.counts and name not in status.levels]
        levels = {name: Reading(float(value), samples=1) for name, value in status.levels.items()}
        return levels | {name: Reading(None, why=f"the daemon doesn't say {name}") for name in unsaid}

    def _silent(self, now: float) -> str:
        if not self._source:
            return "the plan has no [runtime_status]"
        if self._why:
            return self._why
        age_s = now - self._at
        return f"the daemon answered last {format_duration(age_s)} ago" if age_s > STALE_AFTER * self._every_s else ""


def _states(sources: Any) -> list[str] | None:
    if isinstance(sources, dict):
        return [str(one.get("state") if isinstance(one, dict) else one) for one in sources.values()]
    if isinstance(sources, list):
        return [str(one.get("state") if isinstance(one, dict) else one) for one in sources]
    return None
