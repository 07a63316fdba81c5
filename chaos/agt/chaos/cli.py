"""`agt chaos`: break it on purpose and see that nothing is lost."""

from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import typer

from agt.chaos.scale.cli import kill, move
from agt.chaos.scenario import (
    SCENARIOS,
    ScenarioInvalid,
    Verdict,
    find_scenario,
    junit_xml,
    load_scenario,
    run_scenario,
)
from agt.chaos.sim.cli import sim
from agt.chaos.trials.cli import trials

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def chaos() -> None:
    """Break it on purpose: scenarios on real sockets and processes, simulated worlds, simulated rollouts."""


app.command()(sim)
app.command()(kill)
app.command()(move)
app.command()(trials)


@app.command()
def run(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE...", help="Scenario files, or names of ours. [default: all ours]"),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="S", help="Instead of the scenarios' own.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write a JUnit report.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run scenarios, one after the other; exit status 1 when one fails."""
    names = files or sorted(path.stem for path in SCENARIOS.glob("*.toml"))
    try:
        loaded = [(name, load_scenario(find_scenario(name))) for name in names]
    except ScenarioInvalid as problem:
        raise typer.BadParameter(str(problem)) from problem
    verdicts: list[Verdict] = []
    for name, scenario in loaded:
        verdict = anyio.run(partial(run_scenario, scenario, source=name, seed=seed))
        verdicts.append(verdict)
        if not json:
            _show(verdict)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode({"scenarios": verdicts}), indent=2).decode())
    if junit is not None:
        junit.write_bytes(junit_xml(verdicts))
    raise typer.Exit(0 if all(verdict.passed for verdict in verdicts) else 1)


@app.command("list")
def list_scenarios() -> None:
    """List the scenarios that come with the package."""
    for path in sorted(SCENARIOS.glob("*.toml")):
        typer.echo(f"{path.stem:<22} {load_scenario(path).says}")


def _show(verdict: Verdict) -> None:
    counts = verdict.counts
    typer.echo(
        f"{'ok    ' if verdict.passed else 'FAILED'} {verdict.scenario:<22} {verdict.seconds:5.1f} s  "
        f"sent {counts.sent}, delivered {counts.delivered}, indeterminate {counts.indeterminate}, "
        f"retransmits {counts.retransmits}, struck {sum(verdict.struck.values())}, kills {verdict.kills}"
    )
    if not verdict.passed:
        for problem in verdict.problems:
            typer.echo(f"       {problem}", err=True)
        typer.echo(f"       replay: {verdict.replay}", err=True)
