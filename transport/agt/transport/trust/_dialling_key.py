"""The key of a dialling side, renewed for each connection where it comes from a file."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from agt.transport._link import Link
from agt.transport.trust._key_layer import DiallingLayer
from agt.transport.trust._keyed_link import KeyedLink
from agt.transport.trust._keys import PreSharedKey

if TYPE_CHECKING:
    from random import Random

KeySource: TypeAlias = PreSharedKey | Callable[[], PreSharedKey]
"""A key, or what gives one for each connection (`KeyFile`)."""


class DiallingKey:
    """Has the key that is right now, and makes our end of each exchange with it."""

    def __init__(self, source: KeySource, name: str, *, rng: "Random") -> None:
        """Remember where the key comes from.

        Args:
            source: the key, or what gives one.
            name: who we are.
            rng: draws nonces that nobody can guess.
        """
        self._source, self._name, self._rng = source, name, rng
        self._key: PreSharedKey | None = source if isinstance(source, PreSharedKey) else None

    def renew(self) -> None:
        """Get the key that is right now; to be called before dialling.

        Raises:
            BadCredential: when there is none that can be used.
        """
        if not isinstance(self._source, PreSharedKey):
            self._key = self._source()

    def keyed(self, inner: Link, *, timeout_s: float) -> KeyedLink:
        """Return this link under our key."""
        return KeyedLink(inner, self._layer, timeout_s=timeout_s)

    def _layer(self) -> DiallingLayer:
        assert self._key is not None, "a key is renewed before it is dialled with"
        return DiallingLayer(self._key, self._name, rng=self._rng)
