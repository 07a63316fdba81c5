"""The directory of a run: had in good order, or refused in one sentence before anything is started."""

import fcntl
from pathlib import Path

import pytest

from agt.chaos.demo import _folder
from agt.chaos.demo._folder import FolderUnusable, holder, run_folder


def refused(given: Path) -> str:
    """Ask for a directory that can't be had, and return what is said."""
    with pytest.raises(FolderUnusable) as caught, run_folder(given, fresh=True):
        pass
    return str(caught.value)


def test_a_folder_of_its_own_goes_away_and_a_chosen_one_stays(tmp_path: Path) -> None:
    """Only who asked for a directory wants to look into it."""
    with run_folder(None, fresh=True) as own, run_folder(tmp_path / "a" / "b", fresh=True) as chosen:
        assert own.path.is_dir()
        assert chosen.path == tmp_path / "a" / "b"
    assert not own.path.exists()
    assert chosen.path.is_dir()


def test_a_folder_in_use_or_used_is_refused(tmp_path: Path) -> None:
    """Another's run would be joined with ours, and ended with it."""
    lock = tmp_path / "supervisor.lock"
    lock.write_text("4711")
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert holder(tmp_path) == "4711"
        assert refused(tmp_path) == f"a supervisor is at work in {tmp_path} (pid 4711); choose another directory"
    assert holder(tmp_path) == ""
    assert refused(tmp_path) == f"{tmp_path} has an earlier run in it; choose an empty directory"
    with run_folder(tmp_path, fresh=False) as folder:  # To serve means to go on.
        assert folder.path == tmp_path


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A file in the way, a path too long for sockets: said before anything is made."""
    (tmp_path / "file").touch()
    assert refused(tmp_path / "file" / "run").endswith("can't be made: Not a directory")
    assert "bytes too long for a Unix socket" in refused(tmp_path / ("x" * 120))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that can't be written down can't be counted."""
    monkeypatch.setattr(_folder, "ROOM_MIN_BYTES", 1 << 62)
    assert "KiB of disk left" in refused(tmp_path)
