"""Write docs/reference/cli.md from the commands themselves; `--check` says whether it is current."""

import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from typer.main import get_command

from agt.supervisor.cli._app import GROUP, app

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"
INTRODUCTION = """\
# Commands

<!-- written by scripts/cli_reference.py; edit the commands instead -->

Exit status: 0 done, 1 refused or failed, 2 wrong usage. Errors are one line on stderr that says what to do; `--json`
prints one JSON document on stdout. `--run-dir` says which supervisor is meant, else `$AGT_RUN_DIR` does. Completion for
your shell: `agt --install-completion` (`--show-completion` prints it). Every command has `--help`, which isn't listed.
"""


def page() -> str:
    """Return the page."""
    root: Any = get_command(app)
    points = {point.name: point for point in entry_points(group=GROUP)}
    lines = [INTRODUCTION]
    for name in root.list_commands(None):
        command = get_command(points[name].load()) if name in points else root.get_command(None, name)
        lines += _section(f"agt {name}", command)
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(path: str, command: Any) -> Iterator[str]:
    if inner := getattr(command, "commands", None):
        yield f"## `{path}`\n"
        yield f"{_says(command)}\n"
        for name in sorted(inner):
            yield from (line.replace("## `", "### `", 1) for line in _section(f"{path} {name}", inner[name]))
        return
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    usage = " ".join([path, *(_argument(one) for one in arguments)])
    yield f"## `{usage}`\n"
    yield f"{_says(command)}\n"
    if arguments or options:
        yield "| | |\n|---|---|"
        yield from (f"| `{_argument(one)}` | {_cell(one.help)} |" for one in arguments)
        yield from (f"| {_names(one)} | {_cell(one.help)} |" for one in options)
        yield ""


def _argument(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    name = f"{name}..." if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def _names(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} {option.metavar or 'VALUE'}"


def _says(command: Any) -> str:
    return " ".join((command.help or "").split())


def _cell(text: str | None) -> str:
    return " ".join((text or "").replace("|", "\\|").split())


def main(arguments: list[str]) -> int:
    """Write or check the page."""
    text = page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in arguments:
        print(f"{PAGE} is not what the commands say; run python scripts/cli_reference.py", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
