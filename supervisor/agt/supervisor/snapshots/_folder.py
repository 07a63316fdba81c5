"""Snapshots on the disk: a folder each, whole or not there.

A snapshot is written into a folder with a leading dot, synced, and renamed; what a killed process left behind has the
dot and is swept away at the next one. `meta.json` is written last and holds the checksum of every part. The newest few
are kept; what somebody has asked to keep stays.

All of this blocks on the disk: callers run it in a thread.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from agt.supervisor._errors import SupervisorError
from agt.supervisor.snapshots._meta import Part, SnapshotMeta, Trigger
from agt.supervisor.snapshots._verdict import MAX_AGE_S, RestoreCheck, judge_restore

KEPT: Final = 3
"""Snapshots that retention leaves, besides those with a `keep` mark."""
META_MAX_BYTES: Final = 1 << 20
_CHUNK: Final = 1 << 20
_MARK: Final = "keep"

Writer = Callable[[Path], None]
"""Writes one part to the path that it is given."""


class SnapshotRefused(SupervisorError):
    """Raised when a snapshot can't be taken, found or restored; nothing was changed."""


class SnapshotDamaged(SnapshotRefused):
    """Raised when a snapshot's own description can't be read."""


class SnapshotFolder:
    """All snapshots of one run directory."""

    def __init__(self, path: Path, *, kept: int = KEPT) -> None:
        self.path, self._kept = path, kept

    def take(
        self,
        parts: Mapping[str, Writer],
        *,
        at: float,
        trigger: Trigger,
        projection_version: int,
        counts: Mapping[str, int],
        says: str = "",
        keep: bool = False,
    ) -> SnapshotMeta:
        """Take a snapshot; it is durable when this returns.

        Args:
            parts: What writes each file, by its name.
            at: Seconds since the epoch; also its id.
            trigger: Why.
            projection_version: What it holds.
            counts: Rows by kind.
            says: For what.
            keep: Whether retention leaves it.

        Raises:
            SnapshotRefused: when a part or the disk refuses; nothing is left behind.
        """
        name = _id(at)
        building = self.path / f".{name}"
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sweep()
            building.mkdir(mode=0o700)
            written = tuple(_write(building, part, writer) for part, writer in sorted(parts.items()))
            meta = SnapshotMeta(
                id=name,
                at=at,
                projection_version=projection_version,
                counts=dict(counts),
                trigger=trigger,
                says=says,
                parts=written,
            )
            if keep:
                (building / _MARK).touch(mode=0o600)
            _write_synced(building / "meta.json", msgspec.json.encode(meta))
            _sync_folder(building)
            building.rename(self.path / name)
            _sync_folder(self.path)
        except OSError as error:
            shutil.rmtree(building, ignore_errors=True)
            raise SnapshotRefused(f"no snapshot could be taken: {error}", "is the disk full?") from error
        self._retire()
        return meta

    def metas(self) -> list[SnapshotMeta]:
        """Return the readable snapshots, newest first."""
        found: list[SnapshotMeta] = []
        for name in self._names():
            try:
                found.append(self.meta(name))
            except SnapshotRefused:
                continue  # `check` says what is wrong with it.
        return found

    def newest(self) -> SnapshotMeta | None:
        """Return the newest readable one."""
        return next(iter(self.metas()), None)

    def meta(self, name: str) -> SnapshotMeta:
        """Return what a snapshot says of itself.

        Raises:
            SnapshotRefused: when there is none of that name.
            SnapshotDamaged: when its description can't be read.
        """
        if name not in self._names():
            known = ", ".join(self._names()[:3]) or "none"
            raise SnapshotRefused(f"there is no snapshot {name!r}", f"the newest: {known}")
        path = self.path / name / "meta.json"
        try:
            if path.stat().st_size > META_MAX_BYTES:
                raise SnapshotDamaged(f"{name}: meta.json is too large")
            meta = msgspec.json.decode(path.read_bytes(), type=SnapshotMeta)
        except (OSError, msgspec.DecodeError) as error:
            raise SnapshotDamaged(f"{name}: meta.json can't be read: {error}", "take a fresh one") from error
        if meta.id != name:
            raise SnapshotDamaged(f"{name}: meta.json is that of {meta.id}", "take a fresh one")
        return meta

    def damage(self, meta: SnapshotMeta) -> str:
        """Return what is wrong with a snapshot's parts; empty when every checksum agrees."""
        for part in meta.parts:
            path = self.path / meta.id / part.name
            try:
                size, digest = path.stat().st_size, _digest(path)
            except OSError as error:
                return f"{part.name} can't be read: {error.strerror}"
            if (size, digest) != (part.size, part.sha256):
                return f"{part.name} is damaged: its checksum is not the one that was noted"
        return ""

    def check(self, name: str, *, current_version: int, now: float, max_age_s: float = MAX_AGE_S) -> RestoreCheck:
        """Dry-run a restore: read everything, change nothing.

        Raises:
            SnapshotRefused: when there is none of that name, or its description can't be read.
        """
        meta = self.meta(name)
        return judge_restore(
            meta, damage=self.damage(meta), current_version=current_version, now=now, max_age_s=max_age_s
        )

    def restore(self, name: str, targets: Mapping[str, Path]) -> tuple[Path, ...]:
        """Put parts back, each by rename, what was there kept beside it as `.before-restore`.

        The caller has judged the dry run and stopped whatever writes to the targets. All parts are copied before the
        first is renamed, so that a full disk changes nothing.

        Raises:
            SnapshotRefused: when a part is missing or damaged, or can't be copied.
        """
        meta = self.meta(name)
        if damage := self.damage(meta):
            raise SnapshotRefused(f"{name}: {damage}", "choose another one: agt snapshot list")
        missing = sorted(set(targets) - {part.name for part in meta.parts})
        if missing:
            raise SnapshotRefused(f"{name} has no {', '.join(missing)}")
        copies = {part: target.with_name(target.name + ".restoring") for part, target in targets.items()}
        try:
            for part, copy in copies.items():
                _copy_synced(self.path / name / part, copy)
        except OSError as error:
            for copy in copies.values():
                copy.unlink(missing_ok=True)
            raise SnapshotRefused(f"{name} can't be copied: {error}", "is the disk full?") from error
        for part, target in targets.items():
            if target.exists():
                _keep_aside(target)
            copies[part].replace(target)
            _sync_folder(target.parent)
        return tuple(targets.values())

    def _names(self) -> list[str]:
        try:
            found = [path.name for path in self.path.iterdir() if path.is_dir() and path.name.startswith("snap-")]
        except OSError:
            return []
        return sorted(found, reverse=True)

    def _retire(self) -> None:
        unmarked = [name for name in self._names() if not (self.path / name / _MARK).exists()]
        for name in unmarked[self._kept :]:
            shutil.rmtree(self.path / name, ignore_errors=True)

    def _sweep(self) -> None:
        for path in self.path.iterdir():
            if path.name.startswith(".snap-"):
                shutil.rmtree(path, ignore_errors=True)


def _keep_aside(target: Path) -> None:
    """Give a file a second name; it has its own until the moment that it is replaced."""
    aside = target.with_name(target.name + ".before-restore")
    aside.unlink(missing_ok=True)
    aside.hardlink_to(target)


def _id(at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return f"snap-{moment:%Y%m%d}-{moment:%H%M%S%f}"


def _write(folder: Path, name: str, writer: Writer) -> Part:
    path = folder / name
    writer(path)
    path.chmod(0o600)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return Part(name=name, size=path.stat().st_size, sha256=_digest(path))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _write_synced(path: Path, body: bytes) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _copy_synced(source: Path, target: Path) -> None:
    handle = os.open(target, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with source.open("rb") as origin, os.fdopen(handle, "wb") as copy:
        shutil.copyfileobj(origin, copy, _CHUNK)
        copy.flush()
        os.fsync(copy.fileno())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
