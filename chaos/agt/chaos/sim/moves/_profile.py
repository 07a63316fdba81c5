"""What kind of router world a seed makes: wire, barrier, devices, faults, and what the operator does."""

from random import Random

import msgspec

from agt.chaos.sim._profile import root_generator
from agt.transport import Barrier


class RouterProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is chosen once a run; the network's rates are chances a frame."""

    devices: int
    messages: int
    """Commands to each device while things go wrong."""
    span_s: float
    """How long things go wrong."""
    wire: str
    """`lines` (a legacy socket with a native attachment beside it) or `cync` (moved in place)."""
    barrier: str
    """What both paths of a `lines` device promise."""
    redial: bool
    """Whether a device has one attachment at a time."""
    report: float
    """Share of commands that must never be sent again when in doubt."""
    deadline_s: float
    reaction_s: float
    """Longest a device takes to answer."""
    latency_s: float
    legacy_lag_s: float
    """By how much legacy sockets are slower."""
    jitter_s: float
    drop: float
    duplicate: float
    reorder: float
    damage: float
    cut: float
    half_open: float
    slice: float
    stall_per_s: float
    """How often all bytes stop for a while."""
    device_crash_per_s: float
    crash_per_s: float
    """How often the gateway is killed."""
    crash_at_write: float
    """Chance that it dies at a durable step."""
    full_per_s: float
    """How often the disk is full for a while."""
    corrupt_per_s: float
    """How often somebody leaves a broken selector."""
    changes: int
    """What the operator does, in number."""
    kills: float
    """Chance that a change is a kill, or its end."""

    @property
    def sequenced(self) -> bool:
        """Whether devices keep one watermark over all attachments."""
        return self.wire == "lines" and self.barrier == Barrier.SEQUENCE.value


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """The rates of one network."""

    latency_s: float
    jitter_s: float
    drop: float
    duplicate: float
    reorder: float
    damage: float
    cut: float
    half_open: float
    slice: float


def native_weather(profile: RouterProfile) -> Weather:
    """Return what strikes native attachments: everything, since their wire promises to bear it."""
    return msgspec.convert(profile, Weather, from_attributes=True)


def legacy_weather(profile: RouterProfile) -> Weather:
    """Return what strikes legacy sockets: what happens to a byte stream, since nobody there keeps order but TCP."""
    weather = native_weather(profile)
    calm = {"duplicate": 0.0, "reorder": 0.0, "damage": 0.0, "half_open": 0.0}
    return msgspec.structs.replace(weather, latency_s=weather.latency_s + profile.legacy_lag_s, **calm)


def _maybe(rng: Random, chance: float, low: float, high: float) -> float:
    value = rng.uniform(low, high)
    return value if rng.random() < chance else 0.0


def draw_router_profile(rng: Random) -> RouterProfile:
    """Draw the world that a seed stands for."""
    wire = rng.choice(("lines", "lines", "lines", "cync"))
    return RouterProfile(
        devices=rng.choice((1, 1, 2, 3)),
        messages=rng.randint(10, 50),
        span_s=rng.choice((5.0, 10.0, 20.0)),
        wire=wire,
        barrier=rng.choice([barrier.value for barrier in (*Barrier, Barrier.SEQUENCE)]) if wire == "lines" else "ack",
        redial=rng.random() < 0.25 and wire == "lines",
        report=rng.choice((0.0, 0.0, 0.3, 1.0)),
        deadline_s=rng.choice((3.0, 15.0, 30.0)),
        reaction_s=rng.choice((0.0, 0.05, 0.3, 2.0)),
        latency_s=rng.choice((0.0, 0.001, 0.02, 0.2)),
        legacy_lag_s=rng.choice((0.0, 0.0, 0.5)),
        jitter_s=rng.choice((0.0, 0.005, 0.1)),
        drop=_maybe(rng, 0.4, 0.005, 0.2),
        duplicate=_maybe(rng, 0.3, 0.01, 0.2),
        reorder=_maybe(rng, 0.3, 0.01, 0.2),
        damage=_maybe(rng, 0.2, 0.005, 0.05),
        cut=_maybe(rng, 0.4, 0.005, 0.08),
        half_open=rng.choice((0.0, 0.0, 0.3)),
        slice=rng.choice((0.0, 0.1, 0.9)),
        stall_per_s=_maybe(rng, 0.3, 0.05, 0.3),
        device_crash_per_s=_maybe(rng, 0.2, 0.05, 0.2),
        crash_per_s=_maybe(rng, 0.4, 0.05, 0.4),
        crash_at_write=_maybe(rng, 0.3, 0.005, 0.08),
        full_per_s=_maybe(rng, 0.2, 0.05, 0.2),
        corrupt_per_s=_maybe(rng, 0.2, 0.05, 0.2),
        changes=rng.randint(1, 8),
        kills=rng.choice((0.0, 0.0, 0.3, 0.6)),
    )


def router_profile_of(seed: int) -> RouterProfile:
    """Draw the profile of a seed without its world."""
    return draw_router_profile(Random(root_generator(seed).getrandbits(64)))
