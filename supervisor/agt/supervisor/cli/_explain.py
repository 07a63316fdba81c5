"""`agt explain DEVICE`: why a device is where it is; no supervisor is asked.

The gateway knows most: which sessions live where, which attachments are up. Where there are several, the one that has
the device answers. When none answers, or a file is named, the
selector and the variables beside it say where a device would be.
"""

import os
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlencode

import msgspec
import typer

from agt.supervisor._errors import SupervisorError
from agt.supervisor._request import NoAnswer, request
from agt.supervisor._routers import find_routers
from agt.supervisor.cli._options import Json, RunDir, print_json, run_directory

if TYPE_CHECKING:
    from agt.router import Explanation

GATEWAY_TIMEOUT_S: Final = 2.0
"""A gateway that is stuck must not hold up an answer that the file can give."""


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
    run = run_directory(run_dir)
    explained = None if selector else _from_gateways(run.path, device, component)
    live = explained is not None
    explained = explained or _from_file(selector or run.selector, device, component, named=selector is not None)
    if json:
        print_json(explained)
        return
    typer.echo("\n".join(explained_lines(explained)))
    if not live:
        typer.echo("(from the selector file: no gateway was asked for sessions and attachments)")


def explained_lines(explained: "Explanation") -> list[str]:
    """Write a decision down for people; of a device that isn't there it is only what would be."""
    lines = [f"{explained.device} is on {explained.runtime}: {explained.reason}"]
    if explained.attached is False:
        lines = [
            f"no router knows {explained.device}: it is not attached, or it is another's name",
            f"if it came now, it would go to {explained.runtime}: {explained.reason}",
        ]
    unless = _unless(explained)
    lines.append(f"position {explained.position:.2f}, moves to the candidate at {explained.moves_at:g} %{unless}")
    for link in explained.chain:
        where = f" -> {link.runtime}" if link.runtime else ""
        lines.append(f"  {link.rule}: {link.verdict}{where}{f' ({link.says})' if link.says else ''}")
    return lines


def _from_gateways(run: Path, device: str, component: str | None) -> "Explanation | None":
    """Ask every gateway; the answer of the one that has the device counts, else that of any."""
    found: list[Explanation] = []
    for socket in find_routers(run).values():
        if explained := _from_gateway(socket, device, component):
            if explained.attached:
                return explained
            found.append(explained)
    return found[0] if found else None


def _from_gateway(socket: Path, device: str, component: str | None) -> "Explanation | None":
    """Ask the gateway; None when none answers."""
    from agt.router import Explanation  # noqa: PLC0415 - only this command pays for it.

    query = urlencode({"device": device} | ({"component": component} if component else {}))
    try:
        status, body = request(socket, "GET", f"/explain?{query}", timeout_s=GATEWAY_TIMEOUT_S)
        return msgspec.json.decode(body, type=Explanation) if status == HTTPStatus.OK else None
    except (NoAnswer, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _from_file(path: Path, device: str, component: str | None, *, named: bool) -> "Explanation":
    from agt.router import SelectorFile, SelectorState, parse_env_file  # noqa: PLC0415 - as above.
    from agt.router import explain as explain_device  # noqa: PLC0415 - as above.

    reading = SelectorFile(path).read()
    if reading.state is SelectorState.BAD or (named and reading.state is SelectorState.MISSING):
        raise SupervisorError(reading.says, "mend it; routers keep what they have meanwhile")
    return explain_device(
        reading.selector,
        device,
        component=component,
        now=time.time(),
        environment={**os.environ, **_variables(path.with_name("agt.env"), parse_env_file)},
        killed=reading.says if reading.state is SelectorState.KILLED else "",
    )


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
