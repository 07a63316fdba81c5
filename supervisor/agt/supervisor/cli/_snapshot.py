"""`agt snapshot compare`: two trees of JSON snapshots, control's and the candidate's."""

import time
from pathlib import Path
from typing import Annotated

import typer

from agt.supervisor.cli._options import Json, print_json
from agt.supervisor.cli._parity import rule_for_this_run

app = typer.Typer(help="Snapshots.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def snapshot() -> None:
    """Look at snapshots."""


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
