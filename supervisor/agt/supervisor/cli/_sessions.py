"""`agt sessions`: the live sessions of all routers, and their restart, between commands and paced.

Pacing is done here and not in the routers: the command sends small orders, the next one only when the sessions of the
one before have settled. So Ctrl-C stops between two orders and leaves nothing half done, and a selector that changes in
the middle (somebody rolled back) stops the rest, since each order names the generation that the list was read under.
"""

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
import typer

from agt.supervisor._errors import SupervisorError
from agt.supervisor._request import Control
from agt.supervisor.cli._options import By, Json, Reason, RunDir, control, login, print_json
from agt.supervisor.sessions import ORDER_MAX, PAGE_MAX, SessionList, SessionOrder, SessionReceipt, SessionView

ORDER_EVERY_S: Final = 0.5
"""How much of a second's share goes into one order."""
PER_SECOND: Final = 20.0
PER_SECOND_MAX: Final = 1000.0
PROGRESS_EVERY_S: Final = 1.0
LISTED: Final = 1000
_NAMES: Final = ("restarted", "timed_out", "waiting", "moving", "unchanged")
_WORDS: Final = {
    "restarted": "restarted",
    "timed_out": "restarted at the deadline, with commands unanswered",
    "waiting": "wait for an attachment",
    "moving": "still draining",
    "unchanged": "unchanged",
}

app = typer.Typer(
    help="Live sessions: list them, restart them between commands.", no_args_is_help=True, rich_markup_mode=None
)


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="sessions")


