"""The network mode: measured from the ways to a router's peers, and what it says in words; see docs/guides/modes.md."""

from agt.router._mode import Mode, ModeDetector, ModeLimits, ModeReport, ModeSample, classify
from agt.router._mode_rounds import MeasuredWay, RoundLimits, Rounds
from agt.router._mode_status import ModeStatus, mode_line, sample_words
from agt.router._mode_watch import watch_mode

__all__ = (
    "MeasuredWay",
    "Mode",
    "ModeDetector",
    "ModeLimits",
    "ModeReport",
    "ModeSample",
    "ModeStatus",
    "RoundLimits",
    "Rounds",
    "classify",
    "mode_line",
    "sample_words",
    "watch_mode",
)
