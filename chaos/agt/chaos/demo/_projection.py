"""A projection of the fleet: who is there, by runtime, under a version that grows with each change. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One device as a runtime lists it."""

    device: str
    runtime: str
    attachments: tuple[str, ...]


class Projection:
    """The listing of each runtime, with one writer and one version."""

    def __init__(self) -> None:
        self.version = 0
        """Grows by one with each change."""
        self._devices: dict[str, Listing] = {}

    def project(self, devices: Iterable[Mapping[str, Any]]) -> bool:
        """Take in what the router says about its devices; true when anything changed."""
        fresh = {
            str(device["device"]): Listing(
                device=str(device["device"]),
                runtime=str(device["runtime"]),
                attachments=tuple(device.get("attachments", ())),
            )
            for device in devices
        }
        if fresh == self._devices:
            return False
        self._devices = fresh
        self.version += 1
        return True

    def listing(self, runtime: str) -> list[Listing]:
        """List what a runtime could serve: every device that has an attachment there, by name."""
        return [self._devices[name] for name in sorted(self._devices) if runtime in self._devices[name].attachments]

    @property
    def owners(self) -> dict[str, int]:
        """How many devices each runtime carries."""
        counts: dict[str, int] = {}
        for listing in self._devices.values():
            counts[listing.runtime] = counts.get(listing.runtime, 0) + 1
        return counts
