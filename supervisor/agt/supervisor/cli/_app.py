"""The root of the command line: our own commands, and those that other packages bring by entry point.

Each is imported when it is called and not before. For one of the group `agt.commands` (`demo`, `replay`, `chaos`) whose
extra is missing, the error says which one.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from agt.supervisor._errors import SupervisorError

GROUP = "agt.commands"

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "agt.supervisor.cli._alerts": ("alerts",),
    "agt.supervisor.cli._books": ("audit", "incident"),
    "agt.supervisor.cli._component": ("component", "why"),
    "agt.supervisor.cli._explain": ("explain",),
    "agt.supervisor.cli._freeze": ("freeze", "rehearse-back", "unfreeze"),
    "agt.supervisor.cli._http": ("http",),
    "agt.supervisor.cli._kill": ("kill-switch",),
    "agt.supervisor.cli._metrics": ("metrics-proxy",),
    "agt.supervisor.cli._mode": ("mode",),
    "agt.supervisor.cli._operate": (
        "advance",
        "down",
        "drill",
        "hold",
        "override",
        "record-cause",
        "resume",
        "rollback",
        "set",
        "sign-off",
    ),
    "agt.supervisor.cli._parity": ("parity",),
    "agt.supervisor.cli._plan": ("plan",),
    "agt.supervisor.cli._report": ("report", "version-matrix"),
    "agt.supervisor.cli._sessions": ("sessions",),
    "agt.supervisor.cli._shadow": ("shadow",),
    "agt.supervisor.cli._show": ("status",),
    "agt.supervisor.cli._snapshot": ("snapshot",),
    "agt.supervisor.cli._suite": ("suite",),
    "agt.supervisor.cli._token": ("token",),
    "agt.supervisor.cli._up": ("up",),
}
"""Our commands by the module that has them. Only the module of the command that is called is imported: a command
should answer before one wonders, and all of them together take a tenth of a second to load."""

HELP = {
    "bench": "Measure what the transport costs and how fast it is.",
    "chaos": "Break it on purpose: scenarios, faults, the simulated world.",
    "demo": "Carry a whole migration of a simulated fleet through, with real sockets and processes.",
    "rehearse": "Carry a plan out in virtual time, months in seconds, with faults where wanted.",
    "replay": "Send captured device traffic through both paths and compare.",
}
"""What `agt --help` says of commands that it doesn't import."""


_MODULES: Final = {command: module for module, commands in PARTS.items() for command in commands}


def _brought(name: str) -> EntryPoint | None:
    return next(iter(entry_points(group=GROUP, name=name)), None)


@cache
def _own(module: str) -> TyperGroup:
    """Return the commands of one of our modules: what it registers, or its own group."""
    part = import_module(module)
    holder = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    holder.callback()(_nothing)  # With it, a module's only command stays a command of its own.
    if hasattr(part, "register"):
        part.register(holder)
    else:
        holder.add_typer(part.app, name=PARTS[module][0])
    return get_group(holder)


def _nothing() -> None:
    """Be there."""


class LazyGroup(TyperGroup):
    """Our commands, and behind them those of entry points."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name every command, brought ones too."""
        brought = (point.name for point in entry_points(group=GROUP))
        return sorted({*super().list_commands(ctx), *_MODULES, *brought})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, importing its module; a brought one is only a name and a line here."""
        if cmd_name in _MODULES:
            return _own(_MODULES[cmd_name]).get_command(ctx, cmd_name)
        if _brought(cmd_name) is None:
            return super().get_command(ctx, cmd_name)
        return TyperCommand(cmd_name, help=HELP.get(cmd_name, ""), rich_markup_mode=None)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return a command to run; this is where a brought one is imported."""
        point = _brought(args[0]) if args and args[0] not in _MODULES else None
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
