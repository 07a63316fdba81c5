"""The life of one connection as a table: which step leads where, and which frames may come meanwhile.

A missing pair *is* the illegal transition. `docs/architecture/protocol-specification.md` shows the same table, and a
test compares the two.
"""

import enum
from collections.abc import Mapping
from typing import Final

from agt.transport.wires.native._frames import FrameType


class Role(enum.Enum):
    """Which half of the handshake a link plays."""

    DIALLING = "dialling"
    ACCEPTING = "accepting"


class State(enum.Enum):
    """Where a link stands with its present connection."""

    IDLE = "idle"
    """There is no connection."""
    GREETING = "greeting"
    """We dialled, said hello, and wait to be welcomed."""
    LISTENING = "listening"
    """We accepted and wait for the hello."""
    WELCOMED = "welcomed"
    """We answered the hello; nothing shows yet that our answer has arrived."""
    OPEN = "open"
    """Both sides know each other."""
    ENDED = "ended"
    """We want this connection gone; its bytes mean nothing any more."""


class Step(enum.Enum):
    """What moves a link from one state to another."""

    DIALLED = "dialled"
    ACCEPTED = "accepted"
    HELLO_TAKEN = "hello taken"
    WELCOME_TAKEN = "welcome taken"
    CONFIRMED = "confirmed"
    DROPPED = "dropped"
    LOST = "lost"


NEXT: Final[Mapping[tuple[State, Step], State]] = {
    (State.IDLE, Step.DIALLED): State.GREETING,
    (State.IDLE, Step.ACCEPTED): State.LISTENING,
    (State.GREETING, Step.WELCOME_TAKEN): State.OPEN,
    (State.GREETING, Step.DROPPED): State.ENDED,
    (State.GREETING, Step.LOST): State.IDLE,
    (State.LISTENING, Step.HELLO_TAKEN): State.WELCOMED,
    (State.LISTENING, Step.DROPPED): State.ENDED,
    (State.LISTENING, Step.LOST): State.IDLE,
    (State.WELCOMED, Step.CONFIRMED): State.OPEN,
    (State.WELCOMED, Step.DROPPED): State.ENDED,
    (State.WELCOMED, Step.LOST): State.IDLE,
    (State.OPEN, Step.DROPPED): State.ENDED,
    (State.OPEN, Step.LOST): State.IDLE,
    (State.ENDED, Step.LOST): State.IDLE,
}

_TRAFFIC: Final = frozenset(
    {
        FrameType.DATA,
        FrameType.BATCH,
        FrameType.ACK,
        FrameType.SKIP,
        FrameType.PING,
        FrameType.PONG,
        FrameType.GO_AWAY,
        FrameType.DRAIN,
        FrameType.PROBE,
        FrameType.PROBED,
    }
)

ALLOWED_FRAMES: Final[Mapping[State, frozenset[FrameType]]] = {
    State.IDLE: frozenset(),
    State.GREETING: frozenset({FrameType.WELCOME, FrameType.GO_AWAY}),
    State.LISTENING: frozenset({FrameType.HELLO}),
    State.WELCOMED: _TRAFFIC | {FrameType.HELLO},
    State.OPEN: _TRAFFIC | {FrameType.HELLO, FrameType.WELCOME},
    State.ENDED: frozenset(),
}
"""Which frames may come in which state; a hello or welcome that comes again must be the same, byte for byte."""

FLOWING: Final = frozenset({State.WELCOMED, State.OPEN})
"""Where messages may be sent."""

NUMBERED: Final = frozenset({FrameType.DATA, FrameType.BATCH, FrameType.SKIP})
"""Frames that fill a place in the sequence: one that can't be taken leaves a gap."""
