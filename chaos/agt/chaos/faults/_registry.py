"""Faults by name, for scenario files and the command line."""

import inspect

from agt.chaos.faults._bandwidth import Bandwidth
from agt.chaos.faults._corrupt import Corrupt
from agt.chaos.faults._cut import Cut
from agt.chaos.faults._down import Down
from agt.chaos.faults._drop import Drop
from agt.chaos.faults._duplicate import Duplicate
from agt.chaos.faults._fault import Fault
from agt.chaos.faults._jitter import Jitter
from agt.chaos.faults._latency import Latency
from agt.chaos.faults._limit import Limit
from agt.chaos.faults._reorder import Reorder
from agt.chaos.faults._reset import Reset
from agt.chaos.faults._slice import Slice
from agt.chaos.faults._slow_close import SlowClose
from agt.chaos.faults._stall import Stall

FAULTS: dict[str, type[Fault]] = {
    fault.kind: fault
    for fault in (
        Bandwidth,
        Corrupt,
        Cut,
        Down,
        Drop,
        Duplicate,
        Jitter,
        Latency,
        Limit,
        Reorder,
        Reset,
        Slice,
        SlowClose,
        Stall,
    )
}
"""Every fault that can be named, by its kind."""


def make_fault(kind: str, **fields: float) -> Fault:
    """Make a fault from its name and its fields.

    Raises:
        ValueError: when there is no such kind, or it has no such field; the message names what there is.
    """
    if kind not in FAULTS:
        raise ValueError(f"unknown fault {kind!r}; there are {', '.join(sorted(FAULTS))}")
    made = FAULTS[kind]
    known = tuple(inspect.signature(made).parameters)
    wrong = sorted(set(fields) - set(known))
    if wrong:
        raise ValueError(f"fault {kind!r} has no field {', '.join(wrong)}; it has {', '.join(known) or 'none'}")
    try:
        return made(**fields)
    except TypeError as problem:
        raise ValueError(f"fault {kind!r} needs all of {', '.join(known)}") from problem
