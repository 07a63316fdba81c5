"""The kill switch from the command line: works with the supervisor dead, the store full, the selector unreadable.

`on` asks the supervisor first, since that one knows every router. When it doesn't answer, or can't, the command does
the same itself: it tells every router that it finds in the run directory, all at once, and takes the selector file
away, which is the latch. Either alone is enough; it says what it did, and which router has not confirmed.
"""

import time
from typing import Annotated, Final

import msgspec
import typer

from agt.supervisor._answers import missing, redial_in_words, slowest
from agt.supervisor._errors import SupervisorError
from agt.supervisor._request import Control, NoAnswer
from agt.supervisor._routers import find_routers
from agt.supervisor._rundir import RunDirectory
from agt.supervisor._tell import settle_all, tell_all
from agt.supervisor.actions import Refused
from agt.supervisor.cli._options import By, Json, Reason, RunDir, action, control, print_json, run_directory
from agt.supervisor.view import RouterAnswer

ASK_TIMEOUT_S: Final = 3.0
"""A supervisor that is stuck must not hold up a kill."""
ROUTER_TIMEOUT_S: Final = 3.0
SETTLE_WITHIN_S: Final = 6.0
"""How long `on` waits for what is in flight to be answered or decided; the kill stands long before that."""


class KillReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `kill-switch` did or found."""

    kill_switch: bool
    """Whether it is on now."""
    says: str
    by_supervisor: bool = False
    routers: dict[str, bool] = {}
    """Which routers confirmed, by socket."""
    missing: dict[str, str] = {}
    """Why the others have not, by socket."""
    slowest: str = ""
    """The router that confirmed last."""
    selector_taken: bool = False
    """Whether the selector file is out of the way."""
    routed_ms: float | None = None
    """Milliseconds from the order to the last router's confirmation, missing ones aside; None when none confirmed."""
    settled_ms: float | None = None
    """Milliseconds until everything on the way there was answered or decided; None when that can't be said yet."""
    redial: int = 0
    """Devices that have to dial before control can carry them."""
    redial_per_s: float | None = None
    """How many of these are taken in each second; None when nobody has to dial, or a router doesn't say."""
    answers: tuple[RouterAnswer, ...] = ()
    """What each router said."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("kill-switch")(kill_switch)


def kill_switch(
    what: Annotated[str, typer.Argument(metavar="on|off|status")],
    reason: Reason = "",
    by: By = "",
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until what is in flight has been answered or decided.")
    ] = True,
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Send everything to control at once and keep it there (on), end that (off), or say how it stands (status)."""
    if what == "on":
        report = _on(control(run_dir), run_directory(run_dir), by, reason, wait=wait, aloud=not json)
    elif what == "off":
        report = _off(control(run_dir), by, reason)
    elif what == "status":
        report = _status(run_directory(run_dir))
    else:
        raise typer.BadParameter(f"{what!r} is none of on, off, status.")
    if json:
        print_json(report)
    elif what != "on":
        typer.echo(report.says)
    if what == "on" and not report.kill_switch:
        raise typer.Exit(1)


def _on(api: Control, run: RunDirectory, by: str, reason: str, *, wait: bool, aloud: bool) -> KillReport:
    began = time.monotonic()
    routers = find_routers(run.path)
    try:
        receipt = api.act(action("kill-switch-on", by=by, reason=reason), timeout_s=ASK_TIMEOUT_S)
    except (NoAnswer, Refused) as error:
        report = _on_ourselves(run, str(error))
    else:
        latched = receipt.latched is not False
        report = _with(
            KillReport(kill_switch=True, says=receipt.says, by_supervisor=True, selector_taken=latched), receipt.routers
        )
    if aloud:
        typer.echo("\n".join(kill_lines(report)))
    confirmed = {name: path for name, path in routers.items() if report.routers.get(name)}
    if wait and confirmed:
        settled_ms = settle_all(confirmed, began=began, within_s=SETTLE_WITHIN_S)
        report = msgspec.structs.replace(report, settled_ms=settled_ms)
        if aloud:
            typer.echo("not settled yet" if settled_ms is None else f"settled in {settled_ms:,.0f} ms")
    return report


