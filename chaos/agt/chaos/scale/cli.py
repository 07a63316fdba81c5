"""`agt chaos kill` and `agt chaos move`: what a kill and a move do to devices in numbers, on this machine, now."""

import sys
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import typer

from agt.chaos.demo._folder import FolderUnusable, run_folder
from agt.chaos.demo._names import DEVICES_MAX
from agt.chaos.scale._kill import KillFigures, KillWork, kill_devices
from agt.chaos.scale._move import KINDS, MoveFigures, MoveWork, move_devices
from agt.chaos.scale._stage import GATEWAYS_MAX, StageFailed

SHOWN_MAX = 20
"""Violations that are spelt out."""
KeepDir = Annotated[
    Path | None, typer.Option("--keep", "--run-dir", metavar="DIR", help="Run in this directory and keep its logs.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option("--seed", min=0, metavar="S", help="Seed of traffic and faults.")]


def kill(
    devices: Annotated[int, typer.Option("--devices", min=2, max=DEVICES_MAX, metavar="N")] = 10_000,
    gateways: Annotated[int, typer.Option("--gateways", min=1, max=GATEWAYS_MAX, metavar="N")] = 2,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=100, help="Kills; medians are shown.")] = 5,
    rate: Annotated[float, typer.Option("--rate", min=0, metavar="PER_SECOND", help="Commands, all devices.")] = 1000.0,
    seed: Seed = 1,
    run_dir: KeepDir = None,
    as_json: AsJson = False,
) -> None:
    """Kill a fleet of real devices on several real gateways, again and again, and measure each kill.

    Exit status 1 when a kill took longer than promised (routed 1 s, settled 5 s), or a message isn't accounted for.
    """
    work = KillWork(devices=devices, gateways=gateways, rounds=rounds, rate=rate, seed=seed)
    try:
        with run_folder(run_dir, fresh=True) as folder:
            folder.keep, asked = True, folder.keep  # Whoever fails wants to read the logs.
            figures = anyio.run(kill_devices, work, folder.path, _progress)
            good = figures.within_goals and figures.accounted
            folder.keep = asked or not good
            _show_kill(figures, as_json=as_json)
            if folder.keep:
                typer.echo(f"the run's logs are in {folder.path}", err=True)
    except (FolderUnusable, StageFailed) as problem:
        typer.echo(f"agt chaos kill: {problem}", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(0 if good else 1)


def move(
    devices: Annotated[int, typer.Option("--devices", min=len(KINDS), max=DEVICES_MAX, metavar="N")] = 1000,
    gateways: Annotated[int, typer.Option("--gateways", min=1, max=GATEWAYS_MAX, metavar="N")] = 2,
    rate: Annotated[float, typer.Option("--rate", min=0, metavar="PER_SECOND", help="Commands, all devices.")] = 300.0,
    seed: Seed = 1,
    storms: Annotated[bool, typer.Option("--storms", help="Cut every connection at once now and then, too.")] = False,
    run_dir: KeepDir = None,
    as_json: AsJson = False,
) -> None:
    """Move a fleet of real devices from 0 to 100 to 0 percent, under load, while frames are dropped, delayed and cut.

    Exit status 1 when anything went wrong with a message that the barrier of its wire doesn't allow, or more than the
    previews said.
    """
    work = MoveWork(devices=devices, gateways=gateways, rate=rate, seed=seed, storms=storms)
    try:
        with run_folder(run_dir, fresh=True) as folder:
            folder.keep, asked = True, folder.keep  # Whoever fails wants to read the logs.
            figures = anyio.run(move_devices, work, folder.path, _progress)
            folder.keep = asked or bool(figures.problems)
            _show_move(figures, as_json=as_json)
            if folder.keep:
                typer.echo(f"the run's logs are in {folder.path}", err=True)
    except (FolderUnusable, StageFailed) as problem:
        typer.echo(f"agt chaos move: {problem}", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(1 if figures.problems else 0)


def _show_move(figures: MoveFigures, *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(figures), indent=2).decode())
    else:
        struck = ", ".join(f"{kind} {times:,}" for kind, times in sorted(figures.struck.items()))
        typer.echo(
            f"{figures.devices:,} devices, {figures.rate:g} commands/s, seed {figures.seed}, {figures.seconds:.0f} s; "
            f"frames struck: {struck}"
        )
        for one in figures.moves:
            typer.echo(
                f"  {one.percentage:5.1f} %  moved {one.moved:,} of {one.previewed:,} previewed, "
                f"{one.announced} announced, {one.resent} sent again, {one.indeterminate} indeterminate, "
                f"{one.unconfirmed} unconfirmed, "
                f"settled in {one.settled_ms:,.0f} ms"
            )
        for barrier, tally in figures.barriers.items():
            numbers = ", ".join(f"{name} {value}" for name, value in msgspec.to_builtins(tally.counts).items())
            typer.echo(f"  {barrier}: {numbers}; allowed {len(tally.allowed)}, of these at turns {tally.at_turns}")
    for line in figures.problems[:SHOWN_MAX]:
        typer.echo(f"agt chaos move: {line}", err=True)


def _show_kill(figures: KillFigures, *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(figures), indent=2).decode())
    else:
        typer.echo(
            f"{figures.devices:,} devices, {figures.connections:,} connections, {figures.gateways} gateways, "
            f"{figures.rate:g} commands/s, {len(figures.rounds)} kills"
        )
        typer.echo(f"routed   median {_ms(figures.routed_ms)}, worst {_ms(figures.routed_ms_worst)} (goal 1,000 ms)")
        typer.echo(f"settled  median {_ms(figures.settled_ms)}, worst {_ms(figures.settled_ms_worst)} (goal 5,000 ms)")
        for role, counts in figures.messages.items():
            numbers = ", ".join(f"{name} {value}" for name, value in msgspec.to_builtins(counts).items())
            typer.echo(f"{role}: {numbers}")
    for line in (*figures.violations, *figures.disagreements)[:SHOWN_MAX]:
        typer.echo(f"agt chaos kill: {line}", err=True)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms"


def _progress(step: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{step}")
        sys.stderr.flush()
    else:
        typer.echo(step, err=True)
