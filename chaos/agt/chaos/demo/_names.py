"""Who is in the fleet: ids that are the same in every run, and what wire each device speaks.

Half are unmodified `cync` devices, known by their endpoint in hex; half have a legacy `lines` socket and a `native`
attachment, known by name.
"""

from dataclasses import dataclass
from typing import Literal

DEVICES_MAX = 5000
"""More simulated devices than this don't fit one process with a proxy in front."""

_ROOMS = ("attic", "bath", "cellar", "den", "garage", "hall", "kitchen", "office", "porch", "study")
_ENDPOINT_BASE = 0x4588_0000
_ENDPOINT_START = 0x2DF4
"""Chosen, as are the names, so that 50 devices lie evenly over the percentages: a demo of 10 % should show 10 %."""

DeviceKind = Literal["cync", "lines"]


@dataclass(frozen=True, slots=True)
class DeviceName:
    """One device of the fleet."""

    id: str
    kind: DeviceKind
    """`cync`: moved in place; `lines`: has a native attachment beside it and is moved warm."""


def fleet_names(count: int) -> tuple[DeviceName, ...]:
    """Name a fleet; a larger one contains every smaller one.

    Raises:
        ValueError: when the count is out of bounds.
    """
    if not 1 <= count <= DEVICES_MAX:
        raise ValueError(f"{count} devices can't be simulated; choose 1 to {DEVICES_MAX}")
    return tuple(_name(index) for index in range(count))


def _name(index: int) -> DeviceName:
    half, odd = divmod(index, 2)
    if odd:
        return DeviceName(f"{_ROOMS[half % len(_ROOMS)]}-blind-{half // len(_ROOMS) + 1}", "lines")
    # Spread the endpoints, as they are in the field: neighbours would share most of their bits.
    return DeviceName(f"{_ENDPOINT_BASE | (half * 40503 + _ENDPOINT_START) & 0xFFFF:08x}", "cync")


def endpoint_of(device: str) -> bytes:
    """Return the 4 bytes that a cync device is known by."""
    return bytes.fromhex(device)
