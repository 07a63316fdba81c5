"""The parts of document 001's stand-ins that need no socket: terminals, and what a daemon knows of them."""

import pytest

from agt.chaos.demo.agtmux._follower import Follower
from agt.chaos.demo.agtmux._names import session_name
from agt.chaos.demo.agtmux._terminals import InvalidCursor, Terminals
from agt.supervisor.contracts import Recovery


def followed(terminals: Terminals) -> Follower:
    """A daemon that has read everything once."""
    follower = Follower("mux.sock", now=0.0)
    follower.heard(now=0.0)
    follower.read_anew(*terminals.everything(), now=0.0, counted=False)
    return follower


def test_two_daemons_that_follow_the_same_events_list_the_same() -> None:
    """One from the beginning, one that came later: same panes, same signature, also when a session has ended."""
    terminals = Terminals()
    terminals.begin("session-alpha")
    early = followed(terminals)
    terminals.begin("session-beta", mode="poll")
    terminals.switch_mode("session-alpha")
    terminals.end("session-beta")
    early.heard(now=1.0)
    assert early.take(terminals.events(early.after), now=1.0) == 5
    assert early.panes() == followed(terminals).panes()
    assert early.status(now=1.0)["conflicts"] == 0


def test_command_acts_once_in_a_session_that_is_there() -> None:
    """A number that has been passed does nothing; a session that has ended takes nothing."""
    terminals = Terminals()
    terminals.begin("session-alpha")
    assert terminals.act("session-alpha", 2, 7, now=0.0) is True
    assert terminals.act("session-alpha", 2, 7, now=0.0) is False
    assert terminals.act("session-alpha", 1, 7, now=0.0) is False
    assert terminals.act("session-beta", 1, 7, now=0.0) is None


def test_third_refused_cursor_reads_everything_anew() -> None:
    """A source that starts anew refuses ours; the resync is counted, and following goes on behind it."""
    terminals = Terminals()
    terminals.begin("session-alpha")
    follower = followed(terminals)
    terminals.forget()
    with pytest.raises(InvalidCursor):
        terminals.events(follower.after)
    assert [follower.refused(now=at) for at in (1.0, 2.0, 3.0)][1:] == [Recovery.RETRY_COMMITTED, Recovery.FULL_RESYNC]
    follower.read_anew(*terminals.everything(), now=3.0)
    terminals.begin("session-beta")
    assert follower.take(terminals.events(follower.after), now=4.0) == 2
    status = follower.status(now=4.0)
    assert (status["full_resyncs"], status["invalid_cursors"]) == (1, 3)


def test_events_of_a_source_that_is_not_active_change_nothing() -> None:
    """It fell silent, so nobody can say that these are its."""
    terminals = Terminals()
    terminals.begin("session-alpha")
    follower = followed(terminals)
    follower.look(now=100.0)
    terminals.begin("session-beta")
    assert follower.take(terminals.events(follower.after), now=100.0) == 0
    assert follower.status(now=100.0)["sources"] == {"mux": "stale"}


def test_sessions_are_named_as_plans_name_them() -> None:
    """By letters first, then by number."""
    assert [session_name(number) for number in (0, 1, 12)] == ["session-alpha", "session-beta", "session-13"]
