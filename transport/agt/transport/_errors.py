"""What can go wrong, one branch per culprit: our caller, the peer, the world.

Errors keep their facts as attributes, so that nobody has to parse a message.
"""


class TransportError(Exception):
    """Root of everything that `agt.transport` raises on purpose."""


class UsageError(TransportError):
    """Raised when our caller asked for something that can't be."""


class QueueFull(UsageError):
    """Raised when a bounded queue is at its limit and its policy is to refuse."""

    def __init__(self, queue: str, limit: int, unit: str = "messages") -> None:
        super().__init__(f"{queue} is full ({limit} {unit}); slow down, or choose another overflow policy")
        self.queue, self.limit = queue, limit


class MessageTooLarge(UsageError):
    """Raised when a message doesn't fit the wire."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"message of {size} bytes is over the wire's limit of {limit}")
        self.size, self.limit = size, limit


class Closed(UsageError):
    """Raised when a transport is used after it was closed."""


class BadCredential(UsageError):
    """Raised when a certificate, a key or a key file can't be used; nothing secret is in the message."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")
        self.what, self.why = what, why


class PeerViolation(TransportError):
    """Raised when the peer sends what the protocol forbids; drop the connection, keep the process."""

    def __init__(self, rule: str, data: bytes = b"") -> None:
        super().__init__(f"{rule}: {data[:16].hex(' ')}" if data else rule)
        self.rule, self.data = rule, data[:64]


class ConnectionUnavailable(TransportError):
    """Raised when the world gave no connection: refused, unreachable, timed out."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"cannot connect to {address}: {why}")
        self.address, self.why = address, why
