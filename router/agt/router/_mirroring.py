"""Whose messages the shadow is offered: what a selector says about it, worked out once for all of them."""

from typing import Final, NamedTuple

from agt.router._decision import Situation
from agt.router._device import Device
from agt.router._position import percentage_hundredths, position_hundredths

_ALL: Final = 10_000
"""Hundredths of a percent in the whole, for which no position need be worked out."""


class Mirroring(NamedTuple):
    """A share of the devices that the other runtime carries."""

    tried: str
    """The runtime that is tried out; what it carries itself isn't mirrored."""
    share: int
    """Hundredths of a percent."""
    salt: str

    def covers(self, device: Device) -> bool:
        """Tell whether this device's messages are mirrored now."""
        return self.covers_name(device.name, device.runtime)

    def covers_name(self, name: str, runtime: str) -> bool:
        """Tell the same of a name that a runtime answers for, attached or not."""
        if runtime == self.tried:
            return False
        return self.share >= _ALL or position_hundredths(name, self.salt) < self.share


def mirroring(situation: Situation) -> Mirroring | None:
    """Return what is mirrored in a situation; None when nothing is."""
    selector = situation.selector
    if selector is None or situation.killed or selector.runtime.shadow == "off":
        return None
    runtimes, route = situation.runtimes, selector.runtime
    tried = runtimes.candidate if route.shadow == "candidate" else runtimes.control
    # A salt of its own: with the rollout's, a small share of the devices would be those that have moved already.
    return Mirroring(tried, percentage_hundredths(route.shadow_percent), f"{route.salt}/shadow")
