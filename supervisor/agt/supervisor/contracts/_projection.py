"""A projection with one writer: rows under versions, changed only by those who know the version they change.

`state_version` grows by one with each change. A writer says which version of a row it has seen; 0 says that the row
must be new. A conflict changes nothing and is counted, since in normal operation there are none.
"""

from collections.abc import Mapping
from typing import Any, Final, Self

ROWS_MAX: Final = 1_000_000
"""Rows that a projection may have."""


class ProjectionConflict(Exception):
    """Raised when a row has another version than its writer believed; nothing was changed."""

    def __init__(self, key: str, expected: int, found: int) -> None:
        self.key, self.expected, self.found = key, expected, found
        believed = "new" if expected == 0 else f"at version {expected}"
        is_at = "not there" if found == 0 else f"at version {found}"
        super().__init__(f"{key!r} was believed to be {believed} and is {is_at}")


class Projection:
    """Rows by key, each with the version at which it was last changed."""

    def __init__(self) -> None:
        self.state_version = 0
        """Grows by one with each change."""
        self.conflicts = 0
        """Writes that were refused for an outdated version."""
        self._rows: dict[str, tuple[int, Any]] = {}

    @classmethod
    def restored(cls, rows: Mapping[str, tuple[int, Any]], *, state_version: int, conflicts: int = 0) -> Self:
        """Return a projection as a checkpoint kept it: rows with their versions.

        Raises:
            ValueError: when a row is newer than the whole, or there are too many.
        """
        if len(rows) > ROWS_MAX:
            raise ValueError(f"a projection has at most {ROWS_MAX} rows")
        newest = max((version for version, _ in rows.values()), default=0)
        if newest > state_version:
            raise ValueError(f"a row has version {newest}, and the projection only {state_version}")
        made = cls()
        made.state_version, made.conflicts, made._rows = state_version, conflicts, dict(rows)
        return made

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, key: str, value: Any, *, expected: int) -> int:
        """Write a row whose version is `expected`, 0 for a new one; return its new version.

        Raises:
            ProjectionConflict: when it has another; nothing was changed.
            ValueError: when there are too many rows.
        """
        self._require(key, expected)
        if expected == 0 and len(self._rows) >= ROWS_MAX:
            raise ValueError(f"a projection has at most {ROWS_MAX} rows")
        self.state_version += 1
        self._rows[key] = (self.state_version, value)
        return self.state_version

    def remove(self, key: str, *, expected: int) -> int:
        """Take a row away; return the new state version.

        Raises:
            ProjectionConflict: as for `put`.
        """
        self._require(key, expected)
        self.state_version += 1
        self._rows.pop(key, None)
        return self.state_version

    def version(self, key: str) -> int:
        """Return a row's version, 0 when there is none."""
        return self._rows.get(key, (0, None))[0]

    def get(self, key: str) -> Any:
        """Return a row, None when there is none."""
        return self._rows.get(key, (0, None))[1]

    def kept(self) -> dict[str, tuple[int, Any]]:
        """Return all rows with their versions, as `restored` takes them."""
        return dict(self._rows)

    def rows(self) -> dict[str, Any]:
        """Return all rows by key, sorted."""
        return {key: self._rows[key][1] for key in sorted(self._rows)}

    def _require(self, key: str, expected: int) -> None:
        found = self.version(key)
        if found != expected:
            self.conflicts += 1
            raise ProjectionConflict(key, expected, found)
