"""`agt bench`: how fast ours is on this machine, beside limits written by hand."""

import importlib.util
import sys
from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from agt.chaos.bench._idle import raise_file_limit
from agt.chaos.bench._processes import RunVoid
from agt.chaos.bench._result import table
from agt.chaos.bench._run import Effort, run
from agt.chaos.bench.router import _result as router_result
from agt.chaos.bench.router import _run as router_run

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Measure ours beside limits written by hand.")


class Loop(StrEnum):
    """Which event loop carries both ends."""

    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"
    BOTH = "both"


@app.callback()
def bench() -> None:
    """Measure ours beside limits written by hand, in one run on one machine."""


@app.command()
def transport(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a loop, each on a line.")] = False,
    loop: Annotated[Loop, typer.Option(help="Event loop of both ends.")] = Loop.BOTH,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Rounds of every subject; medians are shown.")] = 5,
    connections: Annotated[int, typer.Option(min=0, help="Idle connections to weigh; 0 leaves them out.")] = 10_000,
) -> None:
    """Measure round trips, awaited and batched messages, durable ones, and the weight of an idle connection.

    Exit status: 0 when all was measured, 1 when a run is void, 2 for wrong usage.
    """
    loops = ("asyncio", "uvloop") if loop is Loop.BOTH else (loop.value,)
    if "uvloop" in loops and importlib.util.find_spec("uvloop") is None:
        typer.echo("agt bench: uvloop is missing: pip install 'agt-migrate[speed]', or give --loop asyncio", err=True)
        raise typer.Exit(2)
    allowed = raise_file_limit()
    if connections > allowed:
        typer.echo(
            f"{connections:,} connections need more files than this system allows; weighing {allowed:,}", err=True
        )
    try:
        results = run(loops, Effort(rounds=rounds, connections=min(connections, allowed)), _progress)
    except RunVoid as void:
        typer.echo(f"agt bench: {void}", err=True)
        raise typer.Exit(1) from None
    finally:
        _progress("")
    for result in results:
        typer.echo(msgspec.json.encode(result).decode() if as_json else table(result) + "\n")


@app.command()
def router(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, max=100, help="Rounds of messages; medians are shown.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Know 100,000 devices and send less: a look.")] = False,
) -> None:
    """Measure decisions at a million known devices, their weight, what routing adds to a message, and moves and kills.

    Exit status: 0 when all was measured, goals reached or not, 1 when a run is void, 2 for wrong usage.
    """
    effort = router_run.QUICK if quick else router_run.Effort()
    if rounds is not None:
        effort = replace(effort, rounds=rounds)
    try:
        result = router_run.run(effort, _progress)
    except RunVoid as void:
        typer.echo(f"agt bench: {void}", err=True)
        raise typer.Exit(1) from None
    finally:
        _progress("")
    typer.echo(msgspec.json.encode(result).decode() if as_json else router_result.table(result))


def _progress(step: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{step}")
        sys.stderr.flush()
    elif step:
        typer.echo(step, err=True)
