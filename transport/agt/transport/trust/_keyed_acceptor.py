"""The accepting side under keys: a caller proves itself before its hello is read, and under the name that it proved.

Made around the acceptor of the native wire and used in its place. A greeting here is first the exchange of proofs;
its `data_to_send` has to be written whenever something was read. The native hello inside the first record must name
the sender that the key exchange named; only then does the acceptor inside look for, or make, the link of that name.
"""

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from agt.transport._errors import PeerViolation
from agt.transport.trust._challenge import MAGIC
from agt.transport.trust._key_layer import AcceptingLayer, NotProven
from agt.transport.trust._keyed_link import KeyedLink
from agt.transport.trust._keys import KeyRing
from agt.transport.trust._records import WrongTag
from agt.transport.wires.native import AwayCode, Greeting, Hello, NativeAcceptor, Refused

if TYPE_CHECKING:
    from random import Random

NO_DOWNGRADE = "unauthorised: this listener takes only peers that have a key; give yours as `key`"


class KeyedGreeting(Greeting):
    """The first bytes of a raw connection, until they prove who is calling and what it wants."""

    __slots__ = ("_beginning", "layer")

    def __init__(self, deadline: float, layer: AcceptingLayer) -> None:
        super().__init__(deadline)
        self.layer = layer
        """Our end of the exchange."""
        self._beginning = b""

    @property
    def data(self) -> bytes:
        """Nothing: what was heard is given to the link together with the exchange."""
        return b""

    @property
    def heard(self) -> bytes:
        """What the caller said once it was proven."""
        return super().data

    def receive_data(self, data: bytes) -> Hello | None:
        """Take bytes and return the hello once it is proven and complete.

        Raises:
            Refused: when the caller has no key of ours, claims a name that its key is not for, or says no hello.
        """
        if len(self._beginning) < len(MAGIC):
            self._beginning = (self._beginning + data)[: len(MAGIC)]
        try:
            plain = self.layer.receive_data(data)
        except (NotProven, WrongTag, PeerViolation) as error:
            why = NO_DOWNGRADE if self._downgraded else f"unauthorised: {error}"
            raise Refused(why, AwayCode.UNAUTHORISED) from error
        if not plain:
            return None
        hello = super().receive_data(plain)
        if hello is not None:
            self._hold_to_its_name(hello)
        return hello

    def data_to_send(self) -> bytes:
        """Return, once, the next words of the exchange."""
        return self.layer.data_to_send()

    def farewell(self, refused: Refused) -> bytes:
        """Return the bytes that tell the caller why it is not admitted, in words that it can read at this point."""
        if self.layer.established:
            return self.layer.seal(refused.reply)
        # Whoever came without a key may well be a native peer and can read its own wire's words.
        return refused.reply if self._downgraded else self.layer.data_to_send()

    def _hold_to_its_name(self, hello: Hello) -> None:
        key = self.layer.key
        assert key is not None, "a proven caller has a key"
        if hello.name != self.layer.peer:
            text = f"unauthorised: {self.layer.peer!r} proved itself, {hello.name!r} says hello"
        elif not key.allows(hello.name):
            text = f"unauthorised: key {key.id!r} is not for {hello.name!r}"
        else:
            return
        raise Refused(text, AwayCode.UNAUTHORISED)

    @property
    def _downgraded(self) -> bool:
        return not MAGIC.startswith(self._beginning)


class KeyedAcceptor:
    """The links of everyone who dials us with a key of ours, by the name they prove."""

    def __init__(self, inner: NativeAcceptor, keys: KeyRing, name: str, *, rng: "Random") -> None:
        """Ask for keys.

        Args:
            inner: who remembers the senders.
            keys: the keys that are taken; looked at anew for each caller.
            name: who we are.
            rng: draws nonces that nobody can guess.
        """
        self._inner, self._keys, self._name, self._rng = inner, keys, name, rng
        # A session holds its link; whom no session holds has no connection, and so nothing that is worth keeping.
        self._links: WeakValueDictionary[str, KeyedLink] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._inner)

    def link_of(self, name: str) -> KeyedLink | None:
        """Return the link that remembers this sender, or None."""
        inner, link = self._inner.link_of(name), self._links.get(name)
        return link if link is not None and link.inner is inner else None

    def greeting(self, *, now: float) -> KeyedGreeting:
        """Begin reading a raw connection."""
        return KeyedGreeting(
            self._inner.greeting(now=now).deadline, AcceptingLayer(self._keys.get, self._name, rng=self._rng)
        )

    def admit(self, greeting: Greeting) -> KeyedLink:
        """Return the link for who is calling; the same one as before while we remember the name.

        Raises:
            Refused: when the caller is fenced, speaks no version of ours, or there is no room for another sender.
        """
        assert isinstance(greeting, KeyedGreeting), "a caller is admitted by whom it has greeted"
        inner = self._inner.admit(greeting)
        name = greeting.layer.peer
        link = self.link_of(name)
        if link is None:
            link = self._links[name] = KeyedLink(inner)
        link.adopt(greeting.layer, greeting.heard)
        return link

    def forget(self, name: str) -> None:
        """Drop what is remembered of a sender; when it comes back, it learns that it was forgotten."""
        self._inner.forget(name)
        self._links.pop(name, None)
