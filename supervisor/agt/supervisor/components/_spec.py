"""One `[[component]]` of a plan: what to start, after what, and how to know that it works.

Shape only; what the components mean together (unknown names, cycles) is `_graph`'s. Times are seconds. A command, an
environment value and a probe's path may hold `{python}` (the supervisor's own interpreter) and `{run}` (the run
directory).
"""

import enum
import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0)]

NAME_PATTERN: Final = r"^[a-z][a-z0-9-]{0,30}$"
"""Names become file names and metric labels, and a path with one has to fit a Unix socket's 107 bytes."""

GROUP_PATTERN: Final = r"^([a-z][a-z0-9-]{0,30})?$"

PLACEHOLDERS: Final = ("python", "run")


class Stage(enum.StrEnum):
    """When a component starts: every stage waits until all of the one before it is ready."""

    SOURCES = "sources"
    GATEWAY = "gateway"
    DAEMON = "daemon"
    UI = "ui"


STAGES: Final = tuple(Stage)
"""In the order in which they start."""


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, keyword-only, unknown keys refused."""


class NotifyProbe(Strict, frozen=True, tag_field="by", tag="notify"):
    """Ready when the process says `READY=1` on `$NOTIFY_SOCKET` (systemd's sd_notify)."""


class TcpProbe(Strict, frozen=True, tag_field="by", tag="tcp"):
    """Ready when a TCP connection is accepted."""

    port: Annotated[int, Meta(ge=1, le=65535)]
    host: str = "127.0.0.1"


class UnixProbe(Strict, frozen=True, tag_field="by", tag="unix"):
    """Ready when a connection to a Unix socket is accepted."""

    socket: str
    """`{run}/gateway.sock`; a bare name is taken to be in the run directory."""


class HttpProbe(Strict, frozen=True, tag_field="by", tag="http"):
    """Ready when `GET path` answers 2xx, over a Unix socket or TCP."""

    path: str = "/ready"
    socket: str = ""
    """A Unix socket as in `UnixProbe`; empty means TCP to `host` and `port`."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    host: str = "127.0.0.1"


class CommandProbe(Strict, frozen=True, tag_field="by", tag="command"):
    """Ready when a command ends with status 0; what it prints is the reason when it doesn't."""

    command: Annotated[tuple[str, ...], Meta(min_length=1, max_length=256)]
    """Program and arguments, no shell."""
    every_s: Seconds = 1.0
    """Between two tries, as readiness; liveness has its own `every_s`."""
    timeout_s: Seconds = 5.0
    """A try that takes longer is ended and has failed; liveness has its own `timeout_s`."""


class LogProbe(Strict, frozen=True, tag_field="by", tag="log"):
    """Ready when it has written a line, since its start, in which a pattern is found. For readiness only."""

    pattern: Annotated[str, Meta(min_length=1, max_length=500)]
    """A regular expression, searched in each line of standard output and error."""


Probe = NotifyProbe | TcpProbe | UnixProbe | HttpProbe | CommandProbe | LogProbe


class Liveness(Strict, frozen=True):
    """Whether a ready component still works; one that doesn't is ended and restarted by its policy."""

    probe: Probe
    """For `notify`: the process has to say `WATCHDOG=1` at least once in `every_s * failures`."""
    every_s: Seconds = 5.0
    timeout_s: Seconds = 2.0
    failures: Annotated[int, Meta(ge=1, le=100)] = 3
    """How many in a row make it dead."""


class RestartPolicy(Strict, frozen=True):
    """When a dead component is started again, and when we stop trying for a while (docs/reference/facts.md, 3)."""

    delay_initial_s: Seconds = 1.0
    """Before the first restart; doubles with each failure, up to `delay_max_s`."""
    delay_max_s: Seconds = 30.0
    jitter: Annotated[float, Meta(ge=0, lt=1)] = 0.2
    """Each delay is drawn from this share around it, and never exceeds `delay_max_s`."""
    budget: Annotated[int, Meta(ge=0, le=1000)] = 5
    """That many failures within `window_s` end in hold-down: the fifth trips it. 0 means no limit."""
    window_s: Seconds = 600.0
    hold_down_s: Seconds = 300.0
    """How long nothing is tried after the budget is spent; then the history is cleared."""
    healthy_after_s: Seconds = 30.0
    """Ready and healthy for so long is a success and clears the history; ready-then-crash still counts up."""


class ComponentSpec(Strict, frozen=True):
    """One process that the supervisor starts, watches and restarts."""

    name: Annotated[str, Meta(pattern=NAME_PATTERN)]
    stage: Stage
    command: Annotated[tuple[str, ...], Meta(min_length=1, max_length=256)]
    """Program and arguments, no shell."""
    depends_on: tuple[str, ...] = ()
    """Names in the same or an earlier stage that have to be ready first, beside all of the earlier stages."""
    group: Annotated[str, Meta(pattern=GROUP_PATTERN)] = ""
    """When one of a group dies, all of it is ended, in reverse order, and started again in order."""
    readiness: Probe = NotifyProbe()
    ready_within_s: Seconds = 30.0
    """A start that takes longer has failed."""
    liveness: Liveness | None = None
    environment: dict[str, str] = {}
    stop_grace_s: Seconds = 5.0
    """Between SIGTERM and SIGKILL."""
    restart: RestartPolicy = RestartPolicy()
    log_max_bytes: Annotated[int, Meta(ge=4096)] = 4 << 20
    """Size of `components/NAME.log`; one older file of that size is kept beside it."""
    archive: Annotated[tuple[str, ...], Meta(max_length=64)] = ()
    """Files that `agt component archive` keeps beside those that the command names; paths."""


def expand(text: str, *, run: Path) -> str:
    """Fill in the placeholders; anything else in braces stays as it is."""
    return text.replace("{python}", sys.executable).replace("{run}", str(run))


def socket_path(text: str, *, run: Path) -> Path:
    """Where a probe's socket is: a bare name is in the run directory."""
    return run / expand(text, run=run)
