"""`agt chaos sim`: live through simulated worlds, one seed to look at or many to trust.

Also the module's own door, `python -m agt.chaos.sim`, for where only the library is installed with `typer`.
"""

import sys
import time
from typing import Annotated, Final

import msgspec
import typer

from agt.chaos.sim._kinds import KINDS, Kind
from agt.chaos.sim._profile import UnknownField, with_overrides
from agt.chaos.sim._report import Report
from agt.chaos.sim._runner import Run, run_seeds

PROGRESS_S: Final = 5.0
"""How often long work says how far it is."""


def sim(
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="S", help="The first seed.")] = 0,
    seeds: Annotated[int, typer.Option("--seeds", min=1, metavar="N", help="How many seeds from there.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=256, metavar="J", help="Processes that share them.")] = 1,
    world: Annotated[
        str, typer.Option("--world", metavar="KIND", help="`links`, or `router`: a gateway that moves devices.")
    ] = "links",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set a field of the profile, e.g. drop=0; may be repeated."),
    ] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Print everything that happened (one seed).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Live through simulated worlds: a seed chooses hosts, faults and traffic, and the same seed shows the same run.

    Exit status 1 when a promise was broken; each such seed comes with the command that shows it again.
    """
    if trace and seeds > 1:
        raise typer.BadParameter("--trace shows one seed: leave --seeds out")
    if world not in KINDS:
        raise typer.BadParameter(f"--world: there are {' and '.join(KINDS)}, not {world!r}")
    kind = KINDS[world]
    overrides = _parsed(settings or [], kind)
    if seeds == 1:
        report = kind.run(seed, with_overrides(kind.draw(seed), overrides), overrides=overrides)
        _show_one(report, trace=trace, as_json=as_json)
        raise typer.Exit(1 if report.broken else 0)
    run = run_seeds(seed, seeds, jobs=jobs, overrides=overrides, kind=world, progress=_Progress(seeds))
    _show_many(run, as_json=as_json)
    raise typer.Exit(1 if run.tally.broken_seeds else 0)


def _parsed(settings: list[str], kind: Kind) -> dict[str, str]:
    overrides: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set {setting}: write NAME=VALUE")
        overrides[name.strip()] = value.strip()
    try:
        with_overrides(kind.draw(0), overrides)
    except (UnknownField, msgspec.ValidationError) as error:
        raise typer.BadParameter(f"--set: {error}") from error
    return overrides


def _show_one(report: Report, *, trace: bool, as_json: bool) -> None:
    if as_json:
        plain = msgspec.to_builtins(report)
        if not trace:
            del plain["trace"]
        plain["replay"] = report.replay
        typer.echo(msgspec.json.format(msgspec.json.encode(plain), indent=2))
        return
    if trace:
        typer.echo("\n".join(report.trace))
    typer.echo(report.summary())


def _show_many(run: Run, *, as_json: bool) -> None:
    tally = run.tally
    if as_json:
        plain = {
            "first_seed": run.first_seed,
            "jobs": run.jobs,
            "seconds": round(run.seconds, 3),
            "events_per_s": round(run.events_per_s),
            "seeds_per_s": round(run.seeds_per_s, 1),
            **msgspec.to_builtins(tally),
        }
        typer.echo(msgspec.json.format(msgspec.json.encode(plain), indent=2))
        return
    for broken in tally.broken:
        typer.echo(f"seed {broken.seed}: BROKEN: {broken.promise}\n  replay: {broken.replay}")
    if tally.broken_seeds > len(tally.broken):
        typer.echo(f"... and {tally.broken_seeds - len(tally.broken)} more")
    told = ", ".join(f"{count:,} {word}" for word, count in tally.outcomes.items())
    typer.echo(
        f"{tally.seeds:,} seeds, {tally.broken_seeds} broken; messages: {told}\n"
        f"{tally.events:,} events, {tally.virtual_s / 3600:.1f} virtual hours in {run.seconds:.1f} s"
        f" ({run.events_per_s:,.0f} events and {run.seeds_per_s:,.0f} seeds a second)"
    )


class _Progress:
    """Says on stderr how far a long run is."""

    def __init__(self, seeds: int) -> None:
        self._seeds = seeds
        self._said_at = time.monotonic()

    def __call__(self, run: Run) -> None:
        now = time.monotonic()
        if now - self._said_at < PROGRESS_S:
            return
        self._said_at = now
        left_s = (self._seeds - run.tally.seeds) / run.seeds_per_s
        sys.stderr.write(
            f"{run.tally.seeds:,} of {self._seeds:,} seeds, {run.tally.broken_seeds} broken,"
            f" {run.events_per_s:,.0f} events a second, about {left_s:.0f} s left\n"
        )
