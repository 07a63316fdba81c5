"""`agt report` and `agt version-matrix`: what a run was, from its records alone. No supervisor has to run."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agt.supervisor.cli._options import Json, RunDir, run_directory

if TYPE_CHECKING:
    from agt.supervisor.reports import Archive, Report
    from agt.supervisor.versions import VersionMatrix

app = typer.Typer(
    help="Reports from the records of a run, as Markdown and JSON.", no_args_is_help=True, rich_markup_mode=None
)
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Where to. [default: reports/migration in the run directory]"),
]
PlanFile = Annotated[Path | None, typer.Option("--plan", metavar="FILE", help="The plan, where the records hold none.")]
Days = Annotated[int, typer.Option("--days", min=1, max=400, metavar="N", help="Days of the plan's calendar.")]
Versions = Annotated[
    Path | None, typer.Option("--versions", metavar="FILE", help="The file that names components: asks them now.")
]


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="report")
    root.command("version-matrix")(version_matrix)


@app.command()
def slo(
    days: Days = 30,
    out: Out = None,
    plan: PlanFile = None,
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Service levels over the last days: targets, what was measured, budgets, incidents, what follows from it."""
    from agt.supervisor.reports import slo_report  # noqa: PLC0415 - only these commands pay for it.

    _write(slo_report(_archive(run_dir, plan), days=days, now=time.time()), run_dir, out, json=json)


@app.command()
def incident(
    number: Annotated[
        int | None,
        typer.Argument(min=1, metavar="[INCIDENT]", help="An incident's number. [default: the newest way back]"),
    ] = None,
    rollback: Annotated[
        int | None, typer.Option("--rollback", min=1, metavar="N", help="Another way back, by its journal number.")
    ] = None,
    hours: Annotated[float, typer.Option("--hours", min=0.01, max=720, help="How far to look before and after.")] = 1.0,
    out: Out = None,
    plan: PlanFile = None,
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """What happened around a way back or an incident: timeline, alert ledger, the supervisor at that moment."""
    from agt.supervisor.reports import about_incident, rollback_report  # noqa: PLC0415 - as above.

    if number is not None and rollback is not None:
        raise typer.BadParameter("give an incident's number or --rollback, not both.")
    archive, span_s = _archive(run_dir, plan), hours * 3600
    if number is not None:
        report = about_incident(archive, number, now=time.time(), before_s=span_s, after_s=span_s)
    else:
        report = rollback_report(archive, now=time.time(), number=rollback, before_s=span_s, after_s=span_s)
    _write(report, run_dir, out, json=json)


@app.command()
def completion(
    days: Days = 30,
    versions: Versions = None,
    out: Out = None,
    plan: PlanFile = None,
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Prove that the migration is complete; exit status 1 when a proof is missing."""
    from agt.supervisor.reports import completion_report  # noqa: PLC0415 - as above.

    matrix = _matrix(versions, run_dir) if versions is not None else None
    report = completion_report(_archive(run_dir, plan), now=time.time(), days=days, versions=matrix)
    _write(report, run_dir, out, json=json)
    if not report.complete:
        raise typer.Exit(1)


@app.command()
def retrospective(out: Out = None, plan: PlanFile = None, run_dir: RunDir = None, json: Json = False) -> None:
    """Data for a retrospective: phases with planned and actual times, ways back with causes, drills, incidents."""
    from agt.supervisor.reports import retrospective_report  # noqa: PLC0415 - as above.

    _write(retrospective_report(_archive(run_dir, plan), now=time.time()), run_dir, out, json=json)


def version_matrix(
    components: Annotated[
        Path, typer.Option("--components", metavar="FILE", help="The file that names components (TOML).")
    ] = Path("versions.toml"),
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write there: JSON, or Markdown where it ends in .md.")
    ] = None,
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Ask control and candidate for the versions of their components; exit status 1 when one is missing."""
    import msgspec  # noqa: PLC0415 - as above.

    from agt.supervisor.versions import matrix_page  # noqa: PLC0415 - as above.

    matrix = _matrix(components, run_dir)
    data = msgspec.json.format(msgspec.json.encode(matrix), indent=2).decode() + "\n"
    if out is not None:
        _put(out, matrix_page(matrix) if out.suffix == ".md" else data)
        typer.echo(f"wrote {out}", err=True)
    if json or out is None:
        typer.echo(data if json else matrix_page(matrix), nl=False)
    for missing in matrix.missing if out is not None and not json else ():
        typer.echo(f"missing: {missing}", err=True)
    if not matrix.complete:
        raise typer.Exit(1)


def _matrix(components: Path, run_dir: Path | None) -> "VersionMatrix":
    import anyio  # noqa: PLC0415 - as above.

    from agt.supervisor.versions import ask_versions, build_matrix, load_matrix_file  # noqa: PLC0415 - as above.

    file, run, base = load_matrix_file(components), run_directory(run_dir).path, components.absolute().parent
    typer.echo(f"asking {len(file.component)} components", err=True)

    async def ask() -> "VersionMatrix":
        asked = await ask_versions(file, base=base, run=run)
        return build_matrix(file, asked, now=time.time())

    return anyio.run(ask)


def _archive(run_dir: Path | None, plan: Path | None) -> "Archive":
    from agt.supervisor.reports import read_archive  # noqa: PLC0415 - as above.
    from agt.supervisor.rollout import load_plan  # noqa: PLC0415 - as above.

    return read_archive(run_directory(run_dir).path, plan=load_plan(plan) if plan is not None else None)


def _write(report: "Report", run_dir: Path | None, out: Path | None, *, json: bool) -> None:
    from agt.supervisor.reports import FOLDER, encoded, page, write_report  # noqa: PLC0415 - as above.

    shown, data = write_report(report, out if out is not None else run_directory(run_dir).path / FOLDER)
    typer.echo(f"wrote {shown} and {data.name}; audit head {report.heading.audit_head}", err=True)
    if json:
        import msgspec  # noqa: PLC0415 - as above.

        typer.echo(msgspec.json.format(encoded(report), indent=2).decode())
    else:
        typer.echo(page(report), nl=False)


def _put(path: Path, text: str) -> None:
    from agt.supervisor._errors import SupervisorError  # noqa: PLC0415 - as above.

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SupervisorError(f"{path} can't be written: {error.strerror}") from error
