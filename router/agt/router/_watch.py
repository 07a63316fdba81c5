"""Keeps a router in step with its files: the selector, and `agt.env` beside it. Needs the `router` extra.

The folder is watched, not the files, since editors and atomic writers replace them. Each change leads to a fresh
look at both files, in one turn with what is done about it, so that an old look can't undo a newer kill. Once a
second there is a look without a change, for file systems that tell nothing.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import anyio
import watchfiles

from agt.router._environment import ENV_FILE_MAX_BYTES, parse_env_file
from agt.router._router import Router
from agt.router._selector_file import SelectorFile, SelectorState

LOOK_EVERY_MS = 1000
"""Milliseconds between two looks when nothing tells of a change."""
MISSING_GRACE_S = 0.3
"""How long a selector may be absent without a kill before everything goes to control: an editor may be at it."""


class EnvironmentFile:
    """The variables of the process, with those of `agt.env` in front."""

    def __init__(self, path: Path | str, environment: Mapping[str, str] | None = None) -> None:
        self.path = Path(path)
        self._base = dict(os.environ if environment is None else environment)
        self._last: dict[str, str] = {}

    def read(self) -> tuple[dict[str, str], str]:
        """Return the variables, and why the file could not be read; then those of the last good look count."""
        problem = ""
        try:
            with self.path.open("rb") as file:
                self._last = parse_env_file(file.read(ENV_FILE_MAX_BYTES).decode())
        except FileNotFoundError:
            self._last = {}
        except (OSError, ValueError) as error:
            problem = str(error)
        return {**self._base, **self._last}, problem


async def watch(router: Router, selector: SelectorFile, environment: EnvironmentFile | None = None) -> None:
    """Keep a router in step with its files until cancelled."""
    names = {selector.path.name, selector.killed_path.name}
    if environment is not None:
        names.add(environment.path.name)
    await look(router, selector, environment)
    async for _ in watchfiles.awatch(
        selector.path.parent,
        watch_filter=lambda _, path: Path(path).name in names,
        step=20,
        debounce=100,
        rust_timeout=LOOK_EVERY_MS,
        yield_on_timeout=True,
        recursive=False,
    ):
        await look(router, selector, environment)


async def look(router: Router, selector: SelectorFile, environment: EnvironmentFile | None = None) -> None:
    """Look at both files once, and let the router take them into account."""
    if environment is not None:
        variables, problem = environment.read()
        router.set_environment(variables, problem)
    reading = selector.read()
    if reading.state is SelectorState.MISSING and router.selector is not None:
        await anyio.sleep(MISSING_GRACE_S)
        reading = selector.read()
    router.observe(reading)
