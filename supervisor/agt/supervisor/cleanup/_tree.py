"""Walks a source tree and gathers what can go. Reads files, and does nothing else to them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from agt.supervisor._errors import SupervisorError
from agt.supervisor.cleanup._find import Find
from agt.supervisor.cleanup._python import find_in_python
from agt.supervisor.cleanup._settings import find_in_settings

FILES_MAX: Final = 50_000
"""Files that are looked at; a tree that has more is refused."""
FILE_MAX_BYTES: Final = 1 << 20
"""Larger ones are named as not looked at."""
SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "build", "dist"})
"""Folders that hold nobody's source; those that begin with a dot are skipped too."""
WHOLE_TESTS: Final = ("test_canary_router.py", "test_dark_launch.py", "test_legacy_transport.py")
"""Document 004: these test files go whole."""
KEPT_TESTS: Final = ("test_reliable_transport.py", "test_integration.py")
"""Document 004: these stay, and lose their legacy paths."""
SETTINGS: Final = frozenset({".toml", ".yaml", ".yml", ".json", ".ini", ".cfg", ".conf", ".env", ".properties", ".txt"})
_NAMES: Final = ("Dockerfile", "Makefile", "Procfile")


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a tree."""

    tree: str
    files: int
    """Looked at."""
    finds: tuple[Find, ...]
    not_read: tuple[str, ...] = ()
    """Files that could not be looked at, with the reason."""


def survey_tree(tree: Path) -> Survey:
    """Return what can go below a folder.

    Raises:
        SupervisorError: when there is no such folder, or it is far too large to be a source tree.
    """
    if not tree.is_dir():
        raise SupervisorError(f"{tree} is no folder", "name the source tree: --check SRC")
    finds: list[Find] = []
    not_read: list[str] = []
    count = 0
    for path in _files(tree):
        count += 1
        if count > FILES_MAX:
            raise SupervisorError(f"{tree} has more than {FILES_MAX:,} files", "name the source tree itself")
        name = path.relative_to(tree).as_posix()
        try:
            finds += _look(path, name)
        except (OSError, ValueError, SyntaxError, RecursionError) as error:
            not_read.append(f"{name}: {getattr(error, 'strerror', None) or getattr(error, 'msg', None) or error}")
    return Survey(tree=str(tree), files=count, finds=tuple(sorted(finds)), not_read=tuple(not_read))


def _files(tree: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(tree):  # Links to folders are not followed.
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one not in SKIPPED)
        for name in sorted(names):
            path = Path(folder, name)
            if (path.suffix in SETTINGS | {".py"} or _is_environment(name) or name in _NAMES) and not path.is_symlink():
                yield path


def _look(path: Path, name: str) -> list[Find]:
    if path.stat().st_size > FILE_MAX_BYTES:
        raise ValueError(f"larger than {FILE_MAX_BYTES >> 10:,} KiB")
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return find_in_settings(name, text)
    if not _is_test(path, name):
        return find_in_python(name, text)
    if path.name in WHOLE_TESTS:
        says = "document 004: the whole file goes with what it tests"
        return [Find(file=name, line=1, kind="test", what=path.name, says=says)]
    finds = find_in_python(name, text, kind="test")
    if path.name in KEPT_TESTS:
        kept = "document 004: the file stays without its legacy paths"
        return [msgspec.structs.replace(one, says=f"{one.says}; {kept}") for one in finds]
    return finds


def _is_test(path: Path, name: str) -> bool:
    return path.name.startswith("test_") or path.name == "conftest.py" or "tests" in name.split("/")[:-1]


def _is_environment(name: str) -> bool:
    return name == ".env" or name.startswith(".env.") or name.endswith(".env")
