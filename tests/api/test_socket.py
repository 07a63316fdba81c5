"""The control socket itself: whose it is, who may connect, and what happens when the place is taken."""

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from agt.supervisor.client import Client, NoSupervisor, default_socket
from agt.supervisor.control import SocketUnusable, open_socket, serve_control

CONNECT_AS_NOBODY = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
peer = socket.socket(socket.AF_UNIX); peer.settimeout(5); peer.connect(sys.argv[1])
try:
    peer.sendall(b"GET /healthz HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n")
    print(len(peer.recv(1000)))
except OSError:
    print(0)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="agt-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_the_socket_is_ours_alone(tmp_path: Path) -> None:
    """Mode 0600, whatever the umask; the file goes with the socket."""
    before = os.umask(0)
    try:
        opened = open_socket(tmp_path / "control.sock")
    finally:
        os.umask(before)
    assert stat.S_IMODE(opened.path.stat().st_mode) == 0o600
    opened.close()
    assert not opened.path.exists()


def test_a_dead_supervisors_socket_is_replaced(tmp_path: Path) -> None:
    """A file that nobody answers on is stale."""
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    open_socket(path).close()


def test_a_living_supervisors_socket_is_left_alone(tmp_path: Path) -> None:
    """The second one is refused in words and the first still answers."""
    path = tmp_path / "control.sock"
    first = open_socket(path)
    with pytest.raises(SocketUnusable, match=r"a supervisor answers there already; .*agt down"):
        open_socket(path)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
    first.close()


def test_a_successors_file_is_not_removed(tmp_path: Path) -> None:
    """Closing removes our own file only."""
    path = tmp_path / "control.sock"
    first = open_socket(path)
    path.unlink()
    second = open_socket(path)
    first.close()
    assert path.exists()
    second.close()


@pytest.mark.parametrize(
    ("name", "says"),
    [("x" * 120, "107 bytes"), ("missing/control.sock", "check the run directory"), ("file", "is no socket")],
)
def test_an_unusable_path_is_said_in_words(tmp_path: Path, name: str, says: str) -> None:
    """Too long, nowhere, or something else in its place: one sentence, nothing touched."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SocketUnusable, match=says):
        open_socket(tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_another_user_is_refused_at_accept(open_folder: Path, backend) -> None:
    """Even where the file would let them in, the kernel's word on the peer keeps them out."""
    path = open_folder / "control.sock"
    async with anyio.create_task_group() as tasks:
        await tasks.start(serve_control, backend, path)
        path.chmod(0o666)
        command = [sys.executable, "-I", "-c", CONNECT_AS_NOBODY, str(path)]
        done = await anyio.run_process(command, stderr=subprocess.PIPE, cwd="/")
        assert done.stdout.strip() == b"0"
        async with Client(path) as client:
            assert (await client.view()).version == 1
        tasks.cancel_scope.cancel()


async def test_nobody_there_is_one_clear_sentence(tmp_path: Path) -> None:
    """No file, and a file that nobody answers on, say what to do."""
    path = tmp_path / "control.sock"
    async with Client(path) as client:
        with pytest.raises(
            NoSupervisor, match=r"no supervisor answers on .*control.sock .*; start one with `agt up PLAN`"
        ):
            await client.view()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        with pytest.raises(NoSupervisor, match="connection refused"):
            await anext(client.stream())


async def test_an_answer_in_another_language_is_no_supervisor(tmp_path: Path) -> None:
    """Something else on the socket is said so, without a traceback of ours."""
    path = tmp_path / "control.sock"

    async def answer(stream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\n{"hello":1}')

    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        async with Client(path) as client:
            with pytest.raises(NoSupervisor, match="another version"):
                await client.view()
        tasks.cancel_scope.cancel()


def test_the_default_socket_is_in_the_run_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """AGT_RUN_DIR decides."""
    monkeypatch.setenv("AGT_RUN_DIR", str(tmp_path))
    assert default_socket() == tmp_path / "control.sock"


def test_importing_the_client_stays_cheap() -> None:
    """Neither httpx nor a server is loaded before somebody talks."""
    code = (
        "import sys, agt.supervisor.client; print([m for m in ('httpx', 'starlette', 'uvicorn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
