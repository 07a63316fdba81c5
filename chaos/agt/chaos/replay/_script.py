"""Who says what: the capture's messages, dealt to simulated devices.

Each hello makes a device. A message with an endpoint belongs to the device that last said hello under it; one without
goes to the connected devices in turn, since the capture names no connection, and is counted as unattributed. Answers
are not messages: each side makes its own by the protocol.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from agt.chaos.replay._capture import Capture, Captured, CaptureRefused
from agt.transport.wires.cync import FROM_CONTROLLER, FROM_DEVICE, HELLO, TIME, TIME_ACK, TYPES


@dataclass(frozen=True, slots=True)
class Line:
    """One message of the script."""

    at_s: float
    """Seconds after the first packet of the capture."""
    data: bytes

    @property
    def type(self) -> int:
        """The packet's type code."""
        return self.data[0]


@dataclass(slots=True)
class Part:
    """What one device says, and what the controller says to it."""

    endpoint: str
    """In hex."""
    requests: list[Line] = field(default_factory=list)
    """The device's, its hello first."""
    commands: list[Line] = field(default_factory=list)
    """The controller's."""
    time_answers: list[bytes] = field(default_factory=list)
    """Bodies of the time answers that its time requests got."""


@dataclass(slots=True)
class Script:
    """A whole capture, ready to be played."""

    parts: list[Part] = field(default_factory=list)
    unattributed: int = 0
    """Messages whose device the capture doesn't tell."""
    unplayable: int = 0
    """Messages before the first hello, or that this side never sends."""
    answers: Counter[bytes] = field(default_factory=Counter)
    """Every answer in the capture, for comparison."""

    @property
    def messages(self) -> int:
        """How many messages one run sends."""
        return sum(len(part.requests) + len(part.commands) for part in self.parts)

    @property
    def answer_types(self) -> frozenset[int]:
        """Types of answers that the capture has at all."""
        return frozenset(answer[0] for answer in self.answers)


def write_script(capture: Capture, *, max_devices: int) -> Script:
    """Deal the messages of a capture to its devices.

    Raises:
        CaptureRefused: when it has no hello, and so no device, or too many.
    """
    script = Script()
    by_endpoint: dict[str, Part] = {}
    time_answers = _time_answers(capture)
    start = capture.packets[0].at
    turn = 0
    for captured in capture.packets:
        packet = captured.packet
        if not TYPES[packet.type].is_request:
            script.answers[packet.data] += 1
            continue
        endpoint = packet.endpoint.hex() if packet.endpoint else ""
        if captured.from_device and packet.type == HELLO:
            by_endpoint[endpoint] = Part(endpoint)
            script.parts.append(by_endpoint[endpoint])
        body = next(time_answers, None) if packet.type == TIME else None
        if not script.parts or packet.type not in (FROM_DEVICE if captured.from_device else FROM_CONTROLLER):
            script.unplayable += 1
            continue
        part = by_endpoint.get(endpoint)
        if part is None:
            part = script.parts[turn % len(script.parts)]
            turn += 1
            script.unattributed += 1
        line = Line(max((captured.at - start).total_seconds(), 0.0), packet.data)
        (part.requests if captured.from_device else part.commands).append(line)
        if body is not None:
            part.time_answers.append(body)
    if not script.parts:
        raise CaptureRefused("has no hello (0x23) from a device, so there is nobody to simulate")
    if len(script.parts) > max_devices:
        raise CaptureRefused(f"has {len(script.parts)} hellos, and at most {max_devices} devices are simulated at once")
    return script


def _time_answers(capture: Capture) -> Iterator[bytes]:
    """Yield the bodies of time answers in order: the first belongs to the first time request, and so on."""

    def is_time_answer(captured: Captured) -> bool:
        return captured.packet.type == TIME_ACK and not captured.from_device

    return (captured.packet.body for captured in capture.packets if is_time_answer(captured))