@app.command("list")
def list_sessions(
    runtime: Annotated[str, typer.Option("--runtime", metavar="NAME", help="Only those that live there.")] = "",
    pinned: Annotated[bool, typer.Option("--pinned", help="Only those that nothing but a pin keeps there.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="At most so many.")] = LISTED,
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """List live sessions: where, since when, what is in flight, and what a restart would do."""
    found = _listed(control(run_dir), runtime=runtime, pinned=pinned, limit=limit)
    if json:
        print_json(found)
        return
    now = time.time()
    for session in found.sessions:
        typer.echo(_line(session, now=now))
    more = found.total - len(found.sessions)
    typer.echo(f"{found.total:,} sessions{f', {more:,} of them not shown' if more else ''}")
    for router, why in found.missing.items():
        typer.echo(f"not among them: those of {router}, which {why}")


@app.command("restart")
def restart_sessions(
    names: Annotated[list[str] | None, typer.Argument(metavar="SESSION...", help="By name or device.")] = None,
    all_on: Annotated[str, typer.Option("--all-on", metavar="RUNTIME", help="All that live there.")] = "",
    per_second: Annotated[
        float, typer.Option("--per-second", min=0.1, max=PER_SECOND_MAX, metavar="N", help="At most so many a second.")
    ] = PER_SECOND,
    redial: Annotated[
        bool, typer.Option("--redial", help="Close their connections too, so that each device dials anew.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")] = False,
    reason: Reason = "",
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """End sessions between commands; the next ones are placed by the selector of now. Asking twice is harmless."""
    if bool(names) == bool(all_on):
        raise typer.BadParameter("name sessions, or give --all-on RUNTIME.")
    api = control(run_dir)
    wanted = tuple(dict.fromkeys(names or ()))
    found = _listed(api, runtime=all_on, limit=None if all_on else 1)
    if all_on:
        wanted = tuple(session.session for session in found.sessions)
    order = SessionOrder(
        sessions=wanted,
        redial=redial,
        dry_run=dry_run,
        generations=found.generations,
        by=by or login(),
        reason=reason,
    )
    receipt, stopped = _paced(api, order, wanted, per_second=per_second)
    if json:
        print_json(receipt)
    else:
        typer.echo("\n".join(_told(receipt, len(wanted))))
    if stopped:
        raise SupervisorError(f"stopped: {stopped}", "what is done stays done; look with `agt sessions list`")
    if receipt.refused or receipt.missing or found.missing:
        raise typer.Exit(1)


def _listed(api: Control, *, runtime: str = "", pinned: bool = False, limit: int | None = None) -> SessionList:
    """Return the first sessions, or all of them, page by page."""
    sessions: list[SessionView] = []
    while True:
        room = PAGE_MAX if limit is None else min(PAGE_MAX, limit - len(sessions))
        after = sessions[-1].device if sessions else ""
        page = api.sessions(runtime=runtime, pinned=pinned, after=after, limit=room)
        sessions += page.sessions
        if not page.after or (limit is not None and len(sessions) >= limit):
            return msgspec.structs.replace(page, sessions=tuple(sessions), after=page.after)


def _paced(
    api: Control, order: SessionOrder, names: tuple[str, ...], *, per_second: float
) -> tuple[SessionReceipt, str]:
    """Send small orders, one after the other; return what came of all of them, and why it stopped early."""
    total = SessionReceipt(dry_run=order.dry_run)
    said_at, done = time.monotonic(), 0
    try:
        for batch, pause_s in _batches(names, per_second, at_once=order.dry_run):
            began = time.monotonic()
            total = _added(total, api.restart_sessions(msgspec.structs.replace(order, sessions=batch)))
            done += len(batch)
            if total.missing:
                return total, "; ".join(f"{router} {why}" for router, why in total.missing.items())
            if time.monotonic() - said_at >= PROGRESS_EVERY_S:
                said_at = time.monotonic()
                typer.echo(f"{done:,} of {len(names):,} sessions", err=True)
            if done < len(names):
                time.sleep(max(0.0, pause_s - (time.monotonic() - began)))
    except KeyboardInterrupt:
        return total, f"interrupted after {done:,} of {len(names):,} sessions"
    return total, ""


def _batches(names: tuple[str, ...], per_second: float, *, at_once: bool) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield names in orders, each with the seconds that belong to it."""
    size = ORDER_MAX if at_once else max(1, min(ORDER_MAX, math.floor(per_second * ORDER_EVERY_S)))
    for start in range(0, len(names), size):
        yield names[start : start + size], 0.0 if at_once else size / per_second


def _added(total: SessionReceipt, more: SessionReceipt) -> SessionReceipt:
    lists = {key: getattr(total, key) + getattr(more, key) for key in _NAMES}
    return SessionReceipt(
        **lists,
        refused=total.refused | more.refused,
        resent=total.resent + more.resent,
        indeterminate=total.indeterminate + more.indeterminate,
        missing=more.missing,
        dry_run=total.dry_run,
    )


def _told(receipt: SessionReceipt, asked: int) -> list[str]:
    """Write a receipt down for people."""
    counts = {key: len(getattr(receipt, key)) for key in _NAMES}
    told = [f"{count:,} {_WORDS[key]}" for key, count in counts.items() if count]
    would = "would be: " if receipt.dry_run and told else ""
    lines = [f"{would}{', '.join(told) or 'nothing restarted'}, of {asked:,}"]
    if receipt.resent or receipt.indeterminate:
        lines.append(f"{receipt.resent:,} commands sent again, {receipt.indeterminate:,} indeterminate")
    lines += [f"refused {name}: {why}" for name, why in sorted(receipt.refused.items())]
    return lines


def _line(session: SessionView, *, now: float) -> str:
    began = datetime.fromtimestamp(session.since, UTC)
    name = session.session if session.session == session.device else f"{session.session} ({session.device})"
    pinned = ", pinned" if session.pinned else ""
    flight = f", {session.in_flight} in flight" if session.in_flight else ""
    held = f", {session.held} held" if session.held else ""
    moves = f"would move to {session.at_restart} ({session.move})" if session.move else "would stay"
    where = f"{name} on {session.runtime}{pinned}: {session.reason}"
    return (
        f"{where}; since {began:%Y-%m-%d %H:%M:%S}Z ({now - session.since:,.0f} s){flight}{held}; at a restart {moves}"
    )
