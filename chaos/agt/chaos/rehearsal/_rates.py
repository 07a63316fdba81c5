"""How many messages a second recorded traffic has."""

from pathlib import Path

from agt.chaos.replay import CaptureRefused, read_capture


class RateUnknown(Exception):
    """Raised when a capture can't be read, or holds too little to have a rate."""


def rate_of(path: Path) -> float:
    """Return the packets a second of a capture, from its devices.

    Raises:
        RateUnknown: when it can't be said.
    """
    try:
        packets = read_capture(path.read_bytes()).packets
    except (CaptureRefused, OSError) as error:
        raise RateUnknown(f"{path}: {error}") from error
    seconds = (packets[-1].at - packets[0].at).total_seconds() if packets else 0.0
    if seconds <= 0:
        raise RateUnknown(f"{path} holds no time to count in")
    return sum(packet.from_device for packet in packets) / seconds
