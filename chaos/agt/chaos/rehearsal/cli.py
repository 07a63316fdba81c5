"""`agt rehearse PLAN`: a whole plan in virtual time, on made traffic, with chosen faults."""

import sys
import time
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from agt.chaos.rehearsal._causes import load_causes
from agt.chaos.rehearsal._rates import RateUnknown, rate_of
from agt.chaos.rehearsal._rehearse import Injection, Rehearsal, Rehearsed
from agt.chaos.rehearsal._world import World
from agt.supervisor.rollout import Plan, PlanInvalid, format_duration, load_plan

PROGRESS_S: Final = 3.0
"""How often long work says how far it is."""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def rehearse(
    file: Annotated[Path | None, typer.Argument(metavar="PLAN", help="The plan file.", show_default=False)] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME[@PHASE]", help="What goes wrong, half-way through a phase; repeatable."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0, max=1e6, metavar="R", help="Messages a second. [default: 100]")
    ] = None,
    capture: Annotated[
        Path | None, typer.Option("--capture", metavar="FILE", help="Take the rate from recorded traffic.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="S", help="Of the traffic's noise.")] = 1,
    faults: Annotated[bool, typer.Option("--faults", help="List what can go wrong, and leave.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Carry a plan out in virtual time: every check, gate and rule as in earnest, months in seconds.

    Without --fault, exit status 0 when the plan comes to its end. With faults, 0 when each was answered by a decision,
    or the plan came to its end all the same.
    """
    if faults:
        _list(as_json=json)
        return
    if file is None:
        raise typer.BadParameter("name a plan file.")
    try:
        plan = load_plan(file)
    except PlanInvalid as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1) from None
    injections = [_injection(plan, one) for one in fault or []]
    try:
        messages = rate_of(capture) if capture is not None and rate is None else rate
    except RateUnknown as problem:
        raise typer.BadParameter(str(problem), param_hint="--capture") from None
    told = Rehearsal(
        plan, injections=injections, rate=100.0 if messages is None else messages, seed=seed, progress=_Progress()
    ).run()
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    else:
        _show(told)
    answered = len(told.struck) == len(injections) and all(one.reaction for one in told.struck)
    raise typer.Exit(0 if told.complete or (injections and answered) else 1)


def _injection(plan: Plan, text: str) -> Injection:
    name, _, phase = text.partition("@")
    known = load_causes()
    if name not in known:
        raise typer.BadParameter(f"nothing that can go wrong is called {name!r}: agt rehearse --faults lists them")
    cause = known[name]
    carrying = [one.name for one in plan.phases if one.route.sends]
    if phase and plan.index(phase) is None:
        raise typer.BadParameter(
            f"{plan.name} has no phase {phase!r}, but {', '.join(one.name for one in plan.phases)}"
        )
    return Injection(cause, phase or (carrying or [plan.phases[0].name])[0])


def _list(*, as_json: bool) -> None:
    causes = load_causes().values()
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(list(causes)), indent=2).decode())
        return
    for cause in causes:
        typer.echo(f"{cause.name:<38} {cause.blame:<12} {cause.says}")


def _show(told: Rehearsed) -> None:
    for one in told.decisions:
        typer.echo(f"{_since(one.at_s):>12}  {one.kind:<14} {one.says}")
    for struck in told.struck:
        after = (
            "no decision while it stood"
            if struck.after_s is None
            else f"{struck.reaction} after {struck.after_s:,.0f} s"
        )
        typer.echo(f"fault {struck.cause} in {struck.phase}: {after}")
    typer.echo(
        f"{told.plan}: {told.status} in {told.phase} after {_since(told.took_s)}, {told.checks:,} checks"
        f"{f'; {told.reason}' if told.reason else ''}"
    )
    if not told.complete:
        for gate in told.gates:
            typer.echo(f"  {gate['verdict']!s:<13} {gate['name']}: {gate['reason']}")


def _since(seconds: float) -> str:
    return format_duration(seconds) if seconds >= 1 else "0s"


class _Progress:
    """Says on stderr how far a long rehearsal is."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, world: World) -> None:
        now = time.monotonic()
        if now - self._said >= PROGRESS_S:
            self._said = now
            sys.stderr.write(f"{_since(world.elapsed_s)} rehearsed, in {world.phase}\n")
