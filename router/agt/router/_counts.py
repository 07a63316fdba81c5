"""What the ledger is made of: counts that balance, and the anomalies behind them."""

import msgspec

from agt.transport import Outcome


class Counts(msgspec.Struct, kw_only=True, gc=False):
    """What one runtime did, for one device or for all."""

    accepted: int = 0
    """Messages whose first path this was."""
    delivered: int = 0
    written: int = 0
    not_delivered: int = 0
    indeterminate: int = 0
    resends: int = 0
    """Messages sent again, by the wire or by a move."""
    taken_over: int = 0
    """Messages that came over from the other runtime."""
    given_up: int = 0
    """Messages that went over to the other runtime."""

    @property
    def settled(self) -> int:
        """Messages that have ended here."""
        return self.delivered + self.written + self.not_delivered + self.indeterminate

    @property
    def in_flight(self) -> int:
        """Messages that are here and have not ended."""
        return self.accepted + self.taken_over - self.given_up - self.settled

    def count(self, outcome: Outcome, resends: int) -> None:
        """Count one message that has ended."""
        if outcome is Outcome.DELIVERED:
            self.delivered += 1
        elif outcome is Outcome.WRITTEN:
            self.written += 1
        elif outcome is Outcome.NOT_DELIVERED:
            self.not_delivered += 1
        else:
            self.indeterminate += 1
        self.resends += resends


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """One message that did not simply arrive."""

    device: str
    number: int
    runtime: str
    kind: str
    """`not_delivered`, `indeterminate`, or what the router noted itself."""
    says: str
