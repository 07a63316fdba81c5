"""The kill switch from the command line: works with the supervisor dead, the store full, the selector unreadable.

`on` asks the supervisor first, since that one knows every router. When it doesn't answer, or can't, the command does
the same itself: it tells the routers on their sockets and takes the selector file away, which is the latch. Either
alone is enough; it says what it did.
"""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from agt.supervisor._errors import SupervisorError
from agt.supervisor._request import Control, NoAnswer, request
from agt.supervisor._rundir import RunDirectory
from agt.supervisor.actions import Refused
from agt.supervisor.cli._options import By, Json, Reason, RunDir, action, control, print_json, run_directory

ASK_TIMEOUT_S = 3.0
"""A supervisor that is stuck must not hold up a kill."""
ROUTER_TIMEOUT_S = 3.0


class KillReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `kill-switch` did or found."""

    kill_switch: bool
    """Whether it is on now."""
    says: str
    by_supervisor: bool = False
    routers: dict[str, bool] = {}
    """Which routers confirmed, by socket."""
    selector_taken: bool = False
    """Whether the selector file is out of the way."""
    routed_ms: float | None = None
    settled_ms: float | None = None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("kill-switch")(kill_switch)


def kill_switch(
    what: Annotated[str, typer.Argument(metavar="on|off|status")],
    reason: Reason = "",
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Send everything to control at once and keep it there (on), end that (off), or say how it stands (status)."""
    if what == "on":
        report = _on(control(run_dir), run_directory(run_dir), by, reason)
    elif what == "off":
        report = _off(control(run_dir), by, reason)
    elif what == "status":
        report = _status(run_directory(run_dir))
    else:
        raise typer.BadParameter(f"{what!r} is none of on, off, status.")
    if json:
        print_json(report)
    else:
        typer.echo(report.says)
    if what == "on" and not report.kill_switch:
        raise typer.Exit(1)


def _on(api: Control, run: RunDirectory, by: str, reason: str) -> KillReport:
    try:
        receipt = api.act(action("kill-switch-on", by=by, reason=reason), timeout_s=ASK_TIMEOUT_S)
    except (NoAnswer, Refused) as error:
        return _on_ourselves(run, str(error))
    return KillReport(
        kill_switch=True,
        says=receipt.says,
        by_supervisor=True,
        selector_taken=True,
        routed_ms=receipt.routed_ms,
        settled_ms=receipt.settled_ms,
    )


def _on_ourselves(run: RunDirectory, why: str) -> KillReport:
    confirmed = _tell_router(run.gateway)
    latched = _latch(run)
    did = ["the gateway confirmed"] * confirmed + [f"{run.selector.name} is taken away"] * latched
    if not did:
        says = f"kill switch is NOT on: no gateway answers on {run.gateway} and {run.selector} can't be taken away"
    else:
        says = f"kill switch is on, without the supervisor ({why}): {' and '.join(did)}"
    return KillReport(kill_switch=bool(did), says=says, routers={run.gateway.name: confirmed}, selector_taken=latched)


def _latch(run: RunDirectory) -> bool:
    """Take the selector away, or leave the mark that keeps one from being written."""
    from agt.router import SelectorFile  # noqa: PLC0415 - not needed while the supervisor answers.

    return SelectorFile(run.selector).kill()


def _tell_router(socket: Path) -> bool:
    try:
        status, _ = request(socket, "POST", "/kill", timeout_s=ROUTER_TIMEOUT_S)
    except NoAnswer:
        return False
    return 200 <= status < 300


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
