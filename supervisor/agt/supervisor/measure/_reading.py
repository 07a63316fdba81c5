"""What can be said of one metric at one instant: a number with what it rests on, or why there is none."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """One number, and what it rests on."""

    value: float | None
    samples: int = 0
    stuck: int = 0
    """Messages in flight for longer than the latency limit; they are among the samples."""
    why: str = ""
    """Why there is no value."""
