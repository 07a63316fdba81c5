"""The native wire as the drivers use it: our settings in its words, and generators that no one can guess."""

import random
import time
from collections.abc import Callable
from functools import lru_cache

from agt.transport._config import ReliableConfig
from agt.transport._pacing import Pacer
from agt.transport.trust import KeyedAcceptor, KeyRing
from agt.transport.wires.native import AwayCode, Keeper, NativeAcceptor, NativeConfig, NativeLink, Refused

UNGUESSABLE = random.SystemRandom()
"""The system's generator, one for all: it has no state of its own, but each object of it has 2.5 KiB of somebody's."""


@lru_cache(maxsize=64)
def native_config(config: ReliableConfig, *, max_senders: int = 10_000, kept: bool = False) -> NativeConfig:
    """Return the native wire's settings for a transport's; `kept` says whether an outbox keeps what it sends."""
    return NativeConfig(
        max_retries=config.retries(kept=kept),
        ack_timeout_seconds=config.ack_timeout_seconds,
        send_queue_max=config.send_queue_max,
        send_queue_bytes_max=config.send_queue_bytes_max,
        in_flight_max=config.in_flight_max,
        channels=config.channels,
        recv_window=config.recv_queue_max,
        recv_window_bytes=config.recv_queue_bytes_max,
        handshake_timeout_s=config.hello_timeout_s,
        max_senders=max_senders,
    )


def wall_ms() -> int:
    """Return the wall clock's milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def native_link(name: str, config: ReliableConfig) -> NativeLink:
    """Make the dialling end of a native link."""
    return NativeLink(name, rng=UNGUESSABLE, config=native_config(config), created_ms=wall_ms())


def check_budget(pacer: Pacer, now: float) -> None:
    """Let one more caller in.

    Raises:
        Refused: when the connect budget is used up; says when to come back.
    """
    if wait_s := pacer.admit(now):
        raise Refused(f"busy: come back in {wait_s:.3g} s", AwayCode.BUSY, retry_after_s=wait_s)


def native_acceptor(
    name: str,
    config: ReliableConfig,
    max_senders: int,
    keys: KeyRing | None = None,
    *,
    spread_s: Callable[[int], float] = lambda _: 0.0,
    keeper: Keeper | None = None,
) -> NativeAcceptor | KeyedAcceptor:
    """Make the accepting end for everyone who dials; with keys, for everyone who proves to have one of them.

    With a keeper, senders are remembered over a restart. Generations start at the wall clock's milliseconds: a
    restarted listener may remember none that it gave before, and must still tell an older process of a sender from a
    newer one.
    """
    rng = UNGUESSABLE
    acceptor = NativeAcceptor(
        name,
        rng=rng,
        config=native_config(config, max_senders=max_senders),
        generation_floor=wall_ms(),
        wall_ms=wall_ms,
        spread_s=spread_s,
        keeper=keeper,
    )
    return acceptor if keys is None else KeyedAcceptor(acceptor, keys, name, rng=rng)
