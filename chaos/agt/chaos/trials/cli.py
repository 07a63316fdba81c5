"""`agt chaos trials`: how often would a plan's rules send back a candidate that is no worse, or find one that is?"""

import os
import sys
import time
from dataclasses import asdict
from typing import Annotated

import msgspec
import typer

from agt.chaos.trials._plan import TrialPlan
from agt.chaos.trials._tally import Tally, run_trials

PROGRESS_S = 5.0
"""How often long work says how far it is."""


def trials(
    plans: Annotated[int, typer.Option("--plans", min=1, metavar="N", help="Rollouts to simulate.")] = 400,
    effect: Annotated[
        float, typer.Option("--effect", min=0, max=1, metavar="D", help="How much more often the candidate fails.")
    ] = 0.0,
    declared: Annotated[
        float, typer.Option("--declared", min=1e-4, max=0.5, metavar="D", help="The effect that the plan declares.")
    ] = 0.01,
    alpha: Annotated[
        float, typer.Option("--alpha", min=1e-6, max=0.4, metavar="A", help="What the whole plan may be wrong.")
    ] = 0.05,
    devices: Annotated[
        int, typer.Option("--devices", min=0, metavar="N", help="In each fleet; 0 draws from 100 to 2,300.")
    ] = 0,
    house: Annotated[
        int, typer.Option("--house", min=1, metavar="N", help="Devices on one line, that fail together.")
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="S", help="The first seed.")] = 1,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, max=256, metavar="J", help="Processes.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Simulate rollouts on fleets of all shapes, with uneven devices and outages, and count what the rules do.

    With --effect 0 (the default) candidate and control are the same, and every rollback is a false one; exit status 1
    when the statistical rule is wrong more often than the plan's alpha allows.
    """
    plan = TrialPlan(alpha=alpha, effect=declared)
    started = time.monotonic()
    tally = run_trials(
        plan,
        trials=plans,
        seed=seed,
        effect=effect,
        devices=devices,
        house_devices=house,
        jobs=jobs or os.cpu_count() or 1,
        progress=_Progress(plans, started),
    )
    seconds = time.monotonic() - started
    if as_json:
        plain = {
            "plan": asdict(plan),
            "effect": effect,
            "seed": seed,
            "devices": devices,
            "house": house,
            "seconds": round(seconds, 1),
            **_figures(tally),
        }
        typer.echo(msgspec.json.format(msgspec.json.encode(plain), indent=2))
    else:
        _show(plan, tally, effect=effect, seconds=seconds)
    raise typer.Exit(1 if effect == 0 and tally.worse_share > alpha else 0)


def _figures(tally: Tally) -> dict[str, float]:
    return {
        **asdict(tally),
        "worse_share": tally.worse_share,
        "worse_high_95": tally.worse_high,
        "literal_share": tally.literal / max(1, tally.trials),
    }


def _show(plan: TrialPlan, tally: Tally, *, effect: float, seconds: float) -> None:
    what = "no worse than control" if effect == 0 else f"failing {effect:.2%} more often"
    phases = tally.trials * len(plan.percents)
    typer.echo(
        f"{tally.trials:,} rollouts of a candidate {what}, in {seconds:.0f} s:\n"
        f"  statistical rule sent back {tally.worse:,} ({tally.worse_share:.2%}, at most {tally.worse_high:.2%}"
        f" with 95 % confidence; alpha {plan.alpha:.2%})\n"
        f"  literal rule (success >= {plan.objective:.1%}, {plan.in_a_row} checks) sent back {tally.literal:,}"
        f" ({tally.literal / max(1, tally.trials):.2%})\n"
        f"  phases shown not worse before their end: {tally.phases_passed:,} of {phases:,}"
    )


class _Progress:
    """Says on stderr how far a long run is."""

    def __init__(self, plans: int, started: float) -> None:
        self._plans, self._started, self._said = plans, started, started

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now - self._said < PROGRESS_S:
            return
        self._said = now
        left_s = (now - self._started) / done * (self._plans - done)
        sys.stderr.write(f"{done:,} of {self._plans:,} rollouts, about {left_s:.0f} s left\n")
