"""What the bench's processes are told, and what they answer: one JSON object each way."""

import asyncio
import sys

import msgspec


class ReceiveTask(msgspec.Struct, frozen=True, tag="receive"):
    """Serve a subject."""

    subject: str
    loop: str


class SendTask(msgspec.Struct, frozen=True, tag="send"):
    """Send to a receiver, awaited and in batches."""

    subject: str
    loop: str
    port: int
    receiver_pid: int
    windows: tuple[int, ...] = (64, 1000)
    warm_up: int = 10_000
    messages: int = 150_000
    """Messages for each window."""
    batched: int = 300_000
    """Messages sent in batches."""


class RoundTripTask(msgspec.Struct, frozen=True, tag="round-trips"):
    """Measure round trips, both ends on one core."""

    subject: str
    loop: str
    round_trips: int = 5_000


class ListenTask(msgspec.Struct, frozen=True, tag="listen"):
    """Serve connections that stay idle."""

    loop: str
    connections: int


class DialTask(msgspec.Struct, frozen=True, tag="dial"):
    """Hold connections that stay idle."""

    loop: str
    port: int
    connections: int


Task = ReceiveTask | SendTask | RoundTripTask | ListenTask | DialTask


class Ready(msgspec.Struct, frozen=True):
    """A receiver listens."""

    port: int


class Counted(msgspec.Struct, frozen=True):
    """What a receiver was handed."""

    unique: int
    unexpected: int


class Sent(msgspec.Struct, frozen=True):
    """What a sender reached."""

    sent: int
    acknowledged: int
    acked_per_s: dict[str, float]
    batch_acked_per_s: float
    sender_cpu_s_per_100k: float
    receiver_cpu_s_per_100k: float


class Trips(msgspec.Struct, frozen=True):
    """Round trips, in microseconds."""

    p50_us: float
    p99_us: float


class Idle(msgspec.Struct, frozen=True):
    """One end of the idle connections: its memory before and with them."""

    connections: int
    rss_before_bytes: int
    rss_bytes: int


def say(line: msgspec.Struct) -> None:
    """Write one line to whoever started this process."""
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()


async def stdin_ended() -> None:
    """Wait until whoever started this process closes its standard input, or is gone."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    loop.remove_reader(sys.stdin.fileno())
