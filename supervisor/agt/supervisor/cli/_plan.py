"""`agt plan check`, `show` and `schema`: a plan before it is run; `complete` is for afterwards."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agt.supervisor.cli._complete import complete
from agt.supervisor.cli._options import Json, print_json

if TYPE_CHECKING:
    from agt.supervisor.rollout import Plan

app = typer.Typer(
    help="Look at a plan before it runs, and at what can go after it.", no_args_is_help=True, rich_markup_mode=None
)

app.command()(complete)
PlanPath = Annotated[Path, typer.Argument(metavar="PLAN", help="A plan file (TOML).")]


@app.command()
def check(plan: PlanPath, json: Json = False) -> None:
    """Report everything that is wrong with a plan, with its place and the nearest valid name."""
    from agt.supervisor.rollout import PlanInvalid, load_plan  # noqa: PLC0415 - only these commands pay for it.

    try:
        loaded = load_plan(plan)
    except PlanInvalid as error:
        if not json:
            raise
        print_json({"plan": str(plan), "ok": False, "problems": [str(problem) for problem in error.problems]})
        raise typer.Exit(1) from None
    remarks = [str(one) for one in loaded.remarks]
    if json:
        print_json({"plan": str(plan), "ok": True, "problems": [], "warnings": remarks})
        return
    for remark in remarks:
        typer.echo(f"{plan}: warning: {remark}")
    typer.echo(f"{plan}: {loaded.name} is sound: {_counts(loaded)}")


@app.command()
def show(
    plan: PlanPath,
    squeeze: Annotated[
        float | None, typer.Option("--squeeze", metavar="N", help="As it runs so many times faster. [default: 1]")
    ] = None,
    duration: Annotated[
        str, typer.Option("--duration", metavar="3m", help="As it runs when it is fitted into this long.")
    ] = "",
    json: Json = False,
) -> None:
    """Show a plan: phases with soak, gates and way back, rules, checks, processes, and how alpha is split."""
    from agt.supervisor.rollout import load_plan, parse_duration, summary_lines, summary_of  # noqa: PLC0415 - as above.

    loaded = load_plan(plan)
    if squeeze is not None and duration:
        raise typer.BadParameter("give one of --squeeze and --duration.")
    try:
        if duration:
            squeeze = loaded.factor_for(parse_duration(duration))
        found = summary_of(loaded.squeezed(1.0 if squeeze is None else squeeze))
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from None
    if json:
        print_json(found)
    else:
        typer.echo("\n".join(summary_lines(found)))


@app.command()
def schema(
    selector: Annotated[bool, typer.Option("--selector", help="Of the selector file instead.")] = False,
) -> None:
    """Print the JSON Schema of plans, or of selectors, for editors that complete and check."""
    from agt.router.schemas import schema_of, selector_schema  # noqa: PLC0415 - as above.
    from agt.supervisor.rollout import PlanFile  # noqa: PLC0415 - as above.

    print_json(selector_schema() if selector else schema_of(PlanFile, title="agt plan"))


def _counts(plan: "Plan") -> str:
    kinds = {"phase": plan.phases, "rule": plan.rules, "component": plan.components}
    return ", ".join(f"{len(found)} {kind}{'s' * (len(found) != 1)}" for kind, found in kinds.items())
