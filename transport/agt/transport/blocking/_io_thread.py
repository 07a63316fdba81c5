"""The one thread of a blocking transport or listener: it waits for sockets and deadlines, and runs the callbacks.

Everything here may be called from any thread, except where it says that it belongs to the I/O thread. Callbacks run
without any lock held. The thread is a daemon, so that a program which forgets to close can still end; `stop` ends it.

Threads don't survive a fork. In the child every I/O thread is marked as left behind: whoever uses it is told so in
words, and its sockets are closed there (which the peer doesn't notice, since the parent still has them).
"""

import contextlib
import logging
import math
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from weakref import WeakSet

from agt.transport._alarms import Alarm, Alarms
from agt.transport._errors import UsageError
from agt.transport.blocking._poller import READ, Poller, make_poller

logger = logging.getLogger("agt.transport")

GRAIN_S = 0.001
"""Shortest pause between two looks at one deadline, so that a rounding error can't become a busy loop."""

_threads: "WeakSet[IOThread]" = WeakSet()


class IOThread:
    """Waits for sockets and deadlines, and calls back."""

    def __init__(self, name: str, on_end: Callable[[str], None]) -> None:
        """Make a thread that is not started yet.

        Args:
            name: of the thread, for debuggers and thread dumps.
            on_end: called in the thread when it ends, with why: empty when it was stopped.
        """
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._on_end = on_end
        self._poller: Poller | None = None
        self._alarms = Alarms()
        self._lock = threading.Lock()
        self._watched: dict[int, tuple[socket.socket, Callable[[int], None]]] = {}
        self._calls: deque[Callable[[], None]] = deque()
        self._bell: socket.socket | None = None
        self._button: socket.socket | None = None
        self._rung = False
        self._sleeps_until = math.inf
        self._stopping = False
        self._left_behind = False
        _threads.add(self)

    # From any thread

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in this thread."""
        return threading.get_ident() == self._thread.ident

    def check_usable(self) -> None:
        """Refuse to go on where nothing would ever happen.

        Raises:
            UsageError: in a child process that was forked while the thread ran.
        """
        if self._left_behind:
            raise UsageError("this was made before a fork and belongs to the parent process; make a new one here")

    def start(self) -> None:
        """Start the thread; what was armed and called before comes to pass now."""
        self._poller = make_poller()
        self._bell, self._button = socket.socketpair()
        self._bell.settimeout(0)
        self._button.settimeout(0)
        self._poller.watch(self._bell.fileno(), READ)
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread and wait for that, unless this is the thread itself."""
        self._stopping = True
        self.wake()
        if not self.is_current and self._thread.ident is not None:
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """Have the thread look around now."""
        if not self._rung and self._button is not None:
            self._rung = True
            with contextlib.suppress(OSError):  # Full: it will wake. Closed: there is nobody left to wake.
                self._button.send(b"\0")

    def call(self, callback: Callable[[], None]) -> None:
        """Have something called in the thread, soon, in the order of calling this."""
        self._calls.append(callback)
        if not self.is_current:  # The thread itself looks at its calls before it sleeps.
            self.wake()

    def arm(self, at: float, callback: Callable[[float], None]) -> Alarm:
        """Have `callback(now)` called in the thread, at `at` or a moment later."""
        with self._lock:
            alarm = self._alarms.arm(at, callback)
        if at < self._sleeps_until and not self.is_current:
            self.wake()
        return alarm

    def cancel(self, alarm: Alarm) -> None:
        """Call nobody for this alarm; a no-op when it has been called."""
        with self._lock:
            self._alarms.cancel(alarm)

    def watch(self, sock: socket.socket, events: int, ready: Callable[[int], None]) -> None:
        """Call back with the events whenever the socket is ready; an ended connection is, whatever is looked for.

        A socket that is still watched when the thread ends is closed.
        """
        if self._poller is None:
            sock.close()  # The thread has ended: nobody will look at it any more.
            return
        self._watched[sock.fileno()] = sock, ready
        self._poller.watch(sock.fileno(), events)

    def hear(self, sock: socket.socket, ready: Callable[[int], None]) -> None:
        """Call somebody else back for a watched socket."""
        self._watched[sock.fileno()] = sock, ready

    def change(self, sock: socket.socket, events: int) -> None:
        """Look for other events on a watched socket."""
        if self._poller is not None:
            self._poller.change(sock.fileno(), events)

    def forget(self, sock: socket.socket) -> None:
        """Look at a socket no more; to be called before it is closed."""
        if self._watched.pop(sock.fileno(), None) is not None and self._poller is not None:
            self._poller.forget(sock.fileno())

    # In the thread

    def _main(self) -> None:
        why, poller, bell = "the I/O thread failed; see the log", self._poller, self._bell
        assert poller is not None, "made by `start`"
        assert bell is not None, "made by `start`"
        try:
            while not self._stopping:
                self._turn(poller, bell)
            why = ""
        except BaseException:
            logger.exception("the I/O thread %s failed", self._thread.name)
        finally:
            try:
                self._on_end(why)
            finally:
                self._close()

    def _turn(self, poller: Poller, bell: socket.socket) -> None:
        now = time.monotonic()
        with self._lock:
            self._sleeps_until = self._alarms.earliest
        for fd, events in poller.wait(0.0 if self._calls else max(GRAIN_S, self._sleeps_until - now)):
            watched = self._watched.get(fd)
            if watched is not None:
                watched[1](events)
            elif fd == bell.fileno():
                bell.recv(64)
                self._rung = (
                    False  # After the reading: who rings from now on is heard, who rang before is served below.
                )
        while self._calls:
            self._calls.popleft()()
        self._call_due(time.monotonic())

    def _call_due(self, now: float) -> None:
        while True:
            with self._lock:
                callback = self._alarms.next_due(now)
            if callback is None:
                return
            callback(now)

    def _close(self) -> None:
        """Close everything that is watched; what is watched, armed or called from now on comes to nothing."""
        for sock, _ in self._watched.values():
            sock.close()
        for resource in (self._poller, self._bell, self._button):
            if resource is not None:
                resource.close()
        self._poller = self._bell = self._button = None

    def _forked(self) -> None:
        self._left_behind = True
        self._close()


def not_in(thread: IOThread, what: str) -> None:
    """Refuse to wait in the thread that would bring what is waited for.

    Raises:
        UsageError: in that thread, or in a forked child.
    """
    thread.check_usable()
    if thread.is_current:
        raise UsageError(f"{what} would wait for itself in a callback; use what doesn't wait, such as send_nowait")


def _after_fork_in_child() -> None:
    for thread in list(_threads):
        thread._forked()  # noqa: SLF001 - this module's own


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
