"""The demo's legacy listener at its end: warned, refused, and never cut in the middle of a command."""

from typing import cast

import msgspec

from agt.chaos.demo._legacy_policy import PATIENCE_LOOKS, REFUSAL, WARNING, LegacyPolicy
from agt.router import MemorySelector, Route, Router, Runtimes, Selector
from agt.transport import Session

RUNTIMES = Runtimes(control="v4", candidate="v5")


class Peer:
    """A session of the listener, as far as the policy knows it: what it was told, and what it still owes."""

    def __init__(self, unanswered: int) -> None:
        self.unanswered = unanswered
        self.told: list[bytes] = []
        self.ended = ""

    def write_nowait(self, payload: bytes) -> None:
        self.told.append(payload)

    def disconnect(self, reason: str) -> None:
        self.ended = reason


def policy(mode: str, **peers: Peer) -> LegacyPolicy:
    """A policy over these sessions, with a selector in that mode."""
    route = msgspec.convert({"legacy_listener": mode}, Route)
    selector = Selector(runtimes=RUNTIMES, runtime=route)
    return LegacyPolicy(Router(MemorySelector(selector), runtimes=RUNTIMES), cast("dict[str, Session]", peers))


def test_refused_session_is_closed_between_commands() -> None:
    """Told at once; closed at the next look when it owes nothing, later when it still answers."""
    idle, busy = Peer(0), Peer(2)
    legacy = policy("refuse", idle=idle, busy=busy)
    legacy.look()
    assert (idle.told, busy.told, idle.ended) == ([REFUSAL], [REFUSAL], "")
    legacy.look()
    assert (idle.ended, busy.ended) == ("the legacy listener is retired", "")
    busy.unanswered = 0
    legacy.look()
    assert busy.ended


def test_session_that_never_answers_has_its_time_and_no_more() -> None:
    """A bounded wait: as long as a reply is waited for anywhere."""
    silent = Peer(1)
    legacy = policy("refuse", silent=silent)
    for _ in range(PATIENCE_LOOKS):
        legacy.look()
        assert not silent.ended
    legacy.look()
    assert silent.ended


def test_warned_session_goes_on() -> None:
    """Once in words, and nothing is closed."""
    peer = Peer(0)
    legacy = policy("warn", peer=peer)
    for _ in range(3):
        legacy.look()
    assert (peer.told, peer.ended) == ([WARNING], "")