def kill_lines(report: KillReport) -> list[str]:
    """Write down what is known as soon as the routers have been told; settling comes later."""
    lines = [report.says]
    if report.routed_ms is not None:
        names = [name for name, confirmed in report.routers.items() if confirmed]
        last = f", {report.slowest} last" if len(names) > 1 else ""
        lines.append(f"routed in {report.routed_ms:,.0f} ms: {', '.join(names)} confirmed{last}")
    lines += [f"MISSING {name}: {why}; it follows the latch when it is back" for name, why in report.missing.items()]
    if report.kill_switch and not report.selector_taken:
        lines.append("NOT LATCHED: the selector can't be taken away, so a restarted router would follow it again")
    if redial := redial_in_words(report.answers):
        lines.append(redial)
    return lines


def _on_ourselves(run: RunDirectory, why: str) -> KillReport:
    answers = tell_all(find_routers(run.path), "/kill", timeout_s=ROUTER_TIMEOUT_S)
    latched = _latch(run)
    confirmed = len(answers) - len(missing(answers))
    did = [_confirmed(confirmed, len(answers))] * bool(confirmed) + [f"{run.selector.name} is taken away"] * latched
    if not did:
        sockets = ", ".join(str(run.path / one.router) for one in answers)
        says = f"kill switch is NOT on: no gateway answers on {sockets} and {run.selector} can't be taken away"
    else:
        says = f"kill switch is on, without the supervisor ({why}): {' and '.join(did)}"
    return _with(KillReport(kill_switch=bool(did), says=says, selector_taken=latched), answers)


def _confirmed(count: int, routers: int) -> str:
    return "the gateway confirmed" if routers == 1 else f"{count} of {routers} gateways confirmed"


def _with(report: KillReport, answers: tuple[RouterAnswer, ...]) -> KillReport:
    """Return a report with what the routers said."""
    last = slowest(answers)
    dialled = [one for one in answers if one.redial]
    paces = [one.redial_per_s for one in dialled if one.redial_per_s]
    return msgspec.structs.replace(
        report,
        routers={one.router: one.confirmed for one in answers},
        missing={one.router: one.why for one in missing(answers)},
        slowest=last.router if last else "",
        routed_ms=last.ms if last else None,
        redial=sum(one.redial for one in dialled),
        redial_per_s=sum(paces) if paces and len(paces) == len(dialled) else None,
        answers=answers,
    )


def _latch(run: RunDirectory) -> bool:
    """Take the selector away, or leave the mark that keeps one from being written."""
    from agt.router import SelectorFile  # noqa: PLC0415 - not needed while the supervisor answers.

    return SelectorFile(run.selector).kill()


def _off(api: Control, by: str, reason: str) -> KillReport:
    try:
        version = api.view().version
    except NoAnswer as error:
        raise SupervisorError(
            f"ending a kill goes forward and needs a supervisor, and none answers ({error.why})",
            "start it with `agt up PLAN` first",
        ) from error
    receipt = api.act(action("kill-switch-off", by=by, reason=reason, version=version))
    return KillReport(kill_switch=False, says=receipt.says, by_supervisor=True)


def _status(run: RunDirectory) -> KillReport:
    from agt.router import SelectorFile  # noqa: PLC0415 - as above.

    reading = SelectorFile(run.selector).read()
    killed = reading.state.value == "killed" or bool(reading.selector and reading.selector.runtime.kill_switch)
    says = reading.says or ("kill switch is on (in the selector)" if killed else "kill switch is off")
    return KillReport(kill_switch=killed, says=says, selector_taken=reading.state.value != "ok")
