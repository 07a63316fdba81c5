"""Watches a run after a restore until it is proven, and says so: by an alert while it isn't, in note and audit after.

What is looked at, and the verdicts, are `snapshots.RestoreProof`'s; here it gets its eyes.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import msgspec

from agt.supervisor._errors import SupervisorError
from agt.supervisor.records import AuditRow
from agt.supervisor.rollout._asking import NotAnswered, ask_document
from agt.supervisor.rollout._effects import RaiseAlert, ResolveAlerts
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._runtime_status import read_status
from agt.supervisor.rollout._snapshots import RECORDS, count_rows
from agt.supervisor.snapshots import RestoreProof, Seen, read_note, write_note

RESTORE: Final = "restore"
"""Source of the alert that stands until a restore is proven."""
LOOK_S: Final = 1.0
QUIET_FLOOR_S: Final = 2.0
"""However hard a plan is squeezed, cursors are watched for so long."""

Tell = Callable[[RaiseAlert | ResolveAlerts], None]


async def prove_restore(
    plan: Plan,
    run: Path,
    *,
    clock: Callable[[], float],
    tell: Tell,
    note_action: Callable[[AuditRow], None],
    quiet_s: float = 60.0,
) -> None:
    """Watch until the restore that a note tells of is judged; at once done when there is none that waits.

    Args:
        plan: Whose run; its `[runtime_status]` says who knows cursors and sources.
        run: The run directory.
        clock: Seconds since the epoch.
        tell: Raises and resolves alerts.
        note_action: Puts a row into the audit.
        quiet_s: How long no cursor may be invalid.
    """
    note = read_note(run)
    if note is None or note.verdict != "pending":
        return
    source = plan.file.runtime_status.source
    quiet_s = max(QUIET_FLOOR_S, quiet_s / plan.squeeze)
    proof = RestoreProof(note, asks_daemon=bool(source), now=anyio.current_time(), quiet_s=quiet_s)
    tell(RaiseAlert("warn", RESTORE, f"the restore of {note.snapshot} is not proven yet"))
    verdict, says = "pending", ""
    while verdict == "pending":
        await anyio.sleep(LOOK_S)
        with contextlib.suppress(SupervisorError):  # Records that can't be read just now are looked at again.
            verdict, says = proof.look(await _look(run, source), now=anyio.current_time())
    tell(ResolveAlerts(RESTORE))
    what = f"the restore of {note.snapshot} has {verdict}: {says}"
    tell(RaiseAlert("info" if verdict == "passed" else "escalate", RESTORE, what))
    note_action(AuditRow(at=clock(), by="agt", action="restore-proof", outcome="done", says=what))
    judged = msgspec.structs.replace(note, verdict=verdict, says=says, judged=clock())
    with contextlib.suppress(OSError):  # Then the next supervisor judges it again.
        await anyio.to_thread.run_sync(write_note, run, judged)


async def _look(run: Path, source: str) -> Seen:
    counts = await anyio.to_thread.run_sync(count_rows, run / RECORDS)
    if not source:
        return Seen(counts=counts)
    try:
        return seen_of(await ask_document(source, run, timeout_s=LOOK_S * 2), counts)
    except (NotAnswered, ValueError):
        return Seen(counts=counts)


def seen_of(document: Any, counts: dict[str, int]) -> Seen:
    """Return what a daemon's answer says about cursors and sources.

    Raises:
        ValueError: when it is none that can be read.
    """
    status = read_status(document)
    committed, sources = document.get("committed"), document.get("sources")
    watermark = None
    if isinstance(committed, dict) and all(isinstance(place, int) for place in committed.values()):
        watermark = sum(committed.values())
    inactive = None
    if isinstance(sources, dict):
        inactive = tuple(sorted(str(name) for name, state in sources.items() if state != "active"))
    return Seen(
        counts=counts, watermark=watermark, invalid_cursors=status.counts.get("invalid_cursors"), sources=inactive
    )
