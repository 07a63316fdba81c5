"""Captured device traffic, played through both paths over real sockets and compared byte for byte."""

from agt.chaos.replay._capture import Capture, CaptureRefused, read_capture
from agt.chaos.replay._compare import RunReport, compare
from agt.chaos.replay._play import Run, Settings, Stage
from agt.chaos.replay._report import CaptureReport, ReplayReport, describe
from agt.chaos.replay._script import Script, write_script

__all__ = (
    "Capture",
    "CaptureRefused",
    "CaptureReport",
    "ReplayReport",
    "Run",
    "RunReport",
    "Script",
    "Settings",
    "Stage",
    "compare",
    "describe",
    "read_capture",
    "write_script",
)
