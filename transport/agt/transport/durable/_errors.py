"""What a durable store can't do, in words that say what to do about it."""

from pathlib import Path

from agt.transport._errors import TransportError


class StoreUnavailable(TransportError):
    """Raised when something can't be made durable now; nothing of it was accepted."""

    def __init__(self, path: Path, why: str, hint: str) -> None:
        super().__init__(f"{path}: {why}; {hint}")
        self.path, self.why, self.hint = path, why, hint
        self.undone = True
        """Whether nothing was written, for certain; false when only the next `check` can tell."""

    def again(self, *, undone: bool = True) -> "StoreUnavailable":
        """Return the same error to be raised once more."""
        error = type(self)(self.path, self.why, self.hint)
        error.undone = undone
        return error


class StoreInUse(StoreUnavailable):
    """Raised when another process, or another object of this one, has the store open."""


class StoreDamaged(StoreUnavailable):
    """Raised when a store's file is not what was written; it is left as it is, for somebody to look at."""


class OutOfOrder(TransportError):
    """Raised when a message is committed before an earlier one of its sender and channel."""

    def __init__(self, peer: str, sequence: int, waiting: int) -> None:
        why = (
            f"before message {waiting}: commit in the order received, or several together with commit_batch"
            if waiting
            else "because it isn't open: it was answered, or comes again"
        )
        super().__init__(f"message {sequence} of {peer!r} can't be committed {why}")
        self.peer, self.sequence, self.waiting = peer, sequence, waiting
