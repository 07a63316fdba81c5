"""The run directory: ours alone, short enough for its sockets, one supervisor at a time."""

import os
from pathlib import Path

import pytest

from agt.supervisor._errors import AlreadyRunning, RunDirectoryError
from agt.supervisor._rundir import SOCKET_PATH_MAX, RunDirectory, default_run_directory


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"AGT_RUN_DIR": "/a", "XDG_RUNTIME_DIR": "/b"}, "/a"),
        ({"XDG_RUNTIME_DIR": "/b"}, "/b/agt"),
        ({}, "~/.local/state/agt/run"),
    ],
)
def test_the_default_is_looked_for_in_order(environment: dict[str, str], expected: str) -> None:
    """Our own variable, the session's runtime directory, the home."""
    assert default_run_directory(environment) == Path(expected).expanduser()


def test_it_is_made_closed_to_others(tmp_path: Path) -> None:
    """0700, parents too where they are missing; a second time is no error."""
    run = RunDirectory(tmp_path / "a" / "b")
    run.prepare()
    run.prepare()
    assert run.path.stat().st_mode & 0o777 == 0o700


def test_one_that_is_open_to_others_is_refused(tmp_path: Path) -> None:
    """Whoever can write there could command the supervisor; the way out is named."""
    tmp_path.chmod(0o750)
    with pytest.raises(RunDirectoryError, match="is open to others") as caught:
        RunDirectory(tmp_path).prepare()
    assert caught.value.hint == f"close it with `chmod 700 {tmp_path}`"


def test_one_whose_sockets_could_not_be_bound_is_refused(tmp_path: Path) -> None:
    """Said before anything starts, with by how much; the longest that fits is taken."""
    room = SOCKET_PATH_MAX - len("/control.sock") - len(os.fsencode(tmp_path)) - 1
    RunDirectory(tmp_path / ("x" * room)).prepare()
    with pytest.raises(RunDirectoryError, match="is 1 bytes too long for a Unix socket"):
        RunDirectory(tmp_path / ("x" * (room + 1))).prepare()


def test_a_file_in_its_place_is_a_clear_error(tmp_path: Path) -> None:
    """No traceback from mkdir."""
    (tmp_path / "run").touch()
    with pytest.raises(RunDirectoryError, match="can't be made"):
        RunDirectory(tmp_path / "run").prepare()


def test_only_one_supervisor_claims_it(tmp_path: Path) -> None:
    """The second is told the pid of the first; afterwards it is free again."""
    run = RunDirectory(tmp_path)
    assert run.supervisor_pid() is None
    with run.claimed():
        assert run.supervisor_pid() == os.getpid()
        with pytest.raises(AlreadyRunning, match=rf"already runs .* \(pid {os.getpid()}\)"), run.claimed():
            pass
    assert run.supervisor_pid() is None
    with run.claimed():
        pass
