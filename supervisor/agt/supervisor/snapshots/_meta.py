"""What is known about a snapshot without opening its parts."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Trigger = Literal["periodic", "shutdown", "manual", "before", "after"]
"""Why it was taken; `before` a phase, `after` a rollback."""
SnapshotId = Annotated[str, Meta(pattern=r"^snap-[0-9]{8,14}-[0-9]{6,14}$")]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of a snapshot."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    size: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class SnapshotMeta(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A snapshot's `meta.json`."""

    schema: Literal[1] = 1
    id: SnapshotId
    at: float
    """Seconds since the epoch."""
    projection_version: Annotated[int, Meta(ge=0)]
    """The version of the projection that it holds."""
    counts: dict[str, int] = {}
    """How many rows of each kind, to be seen again after a restore."""
    trigger: Trigger
    says: str = ""
    """For what: the phase, the reason."""
    parts: Annotated[tuple[Part, ...], Meta(max_length=64)] = ()

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(part.size for part in self.parts)
