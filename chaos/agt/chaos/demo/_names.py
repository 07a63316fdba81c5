"""Who is in the fleet: ids that are the same in every run, and what wire each device speaks.

Half are unmodified `cync` devices, known by their endpoint in hex; half have a legacy `lines` socket and a `native`
attachment, known by name. Other fleets have devices, too, that keep no watermark over their attachments (`plain`), and
such whose silence only the end of their connection shows (`half-close`).
"""

from dataclasses import dataclass
from typing import Literal

DEVICES_MAX = 10_000
"""More simulated devices than this one machine doesn't carry."""

_ROOMS = ("attic", "bath", "cellar", "den", "garage", "hall", "kitchen", "office", "porch", "study")
_ENDPOINT_BASE = 0x4588_0000
_ENDPOINT_START = 0x2DF4
"""Chosen, as are the names, so that 50 devices lie evenly over the percentages: a demo of 10 % should show 10 %."""

DeviceKind = Literal["cync", "lines", "plain", "half-close"]
KINDS: tuple[DeviceKind, ...] = ("cync", "lines")
"""What the demo's fleet is made of."""
SESSION = "session-"
"""What the names of terminal sessions begin with (`agt.chaos.demo.agtmux`): their terminals keep one watermark."""
_NOUNS: dict[DeviceKind, str] = {"lines": "blind", "plain": "shade", "half-close": "gate"}


@dataclass(frozen=True, slots=True)
class DeviceName:
    """One device of the fleet."""

    id: str
    kind: DeviceKind
    """`cync`: moved in place; the others have a native attachment beside their lines socket and are moved warm."""


def fleet_names(count: int, *, first: int = 0, kinds: tuple[DeviceKind, ...] = KINDS) -> tuple[DeviceName, ...]:
    """Name a fleet; a larger one contains every smaller one.

    Args:
        count: How many devices.
        first: How many come before them, in another process.
        kinds: What they are, in turn.

    Raises:
        ValueError: when the count is out of bounds.
    """
    if count < 1 or first < 0 or first + count > DEVICES_MAX:
        raise ValueError(f"{first + count} devices can't be simulated; choose 1 to {DEVICES_MAX}")
    return tuple(_name(index, kinds) for index in range(first, first + count))


def _name(index: int, kinds: tuple[DeviceKind, ...]) -> DeviceName:
    nth, which = divmod(index, len(kinds))
    kind = kinds[which]
    if kind != "cync":
        return DeviceName(f"{_ROOMS[nth % len(_ROOMS)]}-{_NOUNS[kind]}-{nth // len(_ROOMS) + 1}", kind)
    # Spread the endpoints, as they are in the field: neighbours would share most of their bits.
    return DeviceName(f"{_ENDPOINT_BASE | (nth * 40503 + _ENDPOINT_START) & 0xFFFF:08x}", "cync")


def shares_watermark(device: str) -> bool:
    """Tell by its name whether a device keeps one watermark over all its attachments: its update's maker says so."""
    return f"-{_NOUNS['lines']}-" in device or device.startswith(SESSION)


def only_ends(device: str) -> bool:
    """Tell by its name whether only the end of its connection shows that a device has fallen silent."""
    return f"-{_NOUNS['half-close']}-" in device


def endpoint_of(device: str) -> bytes:
    """Return the 4 bytes that a cync device is known by."""
    return bytes.fromhex(device)
