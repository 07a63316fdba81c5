"""What an operator has ordered of one component, beside its files: it stays stopped until somebody wants it back.

The order outlives the supervisor, and no restart policy overrides it. A record that can't be read counts as an order to
stay stopped: a component that was decommissioned must not come back because of a damaged file.
"""

import time
from pathlib import Path
from typing import Final, Literal

import msgspec

from agt.supervisor.components._launch import write_record

ORDER_MAX_BYTES: Final = 64 << 10

Rest = Literal["stopped", "decommissioned"]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Why a component rests."""

    state: Rest
    at: float
    """Seconds since the epoch."""
    by: str = ""
    reason: str = ""
    until: float | None = None
    """When it was archived: until when it can be revived, seconds since the epoch."""

    @property
    def says(self) -> str:
        """In words: `decommissioned by ann on 2026-11-21: v5 has taken over`."""
        by = f" by {self.by}" if self.by else ""
        day = time.strftime("%Y-%m-%d", time.gmtime(self.at))
        return f"{self.state}{by} on {day}{f': {self.reason}' if self.reason else ''}"


def read_order(path: Path) -> Order | None:
    """Return the order, None when there is none."""
    try:
        return msgspec.json.decode(path.read_bytes()[:ORDER_MAX_BYTES], type=Order)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        why = f"its order can't be read ({error}); `agt component start` ends it"
        return Order(state="stopped", at=0.0, reason=why)


def write_order(path: Path, order: Order | None) -> None:
    """Put the order in force, or end it.

    Raises:
        OSError: when the disk says no; then the old one stands.
    """
    if order is None:
        path.unlink(missing_ok=True)
    else:
        write_record(str(path), msgspec.json.encode(order).decode() + "\n")
