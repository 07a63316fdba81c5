"""A native link over an outbox that outlives it: what its keeper has to know and decide, beside the `Link` itself."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, cast

from agt.transport._outgoing import Outgoing
from agt.transport.wires.native._config import NativeConfig
from agt.transport.wires.native._keeping_sender import KeepingSender
from agt.transport.wires.native._link import NativeLink
from agt.transport.wires.native._sender import Sender
from agt.transport.wires.native._states import State

if TYPE_CHECKING:
    from random import Random


class KeepingLink(NativeLink):
    """The dialling end of a native link whose messages are kept elsewhere; see `KeepingSender`."""

    sender_class: ClassVar[type[Sender]] = KeepingSender

    def __init__(
        self,
        name: str,
        *,
        rng: "Random",
        config: NativeConfig,
        epoch: int,
        peer_memory: int,
    ) -> None:
        """Make a link that has no connection yet.

        Args:
            name: who we are as a sender.
            rng: draws the memory token.
            config: limits and waits.
            epoch: the incarnation of the outbox.
            peer_memory: the receiver's memory that its messages were meant for so far; 0 for none.
        """
        super().__init__(name, rng=rng, config=config, epoch=epoch)
        self._peer_memory = peer_memory

    def tell_endings(self, on_ended: Callable[[Outgoing], None]) -> None:
        """Have each message that is given up told, before its payload is freed; to be set before the first one."""
        for sender in self._senders:
            sender.on_ended = on_ended

    @property
    def _senders(self) -> list[KeepingSender]:
        return cast("list[KeepingSender]", self._lanes.senders)  # Made by `sender_class`.

    @property
    def peer_memory(self) -> int:
        """The receiver's memory that messages go to; 0 before one was met."""
        return self._peer_memory

    def settled_through(self) -> dict[int, int]:
        """Return, per channel, through which sequence everything has ended and never comes again."""
        return dict(enumerate(self._lanes.settled_through()))

    def restore(self, channel: int, base: int, messages: list[Outgoing], *, may_be_out: bool) -> None:
        """Take up what an earlier process left on a channel; see `KeepingSender.restore`."""
        self._senders[channel].restore(base, messages, may_be_out=may_be_out)

    def release(self, channel: int, through: int) -> None:
        """Let messages through this sequence be written."""
        self._senders[channel].released_through = through

    def hold(self, held: bool) -> None:  # noqa: FBT001  # One switch, named by the method.
        """Write no message, skip or resend, or do so again."""
        for sender in self._senders:
            sender.held = held

    def reclaim(self) -> None:
        """Forget the oldest messages that have ended, if there is no connection on which that was said otherwise."""
        if self._state is State.IDLE:
            for sender in self._senders:
                sender.reclaim()
