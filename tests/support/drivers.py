"""Every driver there is, for the suites that hold them to the same. A new driver is one more line here."""

from importlib.util import find_spec

from support.driver_async import AsyncDriver
from support.driver_blocking import BlockingDriver
from support.driver_harness import Driver

DRIVERS: tuple[Driver, ...] = (
    AsyncDriver("asyncio-portable", "asyncio", fast=False),
    AsyncDriver("trio", "trio", fast=False),
    AsyncDriver("asyncio-fast", "asyncio", fast=True),
    AsyncDriver("uvloop-fast", "asyncio", fast=True, use_uvloop=True),
    BlockingDriver(),
)


def available(driver: Driver) -> bool:
    """Whether a driver's extra is installed."""
    return not driver.name.startswith("uvloop") or find_spec("uvloop") is not None
