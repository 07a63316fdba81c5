"""`agt snapshot`: the supervisor's own snapshots, and two trees of JSON snapshots compared."""

import math
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from agt.supervisor._errors import SupervisorError
from agt.supervisor.books import SnapshotMeta, SnapshotOrder
from agt.supervisor.cli._options import By, Json, Reason, RunDir, control, login, print_json, run_directory
from agt.supervisor.cli._parity import rule_for_this_run

app = typer.Typer(help="Snapshots.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def snapshot() -> None:
    """Take, list, check and compare snapshots."""


@app.command()
def take(
    says: Annotated[str, typer.Option("--reason", metavar="TEXT", help="For what; recorded.")] = "",
    keep: Annotated[bool, typer.Option("--keep", help="Leave it when older ones go.")] = False,
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Take a snapshot of records, selector and projection now."""
    meta = control(run_dir).take_snapshot(SnapshotOrder(says=says, keep=keep, by=by or login()))
    if json:
        print_json(meta)
    else:
        typer.echo(f"took {_line(meta)}")


@app.command("list")
def list_snapshots(run_dir: RunDir = None, json: Json = False) -> None:
    """List the snapshots that are there, newest first."""
    page = control(run_dir).snapshots()
    if json:
        print_json(page)
        return
    for meta in page.snapshots:
        typer.echo(_line(meta))
    if not page.snapshots:
        typer.echo("no snapshots; take one: agt snapshot take")


@app.command()
def check(
    name: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Its id. [default: the newest]")] = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Dry-run a restore: Ok, VersionAhead, TooOld or Corrupt; exit status 1 when it isn't Ok."""
    api = control(run_dir)
    if not name:
        newest = next(iter(api.snapshots().snapshots), None)
        if newest is None:
            raise SupervisorError("there is no snapshot", "take one: agt snapshot take")
        name = newest.id
    found = api.check_snapshot(name)
    if json:
        print_json(found)
    else:
        typer.echo(f"{found.id}: {found.verdict.value}, {found.says}")
    if not found.ok:
        raise typer.Exit(1)


@app.command()
def restore(
    name: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Its id, as `agt snapshot list` prints it.")],
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="DURATION", help="Allow it to be as old as this. [default: 10m]")
    ] = "10m",
    force: Annotated[bool, typer.Option("--force", help="Allow any age. Never a damaged one, or one ahead.")] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only say whether it would be right.")] = False,
    reason: Reason = "",
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Put records and selector back; supervisor and components have to be down. What was there is kept aside."""
    import anyio  # noqa: PLC0415 - only this command pays for it.

    from agt.supervisor._restore import dry_run, restore_snapshot  # noqa: PLC0415 - as above.
    from agt.supervisor.rollout._durations import parse_duration  # noqa: PLC0415 - as above.
    from agt.supervisor.snapshots import SnapshotFolder  # noqa: PLC0415 - as above.

    try:
        max_age_s = math.inf if force else parse_duration(older_than)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from None
    run = run_directory(run_dir)
    if dry:
        found = dry_run(SnapshotFolder(run.path / "snapshots"), name, run.path, now=time.time(), max_age_s=max_age_s)
        print_json(found) if json else typer.echo(f"{found.id}: {found.verdict.value}, {found.says}")
        return
    asked = partial(restore_snapshot, run, name, by=by or login(), max_age_s=max_age_s, clock=time.time, reason=reason)
    done = anyio.run(asked)
    if json:
        print_json(done)
        return
    typer.echo(f"{done.check.id}: {done.check.verdict.value}, {done.check.says}")
    typer.echo(f"put back {', '.join(done.parts)}; what was there: {', '.join(done.aside) or 'nothing'}")
    if done.left:
        typer.echo(f"left {done.left}")
    typer.echo(f"audit head {done.head}; now `agt up PLAN`: `agt status` says when the restore is proven")


def _line(meta: SnapshotMeta) -> str:
    at = datetime.fromtimestamp(meta.at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    counts = ", ".join(f"{count:,} {name}" for name, count in meta.counts.items())
    says = f": {meta.says}" if meta.says else ""
    return f"{meta.id}  {at}  {meta.trigger}, version {meta.projection_version}, {counts}, {meta.size:,} bytes{says}"


@app.command()
def compare(
    *,
    base: Annotated[Path, typer.Option("--base", metavar="PATH", help="A JSON file, or a folder of them.")],
    target: Annotated[Path, typer.Option("--target", metavar="PATH", help="What is compared with it.")],
    strict: Annotated[bool, typer.Option("--strict", help="New files, new fields and last digits count too.")] = False,
    tolerance: Annotated[
        float | None, typer.Option("--tolerance", min=0, max=1, help="How far numbers may be apart, 0.01 for 1 %.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="FIELD", help="Ignore a field in this run; repeatable.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare snapshots of control (base) and candidate (target); 0 when they are equal, 1 when not."""
    from agt.router.parity import Tolerance  # noqa: PLC0415 - only this command pays for it.
    from agt.router.regression import compare_snapshots, snapshot_lines  # noqa: PLC0415 - as above.

    result = compare_snapshots(
        base,
        target,
        strict=strict,
        tolerance=None if tolerance is None else Tolerance(relative=tolerance),
        ignore=[rule_for_this_run(field) for field in ignore or ()],
        now=time.time(),
    )
    if json:
        print_json(result)
    else:
        typer.echo("\n".join(snapshot_lines(result)))
    if result.verdict != "passed":
        raise typer.Exit(1)
