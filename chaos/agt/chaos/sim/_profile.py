"""What kind of world a seed makes: the whole fault profile is drawn first, so that runs differ in kind."""

import difflib
from collections.abc import Mapping
from random import Random
from typing import TypeVar

import msgspec

from agt.transport import UsageError


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is chosen once a run. Rates are chances a frame (or, where it says so, a second)."""

    devices: int
    """Dialling hosts; the gateway they all dial comes beside them."""
    messages: int
    """Messages a host sends to each peer while things go wrong."""
    span_s: float
    """How long things go wrong."""
    latency_s: float
    """One way."""
    jitter_s: float
    drop: float
    duplicate: float
    reorder: float
    damage: float
    cut: float
    """The connection ends at, or within, this frame."""
    half_open: float
    """Chance that a side is not told of the end of its connection."""
    slice: float
    """Chance that a piece of the stream arrives in two."""
    partition_per_s: float
    crash_per_s: float
    zombie: float
    """Chance that a crashed device only seems to be gone and keeps running beside its successor."""
    think_s: float
    """How long an application takes for a message; 0 means it answers in the same turn."""
    refuse: float
    """Chance that an application refuses a message."""
    deadline_s: float
    """Upper end of what senders allow a message."""
    withdraw_per_s: float
    cancel: float
    """Chance that a sender gives a message up early."""
    max_retries: int | None
    window: int
    send_queue_max: int
    turn_bytes_max: int
    payload_max: int
    durable: bool
    """Whether the devices have an outbox on a disk, which outlives them."""
    remembers: bool
    """Whether the gateway keeps its senders' records, and its application's effects, on a disk."""
    disk_s: float
    """How long a write to a disk takes at most, to its commit and again until it is told."""
    disk_fail: float
    """Chance that a write fails."""
    channels: int
    """Ordered channels between two hosts."""
    busy: float
    """Chance that an application has no time for a message."""
    retry_s: float
    """After how long it wants such a message again."""
    window_bytes: int
    resize_per_s: float
    """How often a receiver moves its window, shut and open again."""
    drain_per_s: float
    """How often a side ends its connection in order."""
    max_senders: int
    """How many devices the gateway remembers; fewer than there are makes it forget, and turn some away for good."""


def _maybe(rng: Random, chance: float, low: float, high: float) -> float:
    """Draw a rate, or 0: a world without one kind of fault finds bugs that a world with all of them hides."""
    value = rng.uniform(low, high)
    return value if rng.random() < chance else 0.0


def draw_profile(rng: Random) -> Profile:
    """Draw the world that a seed stands for."""
    return Profile(
        devices=rng.choice((1, 1, 1, 2)),
        messages=rng.randint(5, 40),
        span_s=rng.choice((3.0, 8.0, 20.0)),
        latency_s=rng.choice((0.0, 0.001, 0.02, 0.1, 0.5)),
        jitter_s=rng.choice((0.0, 0.005, 0.1)),
        drop=_maybe(rng, 0.5, 0.005, 0.25),
        duplicate=_maybe(rng, 0.4, 0.01, 0.3),
        reorder=_maybe(rng, 0.3, 0.01, 0.2),
        damage=_maybe(rng, 0.3, 0.005, 0.1),
        cut=_maybe(rng, 0.4, 0.005, 0.1),
        half_open=rng.choice((0.0, 0.0, 0.3, 1.0)),
        slice=rng.choice((0.0, 0.1, 0.9)),
        partition_per_s=_maybe(rng, 0.3, 0.05, 0.5),
        crash_per_s=_maybe(rng, 0.4, 0.05, 0.5),
        zombie=rng.choice((0.0, 0.0, 0.0, 0.5)),
        think_s=rng.choice((0.0, 0.0, 0.01, 0.5, 2.0)),
        refuse=_maybe(rng, 0.2, 0.02, 0.3),
        deadline_s=rng.choice((0.5, 3.0, 10.0, 30.0)),
        withdraw_per_s=_maybe(rng, 0.2, 0.05, 0.5),
        cancel=_maybe(rng, 0.3, 0.02, 0.3),
        max_retries=rng.choice((None, 0, 3, 3)),
        window=rng.choice((1, 2, 5, 64, 1024)),
        send_queue_max=rng.choice((2, 100)),
        turn_bytes_max=rng.choice((1, 300, 1 << 18)),
        payload_max=rng.choice((0, 40, 2000)),
        max_senders=rng.choice((1, 2, 2, 2, 2)),
        durable=rng.choice((False, False, True)),
        remembers=rng.choice((False, False, True)),
        disk_s=rng.choice((0.0, 0.001, 0.02, 0.5)),
        disk_fail=_maybe(rng, 0.2, 0.02, 0.3),
        channels=rng.choice((1, 1, 2, 3)),
        busy=_maybe(rng, 0.25, 0.02, 0.4),
        retry_s=rng.choice((0.0, 0.1, 1.0)),
        window_bytes=rng.choice((1, 300, 5000, 1 << 24, 1 << 24)),
        resize_per_s=_maybe(rng, 0.2, 0.1, 1.0),
        drain_per_s=_maybe(rng, 0.2, 0.05, 0.5),
    )


def root_generator(seed: int) -> Random:
    """Return the generator from which a seed's world draws everything."""
    return Random(seed)


def draw_profile_of(seed: int) -> Profile:
    """Draw the profile of a seed without its world."""
    return draw_profile(Random(root_generator(seed).getrandbits(64)))


class UnknownField(UsageError):
    """Raised when a profile has no field of that name."""


P = TypeVar("P", bound=msgspec.Struct)


def with_overrides(profile: P, overrides: Mapping[str, str]) -> P:
    """Return the profile with fields set from text, as a command line gives it.

    Raises:
        UnknownField: naming the nearest field.
        msgspec.ValidationError: when a value is of the wrong kind.
    """
    for name in overrides:
        if name not in profile.__struct_fields__:
            near = difflib.get_close_matches(name, profile.__struct_fields__, n=1)
            hint = f"; {near[0]}?" if near else f"; there are {', '.join(profile.__struct_fields__)}"
            raise UnknownField(f"no field {name!r} in a profile{hint}")
    if not overrides:
        return profile
    return msgspec.convert({**msgspec.to_builtins(profile), **overrides}, type(profile), strict=False)
