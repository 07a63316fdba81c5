"""`agt shadow`: what mirrored messages say about the runtime that is tried out; no supervisor is asked.

The gateways know it. With several of them their counts are added up, since together they know sooner.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from agt.supervisor._errors import SupervisorError
from agt.supervisor._request import NoAnswer, request
from agt.supervisor._routers import find_routers
from agt.supervisor.cli._options import Json, RunDir, print_json, run_directory

if TYPE_CHECKING:
    from agt.router.shadow import FieldReport, ShadowReport, TriedReport

TIMEOUT_S: Final = 5.0
SHOWN_FIELDS: Final = 20
SHOWN_EXAMPLES: Final = 2


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(shadow)


def shadow(
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget what was compared so far: after a change of either system.")
    ] = False,
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Say how mirrored messages compare: the verdict, the noise, and differences by field with examples."""
    from agt.router.shadow import merge_reports  # noqa: PLC0415 - only this command pays for it.

    reports, missing = _ask(find_routers(run_directory(run_dir).path), restart=restart)
    if not reports:
        why = "; ".join(f"{name} {said}" for name, said in missing.items())
        raise SupervisorError(f"no gateway answers: {why}", "name its folder with --run-dir, or start it with agt up")
    merged = merge_reports(reports.values())
    if json:
        print_json({"shadow": merged, "routers": sorted(reports), "missing": missing})
        return
    typer.echo("\n".join(shadow_lines(merged)))
    for name, why in missing.items():
        typer.echo(f"not counted: {name}, which {why}")


def _ask(routers: dict[str, Path], *, restart: bool) -> "tuple[dict[str, ShadowReport], dict[str, str]]":
    from agt.router.shadow import ShadowReport  # noqa: PLC0415 - as above.

    reports: dict[str, ShadowReport] = {}
    missing: dict[str, str] = {}
    method, route = ("POST", "/shadow/restart") if restart else ("GET", "/shadow")
    for name, path in routers.items():
        try:
            _, body = request(path, method, route, timeout_s=TIMEOUT_S)
            reports[name] = msgspec.json.decode(body, type=ShadowReport)
        except NoAnswer as error:
            missing[name] = error.why
        except (msgspec.DecodeError, UnicodeDecodeError):
            missing[name] = "doesn't know what a shadow is"
    return reports, missing


def shadow_lines(found: "ShadowReport") -> list[str]:
    """Write a report down for people."""
    lines = [line for tried in found.runtimes for line in _tried_lines(tried)]
    if not found.runtimes:
        lines.append("nothing compared yet")
        if found.decided:
            lines.append("there is no twin for what is mirrored, messages are only decided: see docs/guides/shadow.md")
    mirrored = f"mirrored {found.writes:,} writes and {found.reads:,} reads, {found.decided:,} only decided"
    shed = ", ".join(f"{count:,} {why}" for why, count in found.shed.items())
    lines.append(f"{mirrored}{f'; shed: {shed}' if shed else ''}")
    ended = [f"{found.timed_out:,} timed out"] * bool(found.timed_out) + [f"{found.void:,} void"] * bool(found.void)
    if ended:
        lines.append(f"of these {', '.join(ended)}")
    return [*lines, *(f"! {line}" for line in found.expired)]


def _tried_lines(tried: "TriedReport") -> list[str]:
    floor = "no second control" if tried.floor_rate is None else f"noise {_percent(tried.floor_rate)}"
    return [
        f"{tried.runtime}: {tried.says}",
        f"  {tried.compared:,} compared, {tried.differences:,} differ ({_percent(tried.difference_rate)}), {floor}",
        f"  above the noise {_percent(tried.excess)}, between {_percent(tried.excess_low)} and "
        f"{_percent(tried.excess_high)}",
        f"  {tried.errors:,} errors ({_percent(tried.error_rate)}), {tried.ignored:,} ignored by rules",
        *(line for row in tried.fields[:SHOWN_FIELDS] for line in _field_lines(row)),
        *[f"  and {len(tried.fields) - SHOWN_FIELDS} more fields: --json has them"]
        * (len(tried.fields) > SHOWN_FIELDS),
    ]


def _field_lines(row: "FieldReport") -> list[str]:
    numbers = ""
    if row.mean_delta is not None:
        numbers = f", mean delta {row.mean_delta:.3g}, largest {row.max_delta:.3g}"
    verdict = f" {row.verdict}:" if row.verdict else ""
    return [
        f"  {row.field}:{verdict} {row.differences:,} differ, noise {row.floor_differences:,}, "
        f"{row.ignored:,} ignored{numbers}",
        *(
            f"    {one.device} #{one.number}: {one.carried} carried, {one.tried} tried ({one.path})"
            for one in row.examples[-SHOWN_EXAMPLES:]
        ),
    ]


def _percent(ratio: float | None) -> str:
    return "unknown" if ratio is None else f"{100 * ratio:.2f} %"
