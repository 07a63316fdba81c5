"""`agt up PLAN`: be the supervisor of a run directory, in this terminal or in the background."""

import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agt.supervisor._errors import SupervisorError
from agt.supervisor._request import Control, NoAnswer
from agt.supervisor._rundir import RunDirectory
from agt.supervisor.cli._options import RunDir, run_directory

if TYPE_CHECKING:
    from agt.supervisor.rollout import Plan

BACKGROUND_WITHIN_S = 20.0
"""How long a supervisor in the background may take to answer."""
POLL_S = 0.02


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(up)


def up(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan file (TOML).")],
    run_dir: RunDir = None,
    duration: Annotated[
        str, typer.Option("--duration", metavar="TIME", help="Squeeze the whole plan into this time: `3m`.")
    ] = "",
    squeeze: Annotated[
        float | None, typer.Option("--squeeze", metavar="FACTOR", help="Run so many times faster than written.")
    ] = None,
    detach_on_exit: Annotated[
        bool, typer.Option("--detach-on-exit", help="Leave the components running on SIGTERM and Ctrl-C.")
    ] = False,
    http: Annotated[
        str,
        typer.Option(
            "--http",
            metavar="ADDRESS",
            help="Serve the control API on a loopback address too: `127.0.0.1:8642`. Takes tokens: agt token.",
        ),
    ] = "",
    background: Annotated[
        bool, typer.Option("--background", help="Return once it answers; it writes to supervisor.log.")
    ] = False,
) -> None:
    """Start a plan's components in order and carry its rollout out; components that run already are adopted."""
    loaded = _load(plan, duration, squeeze)
    address = _address(http) if http else None
    run = run_directory(run_dir)
    run.prepare()
    if background:
        _in_background(run)
    else:
        _in_foreground(loaded, run, detach_on_exit=detach_on_exit, http=address)


def _address(text: str) -> tuple[str, int]:
    from agt.supervisor.access import AddressInvalid, parse_address  # noqa: PLC0415 - only this option pays for it.

    try:
        return parse_address(text)
    except AddressInvalid as error:
        raise typer.BadParameter(f"{error}.") from error


def _load(path: Path, duration: str, squeeze: float | None) -> "Plan":
    from agt.supervisor.rollout import load_plan, parse_duration  # noqa: PLC0415 - only this command pays for it.

    if duration and squeeze is not None:
        raise typer.BadParameter("--duration and --squeeze say the same thing; give one of them.")
    plan = load_plan(path)
    try:
        factor = plan.factor_for(parse_duration(duration)) if duration else squeeze
        return plan if factor is None else plan.squeezed(factor)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from error


def _in_foreground(plan: "Plan", run: RunDirectory, *, detach_on_exit: bool, http: tuple[str, int] | None) -> None:
    from agt.supervisor.service import run_supervisor  # noqa: PLC0415 - only this command pays for it.

    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # Its comings and goings are ours.
    run_supervisor(plan, run, detach_on_exit=detach_on_exit, http=http)


def _in_background(run: RunDirectory) -> None:
    """Start the same command again without `--background` and wait until it answers, or says why not."""
    arguments = [word for word in sys.argv[1:] if word != "--background"]
    started_at = run.log.stat().st_size if run.log.exists() else 0
    with run.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command line, once more.
            [sys.executable, "-m", "agt.supervisor.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + BACKGROUND_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SupervisorError(_last_line(run.log, started_at) or f"it ended at once; see {run.log}")
        if run.supervisor_pid() == process.pid and _answers(run):
            process.returncode = 0  # It goes on without us; Popen must not complain about that.
            typer.echo(f"supervisor runs in {run.path} (pid {process.pid}); watch it with `agt-tui` or `agt status`")
            return
        time.sleep(POLL_S)
    raise SupervisorError(f"it does not answer within {BACKGROUND_WITHIN_S:g} s", f"see {run.log}")


def _answers(run: RunDirectory) -> bool:
    try:
        Control(run.control).view()
    except NoAnswer:
        return False
    return True


def _last_line(log: Path, start: int) -> str:
    with log.open("rb") as lines:
        lines.seek(start)
        text = lines.read()[-4096:].decode("utf-8", "replace").strip()
    return text.rpartition("\n")[2].removeprefix("agt: ")
