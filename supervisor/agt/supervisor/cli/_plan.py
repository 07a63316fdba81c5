"""`agt plan check`, `show` and `schema`: a plan before it is run; `complete` is for afterwards."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agt.supervisor.cli._complete import complete
from agt.supervisor.cli._options import Json, print_json

if TYPE_CHECKING:
    from agt.supervisor.rollout import Phase, Plan

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
    if json:
        print_json({"plan": str(plan), "ok": True, "problems": []})
    else:
        typer.echo(f"{plan}: {loaded.name} is sound: {_counts(loaded)}")


@app.command()
def show(plan: PlanPath, json: Json = False) -> None:
    """Show a plan: the ladder with its soaks and gates, the rules, the processes."""
    from agt.supervisor.rollout import load_plan  # noqa: PLC0415 - as above.

    loaded = load_plan(plan)
    if json:
        print_json(loaded.file)
    else:
        typer.echo("\n".join(_lines(loaded)))


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


def _lines(plan: "Plan") -> list[str]:
    from agt.supervisor.components import start_order  # noqa: PLC0415 - as above.

    lines = [f"{plan.name}: {plan.control} to {plan.candidate}, checked every {plan.file.checks_every}", "", "phases"]
    lines += [f"  {phase.name}: {phase.route.words}, soak {phase.soak}; {_gates(phase)}" for phase in plan.phases]
    if plan.rules:
        lines += ["", "rules"]
        lines += [f"  {rule.name}: {rule.then} {_where(rule.phases)}" for rule in plan.rules]
    if plan.components:
        lines += ["", "processes"]
        lines += [f"  {spec.stage}: {spec.name}" for spec in start_order(plan.components)]
    return lines


def _gates(phase: "Phase") -> str:
    named = [gate.name or gate.metric or gate.objective or gate.sign_off or "alerts" for gate in phase.gate]
    return ", ".join(named) or "no gates"


def _where(phases: tuple[str, ...]) -> str:
    return f"in {', '.join(phases)}" if phases else "in every phase"
