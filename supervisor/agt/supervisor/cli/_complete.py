"""`agt plan complete`: what can go when a migration is over. It lists, and never edits."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agt.supervisor._errors import SupervisorError
from agt.supervisor._routers import find_routers
from agt.supervisor.cli._options import Json, RunDir, print_json, run_directory

if TYPE_CHECKING:
    from agt.supervisor.cleanup import Standing, Survey

TIMEOUT_S = 2.0


def complete(
    check: Annotated[Path, typer.Option("--check", metavar="SRC", help="The source tree to look through.")],
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="A completion report (JSON) instead of asking routers."),
    ] = None,
    even_if_in_use: Annotated[
        bool, typer.Option("--even-if-in-use", help="List, and succeed, though somebody may still be on legacy.")
    ] = False,
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """List code, tests and configuration that can go; exit status 1 while anyone is still on legacy."""
    from agt.supervisor.cleanup import survey_tree  # noqa: PLC0415 - only this command pays for it.

    standing = _standing(report, run_dir)
    survey = survey_tree(check)
    allowed = standing.free or even_if_in_use
    if json:
        print_json({"allowed": allowed, "standing": standing, "survey": survey})
    else:
        typer.echo("\n".join(_lines(survey, standing)))
    if not allowed:
        typer.echo(f"agt: not yet: {standing.says}; --even-if-in-use lists without it", err=True)
        raise typer.Exit(1)


def _standing(report: Path | None, run_dir: Path | None) -> "Standing":
    import anyio  # noqa: PLC0415 - as above.

    from agt.supervisor.cleanup import from_report, judge_standing  # noqa: PLC0415 - as above.
    from agt.supervisor.measure import scrape_all  # noqa: PLC0415 - as above.

    if report is not None:
        try:
            return from_report(report.read_bytes())
        except OSError as error:
            raise SupervisorError(f"{report} can't be read: {error.strerror}") from error
    sockets = find_routers(run_directory(run_dir).path)
    return judge_standing(anyio.run(lambda: scrape_all(sockets, at=time.time(), timeout_s=TIMEOUT_S)))


def _lines(survey: "Survey", standing: "Standing") -> list[str]:
    lines = []
    for kind in ("code", "test", "configuration", "dependency"):
        finds = [find for find in survey.finds if find.kind == kind]
        lines += [f"{kind} that can go: {len(finds)}", *(f"  {find}" for find in finds), ""]
    lines += [f"not looked at: {one}" for one in survey.not_read]
    lines += [f"still used: {one}" for one in standing.code]
    return [*lines, f"{survey.files:,} files looked at, nothing was changed; {standing.says}"]
