"""The accepting side: reads who is calling before any state is given away, and finds the link that remembers them.

A raw connection first gets a `Greeting`, which holds at most one small frame. Only a well-formed hello of a sender
that is not fenced gets a link; the link then reads the same bytes again and does the handshake itself, so that there
is one implementation of it.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from agt.transport._errors import PeerViolation, TransportError
from agt.transport.wires.native._config import NativeConfig, checked
from agt.transport.wires.native._frames import HELLO_LIMIT, FrameDamaged, FrameParser, FrameType
from agt.transport.wires.native._handshake import AwayCode, Hello, decode_body, go_away_frame
from agt.transport.wires.native._link import NativeLink
from agt.transport.wires.native._states import Role

if TYPE_CHECKING:
    from random import Random


class Refused(TransportError):
    """Raised when a caller is not admitted; `reply` are the bytes that tell it why."""

    def __init__(self, text: str, code: AwayCode, *, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.code = code
        self.reply = go_away_frame(code, text, retry_after_s)


class Greeting:
    """The first bytes of a raw connection, until they say who is calling."""

    __slots__ = ("_chunks", "_parser", "_size", "deadline", "hello")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        """When to give the caller up."""
        self.hello: Hello | None = None
        """What the caller said; None while it is incomplete."""
        self._parser = FrameParser(HELLO_LIMIT)
        self._chunks: list[bytes] = []
        self._size = 0

    @property
    def data(self) -> bytes:
        """Everything read so far; to be given to the admitted link's `receive_data`."""
        return b"".join(self._chunks)

    def receive_data(self, data: bytes) -> Hello | None:
        """Take bytes and return the hello once it is complete.

        Raises:
            Refused: when they are no hello.
        """
        self._chunks.append(data)
        if self.hello is not None:
            return self.hello
        try:
            for kind, _, _, _, payload in self._parser.feed(data):
                self.hello = _read_hello(kind, payload)
                break
        except (FrameDamaged, PeerViolation) as error:
            raise Refused(str(error), AwayCode.VIOLATION) from error
        return self.hello

    def data_to_send(self) -> bytes:
        """Return what has to be written before the caller says more: nothing here, a challenge where there are keys."""
        return b""

    def farewell(self, refused: Refused) -> bytes:
        """Return the bytes that tell the caller why it is not admitted."""
        return refused.reply


def _read_hello(kind: int, payload: bytes) -> Hello:
    if kind != FrameType.HELLO:
        raise PeerViolation(f"{FrameType(kind).name} instead of a hello")
    return decode_body(payload, Hello)


class Keeper(Protocol):
    """Who remembers senders beyond this process, and makes their links out of that."""

    def make_link(
        self, sender: str, name: str, *, rng: "Random", config: NativeConfig, generation_floor: int
    ) -> NativeLink:
        """Make the link for a sender that has none now."""
        ...

    def admitted(self, sender: str, link: NativeLink) -> None:
        """Learn that this link stands for the sender from now on; called at each admission."""
        ...

    def forgotten(self, sender: str) -> None:
        """Learn that the sender is remembered no more."""
        ...


class NativeAcceptor:
    """The links of everyone who dials us, by the name they give; bounded."""

    def __init__(
        self,
        name: str,
        *,
        rng: "Random",
        config: NativeConfig | None = None,
        generation_floor: int = 0,
        spread_s: Callable[[int], float] = lambda _: 0.0,
        keeper: Keeper | None = None,
        wall_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        """Make an acceptor that remembers nobody yet.

        Args:
            name: who we are as a sender.
            rng: draws epochs and memory tokens.
            config: limits and waits, for each link too.
            generation_floor: a number no lower than any generation that an earlier acceptor of this name gave, so
                that generations rise over restarts; the seconds since 1970, say.
            spread_s: says over how many seconds so many peers should spread, should they lose us together; each is
                told so in its welcome.
            wall_ms: the wall clock's milliseconds, for ids that sort; none when not given.
            keeper: makes the links of senders that are remembered elsewhere, too; None for memory alone.

        Raises:
            msgspec.ValidationError: when a number of the configuration is out of range.
        """
        self._name = name
        self._rng = rng
        self._config = checked(config if config is not None else NativeConfig())
        self._generation_floor = generation_floor
        self._spread_s = spread_s
        self._keeper = keeper
        self._wall_ms = wall_ms
        self._links: OrderedDict[str, NativeLink] = OrderedDict()

    def __len__(self) -> int:
        return len(self._links)

    def link_of(self, name: str) -> NativeLink | None:
        """Return the link that remembers this sender, or None."""
        return self._links.get(name)

    def greeting(self, *, now: float) -> Greeting:
        """Begin reading a raw connection."""
        return Greeting(now + self._config.handshake_timeout_s)

    def admit(self, greeting: Greeting) -> NativeLink:
        """Return the link for who is calling; the same one as before while we remember the name.

        The driver then ends the connection that the link may still have, calls its `connection_made`, and gives it
        `greeting.data`.

        Raises:
            Refused: when the caller is fenced, or has to wait for a newer process of its name, speaks no version of
                ours, or there is no room for another sender.
        """
        hello = greeting.hello
        assert hello is not None, "admit only a complete greeting"
        link = self._links.get(hello.name)
        if link is None:
            self._make_room()
            link = self._make_link(hello.name)
        refusal = link.refusal(hello, now=greeting.deadline - self._config.handshake_timeout_s)
        if refusal is not None:
            raise Refused(refusal.text, AwayCode(refusal.code), retry_after_s=refusal.retry_after_ms / 1000)
        self._links[hello.name] = link
        if self._keeper is not None:
            self._keeper.admitted(hello.name, link)
        self._links.move_to_end(hello.name)
        link.spread_s = self._spread_s(len(self._links))
        return link

    def forget(self, name: str) -> None:
        """Drop what is remembered of a sender; when it comes back, it learns that it was forgotten."""
        if self._links.pop(name, None) is not None and self._keeper is not None:
            self._keeper.forgotten(name)

    def _make_link(self, sender: str) -> NativeLink:
        floor = self._generation_floor
        if self._keeper is not None:
            return self._keeper.make_link(
                sender, self._name, rng=self._rng, config=self._config, generation_floor=floor
            )
        return NativeLink(
            self._name,
            rng=self._rng,
            config=self._config,
            role=Role.ACCEPTING,
            generation_floor=floor,
            created_ms=self._wall_ms(),
        )

    def _make_room(self) -> None:
        """Forget whoever has been quiet for longest when there is no room for one more."""
        if len(self._links) < self._config.max_senders:
            return
        idle = next((name for name, link in self._links.items() if link.idle), None)
        if idle is None:
            raise Refused(f"{self._config.max_senders} senders are remembered already", AwayCode.TOO_MANY_SENDERS)
        # Numbers must rise for the forgotten, too.
        self._generation_floor = max(self._generation_floor, self._links.pop(idle).generation)
        if self._keeper is not None:
            self._keeper.forgotten(idle)
