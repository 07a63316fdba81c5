"""`agt parity`: two runtimes' listings compared, from the command line or a file; no supervisor is asked."""

import datetime
import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import anyio
import typer

from agt.supervisor.cli._options import Json, print_json

if TYPE_CHECKING:
    from agt.router.parity import IgnoreRule, ParityResult, Projection, SourceSpec

AT_ONCE = 8
"""Projections of a file that are compared at the same time."""
SOURCE_HELP = (
    "cmd:COMMAND, unix:PATH?send=LINE, tcp:HOST:PORT?send=LINE, http://..., http+unix:PATH?path=/P, file:PATH "
    "or function:MODULE:NAME."
)

FileArgument = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="A parity file (TOML) with [[projection]] tables.")
]
Control = Annotated[str, typer.Option("--control", metavar="SOURCE", help=f"Control's listing: {SOURCE_HELP}")]
Candidate = Annotated[str, typer.Option("--candidate", metavar="SOURCE", help="The candidate's, the same way.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(parity)


class _Job(NamedTuple):
    """One projection and its two sides."""

    projection: "Projection"
    control: "SourceSpec"
    candidate: "SourceSpec"


def parity(
    file: FileArgument = None,
    *,
    control: Control = "",
    candidate: Candidate = "",
    key: Annotated[str, typer.Option("--key", metavar="FIELDS", help="Fields that name a row: id, or a,b.")] = "",
    fields: Annotated[
        str, typer.Option("--fields", metavar="FIELDS", help="Fields that must be the same. [default: the whole row]")
    ] = "",
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="FIELD", help="Ignore a field in this run; repeatable.")
    ] = None,
    rows: Annotated[str, typer.Option("--rows", metavar="PATH", help="Where the rows stand in the answer.")] = "",
    ordered: Annotated[bool, typer.Option("--ordered", help="The order of rows counts.")] = False,
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="Nothing on both sides is equal.")] = False,
    takes: Annotated[int, typer.Option("--takes", min=1, help="Takes that a difference must stand in.")] = 3,
    every: Annotated[str, typer.Option("--every", metavar="TIME", help="Between takes.")] = "1s",
    settle: Annotated[str, typer.Option("--settle", metavar="TIME", help="How long a difference must stand.")] = "",
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="Longest wait for an answer.")] = "10s",
    only: Annotated[str, typer.Option("--only", metavar="NAME", help="One projection of the file.")] = "",
    json: Json = False,
) -> None:
    """Compare two runtimes' listings by key and fields; 0 when they agree, 1 when not."""
    if file is not None:
        if control or candidate or key or fields or rows or ignore:
            raise typer.BadParameter("with a FILE, sources and fields stand in the file.")
        jobs, base = _from_file(file, only), file.parent
    else:
        settings: dict[str, Any] = {
            "name": rows.rpartition(".")[2] or "projection",
            "key": _split(key),
            "fields": _split(fields),
            "rows": rows,
            "ordered": ordered,
            "allow_empty": allow_empty,
            "takes": takes,
            "every_s": _seconds("--every", every),
            "settle_s": _seconds("--settle", settle or "0s"),
            "ignore": tuple(rule_for_this_run(field) for field in ignore or ()),
        }
        jobs, base = [_from_options(control, candidate, settings, _seconds("--timeout", timeout))], Path()
    results = anyio.run(_compare_all, jobs, base)
    _print(results, json=json)
    if any(result.verdict != "passed" for result in results):
        raise typer.Exit(1)


def _from_file(path: Path, only: str) -> list[_Job]:
    from agt.router.parity import load_parity  # noqa: PLC0415 - only this command pays for it.

    named = load_parity(path)
    jobs = [_Job(one.projection, one.control, one.candidate) for one in named]
    chosen = [job for job in jobs if not only or job.projection.name == only]
    if not chosen:
        there = ", ".join(job.projection.name for job in jobs)
        raise typer.BadParameter(f"{path} has no projection {only}; there are {there}.")
    return chosen


def _from_options(control: str, candidate: str, settings: dict[str, Any], timeout_s: float) -> _Job:
    import msgspec  # noqa: PLC0415 - as above.

    from agt.router.parity import Projection, check_projection  # noqa: PLC0415 - as above.

    if not control or not candidate or not settings["key"]:
        raise typer.BadParameter("name a FILE, or --control, --candidate and --key.")
    try:
        projection = msgspec.convert(settings, Projection)
    except msgspec.ValidationError as error:
        raise typer.BadParameter(f"{error}.") from None
    problem = next(check_projection(projection), None)
    if problem is not None:
        raise typer.BadParameter(f"{problem}.")
    return _Job(projection, _source("--control", control, timeout_s), _source("--candidate", candidate, timeout_s))


def _source(option: str, text: str, timeout_s: float) -> "SourceSpec":
    import msgspec  # noqa: PLC0415 - as above.

    from agt.router.parity import parse_source  # noqa: PLC0415 - as above.

    try:
        return msgspec.structs.replace(parse_source(text), timeout_s=timeout_s)
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}.") from None


async def _compare_all(jobs: list[_Job], base: Path) -> "list[ParityResult]":
    from agt.router.parity import ParityResult, check_parity, make_source  # noqa: PLC0415 - as above.

    results: dict[int, ParityResult] = {}
    limiter = anyio.CapacityLimiter(AT_ONCE)
    sides = [(make_source(job.control, base=base), make_source(job.candidate, base=base)) for job in jobs]

    async def compare(number: int) -> None:
        async with limiter:
            results[number] = await check_parity(jobs[number].projection, *sides[number], on_take=_progress)

    async with anyio.create_task_group() as tasks:
        for number in range(len(jobs)):
            tasks.start_soon(compare, number)
    return [results[number] for number in range(len(jobs))]


def _progress(result: "ParityResult") -> None:
    typer.echo(f"{result.name}: take {result.takes}: {result.reason}", err=True)


def _print(results: "list[ParityResult]", *, json: bool) -> None:
    from agt.router.parity import parity_lines, worst_of  # noqa: PLC0415 - as above.

    if json:
        print_json({"verdict": worst_of(result.verdict for result in results), "projections": results})
        return
    typer.echo("\n\n".join("\n".join(parity_lines(result)) for result in results))


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _seconds(option: str, text: str) -> float:
    from agt.supervisor.rollout import parse_duration  # noqa: PLC0415 - as above.

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}.") from None


def rule_for_this_run(field: str) -> "IgnoreRule":
    """Return a rule for this run alone: whoever types it answers for it, and it ends tomorrow."""
    from agt.router.parity import IgnoreRule  # noqa: PLC0415 - as above.

    try:
        owner = getpass.getuser()
    except (OSError, KeyError):
        owner = "command line"
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    return IgnoreRule(field=field, owner=owner, reason="given on the command line", expires=ends)
