"""The `agt` command: one sub-command a verb, `--json` for facts, one line for an error.

`main` is the console script. Nothing heavy is imported here: what a plain install lacks is said in words, and each
command imports what it needs when it is called.
"""

import sys
from collections.abc import Sequence

__all__ = ("main", "run")

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status: 0 done, 1 refused or failed, 2 wrong usage."""
    try:
        import typer  # noqa: F401, PLC0415 - belongs to an extra.
    except ModuleNotFoundError:
        sys.stderr.write("agt: the command line needs the extra 'supervisor'; pip install 'agt-migrate[supervisor]'\n")
        return 1
    from agt.supervisor.cli._guard import guarded  # noqa: PLC0415 - needs typer.

    return guarded(arguments)


def main() -> None:
    """Run the command of this process's arguments."""
    try:
        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = INTERRUPTED  # While the first modules were still being loaded: nothing had been started.
    sys.exit(status)
