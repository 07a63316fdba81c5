"""Devices dial again when their connection ends: soon after a drop, slowly after a refusal in words."""

from collections.abc import Awaitable, Callable
from random import Random

import anyio
from anyio.abc import SocketStream

REDIAL_S = (0.2, 1.0)
"""Between these a device waits before it dials again (2.6 s on average in the field; the demo is squeezed)."""
REFUSED_S = 15.0
"""A device that was refused in words asks again only now and then."""


class RefusedInWords(Exception):
    """Raised when the controller said that it will not serve this device here."""


async def keep_dialling(port: int, rng: Random, converse: Callable[[SocketStream], Awaitable[None]]) -> None:
    """Dial, converse until the connection ends, wait, and dial again, until cancelled."""
    while True:
        pause_s = rng.uniform(*REDIAL_S)
        try:
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await converse(stream)
        except* RefusedInWords:
            pause_s = REFUSED_S * rng.uniform(0.8, 1.2)
        except* (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # Ended; by whom makes no difference to a device.
        await anyio.sleep(pause_s)
