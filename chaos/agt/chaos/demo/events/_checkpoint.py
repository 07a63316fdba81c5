"""What the daemon makes durable: the cursors and the projection that goes with them, in one file, whole or not at all.

Cursor and projection have to agree to the event: a projection that is newer than its cursor would count events twice,
an older one would miss some.
"""

import os
from pathlib import Path
from typing import Any

import msgspec


class Tally(msgspec.Struct, kw_only=True):
    """Counters of the daemon that outlive it."""

    conflicts: int = 0
    """Writes to the projection that were refused for an outdated version."""
    invalid_cursors: int = 0
    full_resyncs: int = 0
    applied: int = 0
    """Events that took effect."""
    repeated: int = 0
    """Events that came again and changed nothing."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    schema: int = 1
    state_version: int
    cursors: dict[str, tuple[int, int]]
    """Fetched and committed of each source."""
    rows: dict[str, tuple[int, Any]]
    """The projection: version and value by key."""
    tally: Tally


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Return what was kept; None when there is none.

    Raises:
        ValueError: when it is damaged: the daemon then starts from nothing, by decision and not by accident.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} can't be read: {error}") from error


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Make it durable; blocks on the disk.

    Raises:
        OSError: when the disk refuses; the earlier one stays.
    """
    fresh = path.with_suffix(".tmp")
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(checkpoint))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
