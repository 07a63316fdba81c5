"""`agt demo`: a whole migration of a simulated fleet, headless or served for a screen.

With `--headless` it runs to its end and prints what became of every message; with `--serve` it becomes the supervisor
of a run directory, which a screen attaches to.
"""

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import msgspec
import typer

from agt.chaos.demo._fault_spec import FORMS, FaultSpec, WrongFault, parse_faults
from agt.chaos.demo._folder import FolderUnusable, RunFolder, run_folder
from agt.chaos.demo._lent import playable, rate_for
from agt.chaos.demo._names import fleet_names
from agt.chaos.demo._supervised import DemoFailed, EndedEarly, Options
from agt.supervisor.rollout import Plan, load_plan, parse_duration

if TYPE_CHECKING:
    from agt.chaos.demo.headless import Outcome

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

VIOLATIONS_SHOWN = 20
DEVICES = 50
COMMANDS_PER_DEVICE = 5
"""A second; this and the number of devices, when nobody says."""
RATE_MAX = 20_000.0
"""More commands a second than this one process of sources doesn't think of."""
FAULT_HELP = f"KIND:TARGET[:AMOUNT]@PHASE, may be repeated; kinds: {', '.join(FORMS)}."


@app.command()
def demo(
    headless: Annotated[bool, typer.Option("--headless", help="Run to the end without a screen, then report.")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Serve a demo for `agt-tui` until told to go down.")] = False,
    duration: Annotated[
        str, typer.Option("--duration", metavar="TIME", help="Squeeze the whole plan into this time.")
    ] = "3m",
    devices: Annotated[
        int | None,
        typer.Option("--devices", metavar="N", help="Size of the simulated fleet; 50, and more for a busier plan."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", metavar="PER_SECOND", min=0, help="Commands a second over all devices.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Seed of traffic and faults.")] = 1,
    fault: Annotated[list[str] | None, typer.Option("--fault", metavar="F", help=FAULT_HELP)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    run_dir: Annotated[
        Path | None, typer.Option("--keep", "--run-dir", metavar="DIR", help="Run in this directory and keep its logs.")
    ] = None,
    plan: Annotated[Path | None, typer.Option("--plan", metavar="FILE", help="Another plan than the demo's.")] = None,
) -> None:
    """Carry a whole migration of a simulated fleet through, with real sockets and processes."""
    if headless == serve:
        raise typer.BadParameter("give --headless or --serve; to watch a demo, run `agt-tui --demo`")
    chosen = (plan or demo_plan()).absolute()
    loaded, duration_s = _checked(chosen, duration, devices, rate)
    try:
        faults = parse_faults(fault or [], phases=[phase.name for phase in loaded.phases])
    except WrongFault as problem:
        raise typer.BadParameter(str(problem)) from problem
    with _folder(run_dir, fresh=headless) as folder:
        size, rate = _crowd(loaded, devices, rate, duration_s)
        options = Options(
            plan=playable(loaded, chosen, folder.path),
            run_dir=folder.path,
            duration=duration,
            devices=size,
            rate=rate,
            seed=seed,
            allow_loss=any(spec.kind == "lose" for spec in faults),
        )
        if serve:
            folder.keep = True
            os.execvpe(options.command[0], options.command, options.environment)  # noqa: S606  # We become it.
        raise typer.Exit(_run(options, loaded, faults, folder, duration_s=duration_s, as_json=json))


def _crowd(plan: Plan, devices: int | None, rate: float | None, duration_s: float) -> tuple[int, float | None]:
    """Return how many devices there are and how fast commands come, where nobody says.

    The demo's own plans leave that to their fleet; somebody's own asks for as many samples as weeks bring.
    """
    if plan.components:
        return DEVICES if devices is None else devices, rate
    if rate is None:
        rate = max(
            rate_for(plan.squeezed(plan.factor_for(duration_s))),
            COMMANDS_PER_DEVICE * (DEVICES if devices is None else devices),
        )
    return devices or max(DEVICES, math.ceil(rate / COMMANDS_PER_DEVICE)), rate


def demo_plan() -> Path:
    """Find the demo's plan: beside the packages in a checkout, or installed with them.

    Raises:
        typer.BadParameter: when it is in neither place.
    """
    here = Path(__file__).resolve()
    for folder in (here.parents[4] / "plans", here.parents[1] / "plans"):
        if (folder / "demo.toml").is_file():
            return folder / "demo.toml"
    raise typer.BadParameter("the demo's plan was not found; name one with --plan plans/demo.toml")


@contextmanager
def _folder(given: Path | None, *, fresh: bool) -> Iterator[RunFolder]:
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(run_folder(given, fresh=fresh))
        except FolderUnusable as problem:
            raise typer.BadParameter(f"{problem}.") from problem
        yield folder


def _checked(path: Path, duration: str, devices: int | None, rate: float | None) -> tuple[Plan, float]:
    """Read the plan and check the numbers before anything is started."""
    loaded = load_plan(path)
    if rate is not None and not rate <= RATE_MAX:
        raise typer.BadParameter(f"{rate:g} commands a second can't be simulated; choose 0 to {RATE_MAX:g}.")
    try:
        fleet_names(DEVICES if devices is None else devices)
        duration_s = parse_duration(duration)
        loaded.factor_for(duration_s)
    except ValueError as problem:
        raise typer.BadParameter(f"{problem}.") from problem
    return loaded, duration_s


def _run(
    options: Options, plan: Plan, faults: tuple[FaultSpec, ...], folder: RunFolder, *, duration_s: float, as_json: bool
) -> int:
    from agt.chaos.demo.headless import HeadlessRun, until_told  # noqa: PLC0415  # httpx: only this way pays for it.

    try:
        outcome = anyio.run(until_told, HeadlessRun(options, plan, faults, duration_s=duration_s))
    except DemoFailed as problem:
        folder.keep = folder.keep or not isinstance(problem, EndedEarly)
        typer.echo(f"agt demo: {problem}", err=True)
        return 1
    folder.keep = folder.keep or bool(outcome.shortcomings)
    _show(outcome, as_json=as_json)
    if folder.keep:
        typer.echo(f"the run's logs are in {folder.path}", err=True)
    return 1 if outcome.shortcomings else 0


def _show(outcome: "Outcome", *, as_json: bool) -> None:
    report = outcome.report
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        typer.echo(f"{report.plan}: {report.final_phase}, squeezed {report.squeeze:g} times, seed {report.seed}")
        for phase in report.phases:
            share = "-" if phase.share is None else f"{100 * phase.share:.1f} %"
            typer.echo(f"  {phase.entered_s:6.1f} s  {phase.name:<14} {phase.verdict:<13} candidate carried {share}")
        for role, counts in report.messages.items():
            numbers = ", ".join(f"{name} {value}" for name, value in msgspec.to_builtins(counts).items())
            typer.echo(f"  {role}: {numbers}")
        typer.echo(f"  the ledger {'agrees' if report.ledger_agrees else 'DISAGREES'}")
    details = [f"{v.check}: {v.device} #{v.number}: {v.says}" for v in outcome.finding.violations]
    details += outcome.finding.disagreements
    for line in (*outcome.notes, *details[:VIOLATIONS_SHOWN], *outcome.shortcomings):
        typer.echo(f"agt demo: {line}", err=True)


def main() -> None:
    """Run as `python -m agt.chaos.demo`."""
    app()
