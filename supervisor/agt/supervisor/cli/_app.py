"""The root of the command line: our own commands, and those that other packages bring by entry point.

A command of the group `agt.commands` (`demo`, `replay`, `chaos`) is imported when it is called and not before; when its
extra is missing, the error says which one.
"""

from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from agt.supervisor._errors import SupervisorError
from agt.supervisor.cli import (
    _books,
    _component,
    _explain,
    _freeze,
    _http,
    _kill,
    _metrics,
    _mode,
    _operate,
    _parity,
    _plan,
    _report,
    _sessions,
    _shadow,
    _show,
    _snapshot,
    _suite,
    _token,
    _up,
)

GROUP = "agt.commands"

HELP = {
    "chaos": "Break it on purpose: scenarios, faults, the simulated world.",
    "demo": "Carry a whole migration of a simulated fleet through, with real sockets and processes.",
    "replay": "Send captured device traffic through both paths and compare.",
}
"""What `agt --help` says of commands that it doesn't import."""


def _brought(name: str) -> EntryPoint | None:
    return next(iter(entry_points(group=GROUP, name=name)), None)


class LazyGroup(TyperGroup):
    """Our commands, and behind them those of entry points."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name every command, brought ones too."""
        return sorted({*super().list_commands(ctx), *(point.name for point in entry_points(group=GROUP))})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command to show; a brought one is only a name and a line here."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or _brought(cmd_name) is None:
            return own
        return TyperCommand(cmd_name, help=HELP.get(cmd_name, ""), rich_markup_mode=None)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return a command to run; this is where a brought one is imported."""
        point = _brought(args[0]) if args else None
        if point is None:
            return super().resolve_command(ctx, args)
        try:
            loaded = point.load()
        except ImportError as error:
            raise SupervisorError(
                f"`agt {point.name}` can't be loaded ({error})",
                f"its parts come with an extra: pip install 'agt-migrate[{_extra(point)}]'",
            ) from error
        return point.name, get_command(loaded), args[1:]


def _extra(point: EntryPoint) -> str:
    """Which extra brings a command: packages of ours are named like their extras."""
    parts = point.module.split(".")
    return parts[1] if parts[0] == "agt" and len(parts) > 1 else "all"


app = typer.Typer(
    cls=LazyGroup,
    name="agt",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agt {version('agt-migrate')}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Move live device connections from a legacy path to a reliable one, in steps, with a way back."""


for part in (
    _books,
    _component,
    _up,
    _operate,
    _freeze,
    _kill,
    _show,
    _mode,
    _explain,
    _parity,
    _sessions,
    _shadow,
    _http,
    _metrics,
    _report,
):
    part.register(app)
app.add_typer(_plan.app, name="plan")
app.add_typer(_snapshot.app, name="snapshot")
app.add_typer(_suite.app, name="suite")
app.add_typer(_token.app, name="token")
