"""What the commands share: the run directory, `--json`, and who is asking."""

import getpass
import secrets
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from agt.supervisor._request import Control
from agt.supervisor._rundir import RunDirectory, default_run_directory
from agt.supervisor.actions import Action, ActionName

RunDir = Annotated[
    Path | None,
    typer.Option("--run-dir", metavar="FOLDER", help="The supervisor's run directory. [default: $AGT_RUN_DIR]"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who asks; recorded. [default: your login]")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; recorded.")]


def run_directory(given: Path | None) -> RunDirectory:
    """Return the run directory that was asked for, or the default."""
    return RunDirectory((given or default_run_directory()).absolute())


def control(given: Path | None) -> Control:
    """Return the control API of that run directory's supervisor."""
    return Control(run_directory(given).control)


def action(kind: ActionName, /, *, by: str = "", **fields: Any) -> Action:
    """Build a request: with our login unless another name is claimed, and a key of its own."""
    return Action(action=kind, by=by or login(), key=secrets.token_hex(8), **fields)


def print_json(value: object) -> None:
    """Print one JSON document."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def login() -> str:
    """Return our login; empty where our uid has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # No name for our uid: containers.
        return ""
