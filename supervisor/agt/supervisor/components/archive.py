"""Keep what a component needs to start, so that it can be revived although its own files have gone.

Theory of operation. `archive/NAME/` in the run directory holds a copy of every file that the command (or the plan's
`archive`) names, and `archive.json`: command, environment, and each file with its path, size and SHA-256. The folder is
written beside its place and renamed, so that it is whole or not there. It is kept for `KEPT_S`; once revived, until
it is archived again. A revived component runs the original file while that is still what was archived, else the copy.
What a program loads by itself (libraries, modules, an interpreter's own files) is not followed: name it in `archive`.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

KEPT_S: Final = 30 * 86_400.0
"""How long a component can be revived: document 001's thirty days."""
FILES_MAX: Final = 256
BYTES_MAX: Final = 1 << 30
"""Of all files of one archive together; more is refused before anything is copied."""
_CHUNK: Final = 1 << 20
_MANIFEST: Final = "archive.json"
_MANIFEST_MAX: Final = 1 << 20


class ArchivedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file that is kept."""

    path: str
    """Where it was."""
    sha256: str
    size: int
    mode: int
    copy: str
    """Its name in the archive's folder."""


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of one component."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    """Its own variables, without what it inherited."""
    at: float
    """Seconds since the epoch."""
    until: float
    """Until when it can be revived: seconds since the epoch."""
    by: str = ""
    reason: str = ""
    files: tuple[ArchivedFile, ...] = ()
    revived: float | None = None
    """When it was revived: seconds since the epoch."""


def archive_folder(run: Path, name: str) -> Path:
    """Where a component's archive is."""
    return run / "archive" / name


def read_archive(run: Path, name: str) -> Archive | None:
    """Return what is kept of a component; None when nothing is.

    Raises:
        OSError: when it is there and can't be read.
    """
    path = archive_folder(run, name) / _MANIFEST
    try:
        return msgspec.json.decode(path.read_bytes()[:_MANIFEST_MAX], type=Archive)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise OSError(f"{path} can't be read ({error}); move its folder away to give the archive up") from error


def write_archive(
    run: Path, archive: Archive, *, extra: Sequence[str] = (), search: Mapping[str, str] = os.environ
) -> Archive:
    """Copy the files of a component and put the archive in its place.

    Args:
        run: The run directory.
        archive: Name, command, environment, times; `files` is filled in.
        extra: Further files to keep.
        search: Whose PATH the program is looked for in.

    Raises:
        OSError: when a file can't be copied, or there is too much; what was archived before stays then.
    """
    paths = _files_of(archive.command, extra, search)
    _refuse_too_much(paths)
    folder = archive_folder(run, archive.name)
    fresh = folder.with_name(f"{archive.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700, parents=True)
    try:
        kept = tuple(_keep(path, fresh, number) for number, path in enumerate(paths))
        done = msgspec.structs.replace(archive, files=kept)
        (fresh / _MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=2))
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return done


def mark_revived(run: Path, archive: Archive, at: float) -> None:
    """Note that the component runs again: its copies are kept for as long as it may need them.

    Raises:
        OSError: when a copy is missing or damaged, or the disk says no.
    """
    revived = msgspec.structs.replace(archive, revived=at)
    pinned_command(run, revived)
    path = archive_folder(run, archive.name) / _MANIFEST
    temporary = path.with_name(f"{_MANIFEST}.new")
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(revived), indent=2))
    temporary.replace(path)


def pinned_command(run: Path, archive: Archive) -> tuple[str, ...]:
    """Return the archived command, with the copy in the place of each file that has gone or has changed.

    Raises:
        OSError: when neither the original nor the copy is what was archived.
    """
    folder = archive_folder(run, archive.name)
    places: dict[str, str] = {}
    for file in archive.files:
        if _is(Path(file.path), file):
            places[file.path] = file.path
        elif _is(folder / file.copy, file):
            places[file.path] = str(folder / file.copy)
        else:
            raise OSError(f"{file.path} has gone, and its copy {folder / file.copy} is not what was archived")
    program = archive.files[0].path if archive.files else ""
    first = places.get(program, archive.command[0]) if program else archive.command[0]
    return (first, *(places.get(word, word) for word in archive.command[1:]))


def prune_archives(run: Path, *, now: float) -> tuple[str, ...]:
    """Delete the archives whose time is over and that were not revived; return their names."""
    gone = []
    for manifest in sorted((run / "archive").glob(f"*/{_MANIFEST}")):
        name = manifest.parent.name
        try:
            kept = read_archive(run, name)
        except OSError:
            continue  # Not ours to judge: whoever asks for it is told.
        if kept is not None and kept.revived is None and kept.until <= now:
            shutil.rmtree(manifest.parent, ignore_errors=True)
            gone.append(name)
    return tuple(gone)


def _files_of(command: Sequence[str], extra: Sequence[str], search: Mapping[str, str]) -> tuple[Path, ...]:
    """The program first, then every argument that names a file, then the extra ones."""
    program = shutil.which(command[0], path=search.get("PATH"))
    if program is None:
        raise OSError(f"{command[0]} is not there any more, it can't be archived")
    words = [word for word in command[1:] if os.path.isabs(word) and os.path.isfile(word)]  # noqa: PTH113, PTH117 - words, not yet paths.
    missing = [path for path in extra if not Path(path).is_file()]
    if missing:
        raise OSError(f"{', '.join(missing)} can't be archived: no such file")
    return tuple(dict.fromkeys(Path(path) for path in (program, *words, *extra)))


def _refuse_too_much(paths: Sequence[Path]) -> None:
    if len(paths) > FILES_MAX:
        raise OSError(f"{len(paths)} files to archive, at most {FILES_MAX} are kept")
    size = sum(path.stat().st_size for path in paths)
    if size > BYTES_MAX:
        raise OSError(f"{size:,} bytes to archive, at most {BYTES_MAX:,} are kept")


def _keep(path: Path, folder: Path, number: int) -> ArchivedFile:
    copy = f"{number:03}-{path.name}"
    shutil.copyfile(path, folder / copy)
    mode = path.stat().st_mode & 0o777
    (folder / copy).chmod(mode)
    size = (folder / copy).stat().st_size
    return ArchivedFile(path=str(path), sha256=_sha256(folder / copy), size=size, mode=mode, copy=copy)


def _is(path: Path, file: ArchivedFile) -> bool:
    try:
        return path.stat().st_size == file.size and _sha256(path) == file.sha256
    except OSError:
        return False


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while part := source.read(_CHUNK):
            digest.update(part)
    return digest.hexdigest()
