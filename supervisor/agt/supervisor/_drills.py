"""Run a plan's drill: a command that breaks something on purpose, given a moment to do it and no more."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import anyio

from agt.supervisor.actions import Refused
from agt.supervisor.components import expand

DRILL_TIMEOUT_S = 20.0
SAYS_MAX = 200


async def run_drill(command: tuple[str, ...], *, run: Path, environment: Mapping[str, str]) -> str:
    """Run the command and return the last line it printed.

    Raises:
        Refused: `unavailable` when it can't be started, fails, or takes longer than `DRILL_TIMEOUT_S`.
    """
    words = [expand(word, run=run) for word in command]
    try:
        with anyio.fail_after(DRILL_TIMEOUT_S):
            done = await anyio.run_process(
                words,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                check=False,
                env={**environment, "AGT_RUN_DIR": str(run)},
                start_new_session=True,
            )
    except TimeoutError:
        raise Refused("unavailable", f"the drill did not end within {DRILL_TIMEOUT_S:g} s and was ended") from None
    except OSError as error:
        raise Refused("unavailable", f"the drill can't be started: {error.strerror}", f"it runs {words[0]}") from error
    said = (done.stdout.decode("utf-8", "replace").strip().splitlines() or [""])[-1][:SAYS_MAX]
    if done.returncode:
        raise Refused("unavailable", f"the drill failed with status {done.returncode}", said)
    return said
