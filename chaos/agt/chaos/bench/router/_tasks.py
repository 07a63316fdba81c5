"""What the router bench's processes are told, and what they answer: one JSON object each way."""

import msgspec


class DecideTask(msgspec.Struct, frozen=True, tag="decide"):
    """Know many devices, weigh them, and decide for some of them at random."""

    devices: int
    decisions: int


class RouteTask(msgspec.Struct, frozen=True, tag="route"):
    """Send to a receiver in another process: bare, over a path, and through a router with many devices."""

    path: str
    """`reliable` or `legacy`."""
    port: int
    rounds: int
    messages: int
    """Messages of each way in each round, for each window."""
    windows: tuple[int, ...]


class ServeTask(msgspec.Struct, frozen=True, tag="serve"):
    """Be the device at the other end of a path."""

    path: str


class MoveTask(msgspec.Struct, frozen=True, tag="move"):
    """Move many devices with messages in flight to the candidate and back, and kill."""

    devices: int
    in_flight: int
    """Unanswered messages of each device when it moves."""
    drain_s: float
    """Longest drain of one that doesn't answer."""


Task = DecideTask | RouteTask | ServeTask | MoveTask


class Times(msgspec.Struct, frozen=True):
    """Nanoseconds of one decision."""

    p50: float
    p99: float


class Decided(msgspec.Struct, frozen=True):
    """What a process that knows many devices found."""

    attach_us: float
    """Microseconds to take a device in."""
    rss_per_device_bytes: float
    """Resident memory that each device has cost, without its name and its paths."""
    rss_per_device_that_sent_bytes: float
    """The same when each has sent a message that was delivered."""
    timer_ns: float
    """What reading the clock costs; it is part of the times below."""
    in_turn: Times
    """Devices in the order in which they came, as a change of route asks them; without a salt."""
    unsalted: Times
    """Devices at random, by name."""
    salted: Times
    """The same with a salt."""


class Routed(msgspec.Struct, frozen=True):
    """Processor microseconds a message at the sender, for each way, in each round."""

    session_us: dict[str, list[float]]
    """Sent on the transport's session, by window."""
    path_us: dict[str, list[float]]
    """Sent on the path, with a `Message` made for each."""
    router_us: dict[str, list[float]]
    """Sent through the router, with a `Message` made for each."""


class Moved(msgspec.Struct, frozen=True):
    """Milliseconds of one change of route."""

    routed_ms: float
    settled_ms: float


class Moves(msgspec.Struct, frozen=True):
    """Changes of route, each with messages in flight on every device."""

    raised: Moved
    """From 0 % to 100 %, all answers coming at once."""
    lowered: Moved
    """Back to 0 %."""
    killed: Moved
    """By the kill."""
    killed_silent: Moved
    """By the kill, with a fleet that doesn't answer: the drain's deadline settles it."""
