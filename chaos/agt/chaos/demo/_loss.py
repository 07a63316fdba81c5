"""The test hook that makes a gateway lie: it throws messages away and says that they were delivered.

Only with `--allow-loss`. It exists to show that the oracle would notice; nothing else may ever switch it on.
"""

from agt.router import Message, ReliablePath
from agt.transport import Barrier, Delivery, Outcome, Session


class LossHook:
    """How many messages are still to be lost."""

    def __init__(self) -> None:
        self.left = 0

    def path(self, session: Session, barrier: Barrier | None = None) -> ReliablePath:
        """Return a path that loses what this hook says."""
        return _LosingPath(session, self, barrier)


class _LosingPath(ReliablePath):
    """A reliable path that isn't."""

    def __init__(self, session: Session, hook: LossHook, barrier: Barrier | None) -> None:
        super().__init__(session, barrier=barrier)
        self._hook = hook

    def send(self, message: Message) -> Delivery:
        """Lose the message while there is something to lose, else carry it."""
        if self._hook.left <= 0:
            return super().send(message)
        self._hook.left -= 1
        delivery = Delivery()
        delivery.settle(Outcome.DELIVERED)
        return delivery
