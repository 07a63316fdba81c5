"""A run's directory: made for it, and taken away again unless somebody wants to look into it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class RunFolder:
    """Where a run keeps its sockets, logs and records."""

    path: Path
    keep: bool
    """Whether it stays when the run is over."""


@contextmanager
def run_folder(given: Path | None) -> Iterator[RunFolder]:
    """Give a run its directory: the one that was asked for, which stays, or a new one with a short path."""
    if given is None:
        folder = RunFolder(Path(tempfile.mkdtemp(prefix="agt-demo-")), keep=False)
    else:
        given.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = RunFolder(given.absolute(), keep=True)
    try:
        yield folder
    finally:
        if not folder.keep:
            shutil.rmtree(folder.path, ignore_errors=True)
