"""Where a device stands between 0 and 100, and so at which percentage it moves.

The position is `h % 100 + (h // 100 % 100) / 100`: for whole percentages exactly document 002's rule
(`h % 100 < percentage`), with steps of 0.01 between. It is kept in hundredths, as an integer, so that no
comparison ever depends on how a float was rounded. It depends on id and salt alone: the same in every process,
after every restart.

What is left of the hash orders the devices within one step, and the id itself those of one hash: `order` is total,
so that a share can end at any single device ("exactly 7", docs/adr/0007-exact-counts.md).
"""

from functools import lru_cache
from typing import Final

from agt.router._hash import fmix32, fnv1a_32

POSITION_VERSION: Final = 1
"""Grows when the rule changes; golden vectors in the tests hold it."""
POSITION_MEMO: Final = 200_000
"""How many positions of names that aren't attached are remembered; hashing one costs about 20 times the look-up.
Attached devices carry their own."""


_REST: Final = (1 << 32) // 10_000 + 1
"""How many values `h // 10_000` can have: the places within one step."""
_HUNDREDTHS: Final = tuple(range(10_000))
"""Every position, once: a million devices need no number each."""


@lru_cache(maxsize=POSITION_MEMO)
def place(device: str, salt: str = "") -> int:
    """Return where a device stands, as one number: its position first, then what is left of its hash.

    With a salt the salt goes first and the hash is mixed, so that two rollouts pick different devices.
    """
    # Ids come from peers: what isn't valid text must still have a place.
    value = fnv1a_32((salt + device).encode("utf-8", "surrogatepass"))
    if salt:
        value = fmix32(value)
    return (value % 100 * 100 + value // 100 % 100) * _REST + value // 10_000


def order(device: str, salt: str = "") -> tuple[int, str]:
    """Return what devices are sorted by: place, then id. The lower goes to the candidate first, and back last."""
    return place(device, salt), device


def shared_hundredths(device: str, salt: str = "") -> int:
    """Return the position in hundredths, remembering nothing: a number that all devices at that place share."""
    return _HUNDREDTHS[place.__wrapped__(device, salt) // _REST]


def position_hundredths(device: str, salt: str = "") -> int:
    """Return the position in hundredths of a percent, 0 to 9999."""
    return place(device, salt) // _REST


def position(device: str, salt: str = "") -> float:
    """Return the position in percent, 0.00 to 99.99; the device is in when it is below the percentage."""
    return position_hundredths(device, salt) / 100


def percentage_hundredths(percentage: float) -> int:
    """Return a percentage in hundredths; percentages have two decimals at most, so nothing is lost."""
    return round(percentage * 100)


def moves_at(device: str, salt: str = "") -> float:
    """Return the smallest percentage that takes this device to the candidate, 0.01 to 100."""
    return (position_hundredths(device, salt) + 1) / 100
