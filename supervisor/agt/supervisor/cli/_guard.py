"""Turn what a command raises into one line and an exit status; never a traceback.

Known errors say what is wrong and what to do. What nobody foresaw is a bug of ours: its traceback goes to a file, and
the line says which.
"""

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence

import typer
from typer.main import get_command

from agt.supervisor._errors import SupervisorError
from agt.supervisor._request import NoAnswer
from agt.supervisor.actions import Refused
from agt.supervisor.cli._app import app

USAGE = 2
INTERRUPTED = 130

_ClickException = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""Root of what the parser raises; typer brings its own copy of click and doesn't export it."""


def guarded(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status."""
    try:
        status = get_command(app).main(args=list(arguments), prog_name="agt", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except typer.Abort:
        return _say("given up; nothing was changed", 1)
    except BrokenPipeError:
        # Whoever read our output has gone: not an error of the command, and not to be reported at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the outermost guard; it hides nothing, see below.
        return _explain(error)
    return status if isinstance(status, int) else 0


def _explain(error: Exception) -> int:
    if isinstance(error, _ClickException):
        context = getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{error.format_message()}\n")  # type: ignore[attr-defined]  # ClickException's own
            return USAGE
        path = context.command_path if context else "agt"
        return _say(f"{error.format_message()} See `{path} --help`.", error.exit_code)  # type: ignore[attr-defined]  # ClickException's own
    if isinstance(error, NoAnswer):
        return _say(f"no supervisor answers on {error.path} ({error.why}); start one with `agt up PLAN`", 1)
    if isinstance(error, SupervisorError | Refused) or _is_ours(error):
        return _say(str(error), 1)
    log = _keep_traceback(error)
    return _say(f"this should not have happened ({type(error).__name__}: {error}); the details are in {log}", 1)


def _is_ours(error: Exception) -> bool:
    """Whether another package of ours raised it on purpose: those words are meant for people."""
    roots = {"agt.router", "agt.transport", "agt.supervisor"}
    return any(kind.__module__.rpartition("._")[0] in roots for kind in type(error).__mro__)


def _say(text: str, status: int) -> int:
    sys.stderr.write(f"agt: {text}\n")
    return status


def _keep_traceback(error: Exception) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="agt-error-", suffix=".log", delete=False) as log:
        traceback.print_exception(error, file=log)
    return log.name
