"""One stream of views handed to many readers: a snapshot first, then changes, under one version order.

Theory of operation. The hub holds only the latest view. A subscription remembers the last view that it handed out,
and each time it is asked it answers the difference between that one and the latest. So a burst folds into one
change by itself, memory is one view a reader however slow it is, and no reader can see the versions out of order. A
reader that has missed more than `resync_after` views is handed a snapshot again instead of a change: that tells it to
drop what it had. There is no await between subscribing and reading the latest view, so nothing falls between snapshot
and first change.
"""

from collections.abc import AsyncIterator
from typing import Any, Final

import anyio
import msgspec

from agt.supervisor._changes import changed_sections
from agt.supervisor.view import View

MAX_SUBSCRIBERS: Final = 128
RESYNC_AFTER: Final = 256


class TooManySubscribers(Exception):
    """Raised when a stream is asked for and the limit is reached; the others are not affected."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} streams are open already, which is the limit")
        self.limit = limit


class Snapshot(msgspec.Struct, frozen=True):
    """The whole view: where a reader starts, or starts again."""

    view: View


class Change(msgspec.Struct, frozen=True):
    """Version, time and the sections that differ from what the reader was last handed."""

    sections: dict[str, Any]


class Hub:
    """The latest view, and who reads it."""

    def __init__(self, view: View, *, max_subscribers: int = MAX_SUBSCRIBERS, resync_after: int = RESYNC_AFTER) -> None:
        self._view = view
        self._published = 0
        self._wake = anyio.Event()
        self._closed = False
        self._subscribers = 0
        self.max_subscribers, self.resync_after = max_subscribers, resync_after

    @property
    def view(self) -> View:
        """The latest view."""
        return self._view

    @property
    def published(self) -> int:
        """How many newer views there have been."""
        return self._published

    @property
    def subscribers(self) -> int:
        """How many streams are open."""
        return self._subscribers

    @property
    def closed(self) -> bool:
        """Whether the supervisor is stopping."""
        return self._closed

    def publish(self, view: View) -> None:
        """Take a newer view; an older or an equal one is ignored."""
        if (view.version, view.at) < (self._view.version, self._view.at) or view == self._view:
            return
        self._view = view
        self._published += 1
        self._notify()

    def close(self) -> None:
        """End every stream at once."""
        self._closed = True
        self._notify()

    async def follow(self, changes: AsyncIterator[View]) -> None:
        """Publish what a backend yields, until it ends or the hub is closed."""
        async for view in changes:
            if self._closed:
                return
            self.publish(view)

    def subscribe(self) -> "Subscription":
        """Open a stream; close it when done.

        Raises:
            TooManySubscribers: When `max_subscribers` are open.
        """
        if self._subscribers >= self.max_subscribers:
            raise TooManySubscribers(self.max_subscribers)
        self._subscribers += 1
        return Subscription(self)

    async def wait(self) -> None:
        """Wait for the next view, or for the end."""
        await self._wake.wait()

    def release(self) -> None:
        """Count one stream less; called once by each subscription."""
        assert self._subscribers > 0, "a subscription is released once"
        self._subscribers -= 1

    def _notify(self) -> None:
        wake, self._wake = self._wake, anyio.Event()
        wake.set()


class Subscription:
    """One reader of a hub: an async iterator of a `Snapshot`, then of what changed; ends when the hub closes."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._sent: View | None = None
        self._sent_count = 0
        self._open = True

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def __aiter__(self) -> "Subscription":
        return self

    def close(self) -> None:
        """Give the place back; a second call does nothing."""
        if self._open:
            self._open = False
            self._hub.release()

    async def __anext__(self) -> Snapshot | Change:
        while not self._hub.closed and self._open:
            step = self._step()
            if step is not None:
                return step
            await self._hub.wait()
        raise StopAsyncIteration

    def _step(self) -> Snapshot | Change | None:
        sent, latest = self._sent, self._hub.view
        if sent is latest:
            return None
        missed = self._hub.published - self._sent_count
        self._sent, self._sent_count = latest, self._hub.published
        if sent is None or missed > self._hub.resync_after:
            return Snapshot(latest)
        return Change(changed_sections(sent, latest))
