"""`agt audit` and `agt incident`: what operators did, and what went wrong for somebody."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from agt.supervisor._request import NoAnswer
from agt.supervisor.books import AuditCheck, AuditRow, Incident, IncidentEnd, IncidentOrder
from agt.supervisor.cli._options import By, Json, RunDir, control, login, print_json, run_directory

audit = typer.Typer(
    help="What operators did, chained so that changes show.", no_args_is_help=True, rich_markup_mode=None
)
incident = typer.Typer(help="Incidents: open, close with a cause, list.", no_args_is_help=True, rich_markup_mode=None)
Head = Annotated[
    str, typer.Option("--head", metavar="NUMBER:HASH", help="An end that was noted elsewhere: shows what was cut off.")
]


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(audit, name="audit")
    root.add_typer(incident, name="incident")


@audit.command("list")
def list_audit(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, metavar="N", help="At most so many.")] = 50,
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """List the newest operator actions, refused ones too."""
    page = control(run_dir).audit(limit=limit)
    if json:
        print_json(page)
        return
    for row in page.rows:
        typer.echo(_row(row))
    typer.echo(f"head {page.head}")


@audit.command("verify")
def verify_audit(head: Head = "", run_dir: RunDir = None, json: Json = False) -> None:
    """Walk the whole chain; exit status 1 when a row was changed, taken out, put in or cut off. Needs no supervisor."""
    try:
        found = control(run_dir).verify_audit(head=head)
    except NoAnswer:
        found = _verify_file(run_directory(run_dir).records, head)
    if json:
        print_json(found)
    elif found.whole:
        typer.echo(f"the audit is whole: {found.rows:,} rows, head {found.head}")
    else:
        typer.echo(f"the audit is NOT whole: {found.problem}")
    if not found.whole:
        raise typer.Exit(1)


@incident.command("open")
def open_incident(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What went wrong, for whom.")],
    severity: Annotated[str, typer.Option("--severity", metavar="minor|major|critical", help="How bad.")] = "minor",
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Open an incident; gates that ask for none wait from now on."""
    if not title.strip():
        raise typer.BadParameter("say what went wrong.")
    try:
        order = msgspec.convert({"title": title, "severity": severity, "by": by or login()}, IncidentOrder)
    except msgspec.ValidationError as error:
        raise typer.BadParameter(f"{error}; a severity is minor, major or critical.") from None
    _show(control(run_dir).open_incident(order), json=json)


@incident.command("close")
def close_incident(
    number: Annotated[int, typer.Argument(min=1, metavar="NUMBER", help="Which one.")],
    cause: Annotated[str, typer.Option("--cause", metavar="TEXT", help="What caused it; recorded.")],
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Close an incident with its cause."""
    if not cause.strip():
        raise typer.BadParameter("an incident is closed with its cause.")
    _show(control(run_dir).close_incident(number, IncidentEnd(cause=cause, by=by or login())), json=json)


@incident.command("list")
def list_incidents(
    only_open: Annotated[bool, typer.Option("--open", help="Only those that stand.")] = False,
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """List the newest incidents."""
    page = control(run_dir).incidents(only_open=only_open)
    if json:
        print_json(page)
        return
    for one in page.incidents:
        typer.echo(_incident(one))
    if not page.incidents:
        typer.echo("no incidents")


def _verify_file(path: Path, head: str) -> AuditCheck:
    """Walk the chain of records that nobody serves."""
    from agt.supervisor.records import AuditHead, verify_at  # noqa: PLC0415 - only without a supervisor.

    try:
        noted = AuditHead.parse(head) if head else None
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from None
    found = verify_at(path, noted)
    return AuditCheck(whole=found.whole, rows=found.rows, head=str(found.head), problem=found.problem)


def _show(one: Incident, *, json: bool) -> None:
    if json:
        print_json(one)
    else:
        typer.echo(_incident(one))


def _row(row: AuditRow) -> str:
    return f"{row.number:>5}  {_moment(row.at)}  {row.by}  {row.action} {row.outcome}: {row.says or row.detail}"


def _incident(one: Incident) -> str:
    stands = "open" if one.closed is None else f"closed by {one.closed_by}: {one.cause}"
    lasted = f"{((one.closed or time.time()) - one.opened) / 60:,.0f} min"
    return (
        f"{one.id:>4}  {_moment(one.opened)}  {one.severity:<8}  {one.title} (by {one.opened_by}), {lasted}, {stands}"
    )


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
