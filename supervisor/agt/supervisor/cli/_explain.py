"""`agt explain DEVICE`: why a device is where it is, from the selector file alone; no supervisor is asked."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agt.supervisor._errors import SupervisorError
from agt.supervisor.cli._options import Json, RunDir, print_json, run_directory

if TYPE_CHECKING:
    from agt.router import Explanation


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(explain)


def explain(
    device: Annotated[str, typer.Argument(help="The device's id.")],
    selector: Annotated[
        Path | None, typer.Option("--selector", metavar="FILE", help="[default: the run directory's]")
    ] = None,
    component: Annotated[str | None, typer.Option("--component", metavar="NAME", help="Ask for one component.")] = None,
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Say which runtime carries a device, by which rule, and at which percentage it would move."""
    from agt.router import SelectorFile, SelectorState, parse_env_file  # noqa: PLC0415
    from agt.router import explain as explain_device  # noqa: PLC0415 - only this command pays for it.

    path = selector or run_directory(run_dir).selector
    reading = SelectorFile(path).read()
    if reading.state is SelectorState.BAD or (selector and reading.state is SelectorState.MISSING):
        raise SupervisorError(reading.says, "mend it; routers keep what they have meanwhile")
    explained = explain_device(
        reading.selector,
        device,
        component=component,
        now=time.time(),
        environment={**os.environ, **_variables(path.with_name("agt.env"), parse_env_file)},
        killed=reading.says if reading.state is SelectorState.KILLED else "",
    )
    if json:
        print_json(explained)
        return
    typer.echo(f"{device} is on {explained.runtime}: {explained.reason}")
    typer.echo(
        f"position {explained.position:.2f}, moves to the candidate at {explained.moves_at:g} %{_unless(explained)}"
    )
    for link in explained.chain:
        where = f" -> {link.runtime}" if link.runtime else ""
        typer.echo(f"  {link.rule}: {link.verdict}{where}{f' ({link.says})' if link.says else ''}")


def _unless(explained: "Explanation") -> str:
    """Say why no percentage would move the device, when one wouldn't."""
    held = explained.held_because
    return f" where the percentage decides, which it doesn't: {held}" if held else ""


def _variables(path: Path, parse: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """Read the environment file beside the selector; without one there are no variables."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SupervisorError(f"{path} can't be read: {error}", "mend it; routers keep what they have") from error
