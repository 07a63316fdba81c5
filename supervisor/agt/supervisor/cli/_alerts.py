"""`agt alerts`: the alert ledger, and the sinks that alerts go to."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from agt.supervisor.books import AlertOrder, AlertPrune
from agt.supervisor.cli._options import By, Json, RunDir, control, login, print_json
from agt.supervisor.view import AlertView

app = typer.Typer(
    help="The alert ledger: list, acknowledge, prune; and its sinks: test.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
OpenOnly = Annotated[bool, typer.Option("--open", help="Only those that still stand.")]


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="alerts")


@app.callback()
def alerts(context: typer.Context, open_only: OpenOnly = False, run_dir: RunDir = None, json: Json = False) -> None:
    """List the alert ledger, newest first; `ack`, `prune` and `test` do more."""
    if context.invoked_subcommand is None:
        list_alerts(open_only=open_only, run_dir=run_dir, json=json)


@app.command("list")
def list_alerts(open_only: OpenOnly = False, run_dir: RunDir = None, json: Json = False) -> None:
    """List the alert ledger, newest first."""
    found = [alert for alert in control(run_dir).alerts() if alert.open or not open_only]
    if json:
        print_json({"alerts": found})
        return
    typer.echo("\n".join(alert_line(alert) for alert in found) or "no alerts")


@app.command()
def ack(
    number: Annotated[int, typer.Argument(min=1, metavar="NUMBER", help="Which one.")],
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Acknowledge an alert: it is resolved, also one that waits for a person."""
    done = control(run_dir).acknowledge_alert(number, AlertOrder(by=by or login()))
    if json:
        print_json(done)
    else:
        typer.echo(alert_line(done))


@app.command()
def prune(
    older_than: Annotated[str, typer.Option("--older-than", metavar="DURATION", help="Resolved so long ago.")] = "30d",
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Forget resolved alerts by age; open ones stay."""
    from agt.supervisor.rollout._durations import parse_duration  # noqa: PLC0415 - only this command pays for it.

    try:
        older_than_s = parse_duration(older_than)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from None
    done = control(run_dir).prune_alerts(AlertPrune(older_than_s=older_than_s, by=by or login()))
    if json:
        print_json(done)
    else:
        typer.echo(f"forgot {done.pruned:,} resolved alerts that are older than {older_than}")


@app.command("test")
def try_sinks(by: By = "", run_dir: RunDir = None, json: Json = False) -> None:
    """Send a trial alert to every sink of the plan, one try each; exit status 1 when one did not take it."""
    page = control(run_dir).try_sinks(AlertOrder(by=by or login()))
    if json:
        print_json(page)
    else:
        for one in page.sinks:
            typer.echo(f"{one.sink} ({one.kind}): {one.problem or 'taken'}")
        if not page.sinks:
            typer.echo("the plan has no [[sink]]; alerts go to the ledger and to the log")
    if any(one.failed for one in page.sinks):
        raise typer.Exit(1)


def alert_line(alert: AlertView) -> str:
    """Return one line for people."""
    at = datetime.fromtimestamp(alert.at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    state = "open" if alert.open else "resolved"
    return f"{alert.id:>4}  {at}  {alert.severity:<8}  {state:<8}  {alert.source}: {alert.message}"
