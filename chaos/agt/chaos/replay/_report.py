"""What a replay prints: for programs as JSON, for people as two columns."""

from typing import Final

import msgspec

from agt.chaos.replay._capture import Capture
from agt.chaos.replay._compare import RunReport
from agt.chaos.replay._script import Script


class CaptureReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the file held."""

    chunks: int
    packets: int
    by_type: dict[str, int]
    devices: int
    injected: int
    malformed: int
    """Bytes that are no packets."""
    unattributed: int
    """Messages whose device the capture doesn't tell."""


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer."""

    capture: CaptureReport
    runs: dict[str, RunReport]
    """By path: control, candidate."""
    seed: int
    seconds: float

    @property
    def sound(self) -> bool:
        """Whether the candidate lost nothing and changed nothing."""
        return self.runs["candidate"].sound

    def as_json(self) -> str:
        """Write it for programs."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    def as_text(self) -> str:
        """Write it for people."""
        facts = self.capture
        devices = f"{facts.devices} device{'' if facts.devices == 1 else 's'}"
        lines = [
            f"{facts.packets} packets in {facts.chunks} chunks from {devices}"
            f" ({', '.join(f'{code} {count}' for code, count in facts.by_type.items())})",
            f"{facts.injected} chunks injected, {facts.malformed} bytes malformed,"
            f" {facts.unattributed} messages dealt to the devices in turn",
            "",
            f"{'':<16}{'control':>12}{'candidate':>12}",
        ]
        control, candidate = self.runs["control"], self.runs["candidate"]
        lines += [
            f"{name.replace('_', ' '):<16}{getattr(control, name):>12}{getattr(candidate, name):>12}"
            for name in _COUNTED
        ]
        lines += [f"{name + ' ms':<16}{_ms(control, name):>12}{_ms(candidate, name):>12}" for name in ("p50", "p99")]
        verdict = "the candidate lost and changed nothing" if self.sound else "the candidate lost or changed packets"
        return "\n".join([*lines, "", f"{verdict}; seed {self.seed}, {self.seconds:.1f} s"])


_COUNTED: Final = tuple(name for name in RunReport.__struct_fields__ if name != "latency_ms")


def _ms(run: RunReport, name: str) -> str:
    value = getattr(run.latency_ms, name)
    return "-" if value is None else f"{value:.1f}"


def describe(capture: Capture, script: Script) -> CaptureReport:
    """Sum up what a file held."""
    return CaptureReport(
        chunks=capture.chunks,
        packets=len(capture.packets),
        by_type=capture.by_type(),
        devices=len(script.parts),
        injected=capture.injected,
        malformed=capture.malformed,
        unattributed=script.unattributed,
    )
