"""One thing that can go, with its place."""

from typing import Literal

import msgspec

FindKind = Literal["code", "test", "configuration", "dependency"]


class Find(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One thing that can go."""

    file: str
    """Below the tree that was looked at."""
    line: int
    kind: FindKind
    what: str
    says: str
    """What to do about it."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}: {self.says}"
