"""Who has spoken the native wire, so that nobody can pretend later that they never could.

A name that has finished a native handshake is not taken as a legacy device any more: whoever dials in under it on a
legacy wire is refused, unless `allow_legacy` says that this name may go back (the router may: a rollback). That is
what keeps an attacker, or an old firmware, from talking a device down to the wire that promises nothing.

The memory is bounded. When it is full, the name that has been quiet for longest is forgotten, and could then come as
legacy again; a full handshake is needed for each name, so it takes `limit` of them to push one out. It doesn't outlive
the process: a gateway that must not forget fills it from its own records with `add`, or answers by `allow_legacy`.
"""

from collections import OrderedDict
from collections.abc import Callable

NAMES_MAX = 100_000
"""Names that are remembered unless told otherwise; about 10 MB."""


class NativeNames:
    """The names that have spoken natively; shared by the listeners of one gateway."""

    __slots__ = ("_allow_legacy", "_limit", "_names", "refused")

    def __init__(self, *, limit: int = NAMES_MAX, allow_legacy: Callable[[str], bool] | None = None) -> None:
        """Start with nobody.

        Args:
            limit: names remembered at most.
            allow_legacy: asked when a remembered name comes on a legacy wire; without it, none may.
        """
        self._limit = limit
        self._allow_legacy = allow_legacy
        self._names: OrderedDict[str, None] = OrderedDict()
        self.refused = 0
        """Callers that came on a legacy wire under a native name and were refused."""

    def add(self, name: str) -> None:
        """Remember that a name has spoken natively."""
        self._names[name] = None
        self._names.move_to_end(name)
        if len(self._names) > self._limit:
            self._names.popitem(last=False)

    def discard(self, name: str) -> None:
        """Forget a name: its device has been replaced by one that can't."""
        self._names.pop(name, None)

    def refuses(self, name: str) -> bool:
        """Whether a caller of this name on a legacy wire must be turned away; counts those."""
        if name not in self._names or (self._allow_legacy is not None and self._allow_legacy(name)):
            return False
        self._names.move_to_end(name)
        self.refused += 1
        return True

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __len__(self) -> int:
        return len(self._names)
