"""What a fault is: plain fields, and one method that changes what becomes of a frame.

A fault knows neither sockets nor clocks, neither how often it strikes nor whom: probability, scope and duration
belong to the rule that the proxy keeps around it (`agt.chaos.proxy`). That makes every fault a few lines, and every
combination of them a list. *Standing* faults are about the connection rather than about one frame: they are asked
again whenever their rule, or the scope of it, may have changed.
"""

import math
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar, Protocol


@dataclass(slots=True)
class Passage:
    """One frame on its way through the proxy, and what the faults have decided about it so far."""

    copies: list[bytes] = field(default_factory=list)
    """What goes on: empty when the frame was dropped, two entries when it was doubled, pieces when it was sliced."""
    delay_s: float = 0.0
    """Seconds that the frame is held. Later frames wait behind it, as they would on TCP."""
    overtaken_by: int = 0
    """How many later frames pass before this one."""
    stalled: bool = False
    """Nothing passes while this is true; what arrives is held."""
    severed: bool = False
    """The connection is to be ended, and what was held is lost."""
    refused: bool = False
    """Nobody is to be let in: the listening socket closes."""
    linger_s: float = 0.0
    """Seconds by which the end of a direction is passed on late."""
    bits_per_s: float = math.inf
    """What the line carries; a frame waits until all before it have been carried."""
    apart: bool = False
    """The copies are pieces that leave one by one."""
    pause_s: float = 0.0
    """Seconds between two pieces."""
    passed: int = 0
    """Bytes that this direction let pass before the frame; for the faults to look at."""
    ends: bool = False
    """What is left of the frame is the last that passes; then the connection ends."""


class Fault(Protocol):
    """One way of harming traffic; add it to a proxy with `FaultProxy.add`."""

    kind: ClassVar[str]
    """The name that scenario files and the command line use."""
    standing: ClassVar[bool]
    """Whether it speaks about the connection (asked at any time) rather than about each frame."""

    def act(self, passage: Passage, rng: Random) -> None:
        """Change what becomes of a frame, drawing only from `rng`, so that a seed replays it."""
        ...
