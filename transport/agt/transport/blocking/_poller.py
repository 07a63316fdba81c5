"""Which sockets are ready: `selectors`, or epoll itself where the system has it.

epoll is used directly for one thing that `selectors` can't say: "look away from this socket for a moment", from another
thread, for the price of one system call. A thread that waits for an answer reads it by itself then, and the I/O thread
sleeps on (see `_session`). Without epoll the same costs an unregister and a register.
"""

import math
import select
import selectors
from collections.abc import Iterable
from typing import Protocol

READ = 1
WRITE = 4
"""What to look for on a socket; the numbers are epoll's own."""


class Poller(Protocol):
    """Waits for any of a number of sockets; only `wait` belongs to one thread."""

    def watch(self, fd: int, events: int) -> None:
        """Begin to look at a socket."""
        ...

    def change(self, fd: int, events: int) -> None:
        """Look for something else, or, with 0, for nothing but its end."""
        ...

    def forget(self, fd: int) -> None:
        """Stop looking; the socket must still be open."""
        ...

    def wait(self, timeout_s: float) -> Iterable[tuple[int, int]]:
        """Return what is ready as pairs of socket and events; an ended connection is ready to be read."""
        ...

    def close(self) -> None:
        """Give the system's resources back."""
        ...


class EpollPoller:
    """epoll, level-triggered."""

    __slots__ = ("_epoll",)

    def __init__(self) -> None:
        self._epoll = select.epoll()

    def watch(self, fd: int, events: int) -> None:
        """Begin to look at a socket."""
        self._epoll.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        """Look for something else."""
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Stop looking."""
        self._epoll.unregister(fd)

    def wait(self, timeout_s: float) -> Iterable[tuple[int, int]]:
        """Return what is ready."""
        return self._epoll.poll(None if timeout_s == math.inf else max(0.0, timeout_s))

    def close(self) -> None:
        """Close it."""
        self._epoll.close()


class SelectorPoller:
    """Whatever `selectors` finds best."""

    __slots__ = ("_selector",)

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, fd: int, events: int) -> None:
        """Begin to look at a socket."""
        if events:
            self._selector.register(fd, _to_selectors(events))

    def change(self, fd: int, events: int) -> None:
        """Look for something else."""
        self.forget(fd)
        self.watch(fd, events)

    def forget(self, fd: int) -> None:
        """Stop looking."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def wait(self, timeout_s: float) -> Iterable[tuple[int, int]]:
        """Return what is ready."""
        ready = self._selector.select(None if timeout_s == math.inf else max(0.0, timeout_s))
        return [(key.fd, _from_selectors(events)) for key, events in ready]

    def close(self) -> None:
        """Close it."""
        self._selector.close()


def _to_selectors(events: int) -> int:
    return (selectors.EVENT_READ if events & READ else 0) | (selectors.EVENT_WRITE if events & WRITE else 0)


def _from_selectors(events: int) -> int:
    return (READ if events & selectors.EVENT_READ else 0) | (WRITE if events & selectors.EVENT_WRITE else 0)


def make_poller() -> Poller:
    """Return the best poller that the system has."""
    return EpollPoller() if hasattr(select, "epoll") else SelectorPoller()
