"""Which routers a run directory has, for whoever has no plan at hand: the kill and `explain` without a supervisor.

The rule: a router's socket in the run directory is called `gateway.sock` or `gateway-NAME.sock`. A plan may name
others, and a router that is down has no socket, so the supervisor leaves the plan's list beside them; what is on the
list and doesn't answer is missing, by name. The list is only ever an addition: without it, and with a damaged
one, whatever follows the rule is found.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ROUTERS_MAX: Final = 16
"""As many routers as a plan may name; so many are taken from the list, and so many that follow the rule."""
DEFAULT_ROUTER: Final = "gateway.sock"
_PATTERNS: Final = (DEFAULT_ROUTER, "gateway-*.sock")
_LIST: Final = "routers"
_LIST_MAX_BYTES: Final = 64 << 10


def find_routers(run: Path) -> dict[str, Path]:
    """Return the routers' sockets by name, listed ones first; `gateway.sock` where there is nothing to be found."""
    names = _listed(run)
    with contextlib.suppress(OSError):
        names += sorted({path.name for pattern in _PATTERNS for path in run.glob(pattern)})[:ROUTERS_MAX]
    return {name: run / name for name in names or [DEFAULT_ROUTER]}


def list_routers(run: Path, names: Iterable[str]) -> None:
    """Leave the plan's routers in the run directory, whole or not at all; what is there already needs no disk.

    Raises:
        OSError: when the disk refuses it.
    """
    wanted = list(names)
    if _listed(run) == wanted:
        return
    handle, fresh = tempfile.mkstemp(prefix=f".{_LIST}.", dir=run)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("".join(f"{name}\n" for name in wanted))
        Path(fresh).replace(run / _LIST)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


def _listed(run: Path) -> list[str]:
    try:
        with (run / _LIST).open("rb") as file:
            lines = file.read(_LIST_MAX_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line.strip() for line in lines if line.strip().isprintable() and line.strip()][:ROUTERS_MAX]
