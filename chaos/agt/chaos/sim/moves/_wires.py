"""What the legacy wires of router worlds look like, as a device and a network see them: hello, command, reply.

Two wires: `cync` (unmodified devices, moved in place) and `lines`. A command's own number is in it.
"""

from agt.transport.wires.cync import DATA, answer, hello, one_packet, packet_size, power_command

CYNC_HEADER = 5
TARGET = 0x50
_COUNTER = slice(14, 18)


def endpoint_of(device: str) -> bytes:
    """Return a cync device's endpoint: its name is that in hex."""
    return bytes.fromhex(device)


def device_name(wire: str, index: int) -> str:
    """Return the name of a world's device."""
    return f"{0xA0000000 + index:08x}" if wire == "cync" else f"lamp-{index}"


def command(wire: str, device: str, number: int) -> bytes:
    """Return a command as the device's wire wants it."""
    if wire == "cync":
        return power_command(endpoint_of(device), TARGET, on=bool(number % 2), number=number).data
    return b"set %d %d" % (number, number % 101)


def legacy_hello(wire: str, device: str, *, sequenced: bool) -> bytes:
    """Return what a device says first."""
    if wire == "cync":
        return hello(endpoint_of(device)).data
    return f"hello {device}{' seq' if sequenced else ''}\n".encode()


def legacy_frames(wire: str, data: bytes) -> tuple[list[bytes], bytes]:
    """Cut bytes into whole frames and the rest."""
    frames: list[bytes] = []
    while (size := _size(wire, data)) and len(data) >= size:
        frames.append(data[:size])
        data = data[size:]
    return frames, data


def split_legacy(wire: str, data: bytes) -> list[bytes]:
    """Cut what one turn wrote into frames, for the network to strike."""
    frames, rest = legacy_frames(wire, data)
    return [*frames, rest] if rest else frames


def number_of(wire: str, frame: bytes) -> int | None:
    """Return a command's number; None for anything else."""
    if wire == "cync":
        return int.from_bytes(frame[_COUNTER], "little") if frame[0] == DATA else None
    words = frame.split()
    return int(words[1]) if words[:1] == [b"set"] else None


def reply_to(wire: str, frame: bytes) -> bytes:
    """Return what a device answers to a command."""
    if wire == "cync":
        reply = answer(one_packet(frame))
        assert reply is not None, "a command has an answer"
        return reply.data
    return b"ok " + frame.split()[1] + b"\n"


def _size(wire: str, data: bytes) -> int:
    if wire == "cync":
        return (packet_size(data) or 0) if len(data) >= CYNC_HEADER else 0
    return data.find(b"\n") + 1
