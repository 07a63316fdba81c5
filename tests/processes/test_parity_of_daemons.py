"""Document 001, phase 1: two daemons on Unix sockets, compared by the example file as an operator would run it."""

import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agt.supervisor.cli import run

EXAMPLE = Path(__file__).parents[2] / "examples" / "parity" / "agtmux.toml"


class Daemon(socketserver.ThreadingUnixStreamServer):
    """Answers `list_panes` and `list_sessions` in one line, and leaves its connections open."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), Answering)
        self.state: dict[str, list[dict[str, Any]]] = {"panes": [], "sessions": []}
        self.asked = 0
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def pane(self, number: int, **fields: Any) -> None:
        """Show one more pane."""
        row = {"session_name": "alpha", "pane_id": number, "evidence_mode": "hook", "pane_presence": "present"}
        self.state["panes"].append({**row, **fields})

    def answer(self, question: str) -> dict[str, Any]:
        """The listing that was asked for."""
        self.asked += 1
        name = question.removeprefix("list_")
        return {name: self.state[name], "version": self.asked, "updated_at": 4_000_000_000}


class Answering(socketserver.StreamRequestHandler):
    """One connection of a daemon."""

    server: Daemon

    def handle(self) -> None:
        """Answer each line, until the other side goes."""
        for line in self.rfile:
            self.wfile.write(json.dumps(self.server.answer(line.decode().strip())).encode() + b"\n")


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[tuple[Daemon, Daemon, Path]]:
    """Both daemons with the same two panes and a session, and the file that compares them."""
    v4, v5 = Daemon(tmp_path / "v4.sock"), Daemon(tmp_path / "v5.sock")
    for daemon in (v4, v5):
        daemon.pane(1)
        daemon.pane(2)
        daemon.state["sessions"] = [{"session_name": "alpha", "pane_count": 2}]
    text = EXAMPLE.read_text().replace("/tmp/agtmux-", f"{tmp_path}/").replace("every_s = 1.0", "every_s = 0.001")
    command = '{ command = ["agtmux-v5", "list-sessions", "--json"], timeout_s = 5 }'
    assert command in text
    text = text.replace(command, f'"unix:{tmp_path}/v5.sock?send=list_sessions"\nevery_s = 0.001')
    (tmp_path / "parity.toml").write_text(text)
    yield v4, v5, tmp_path / "parity.toml"
    for daemon in (v4, v5):
        daemon.shutdown()
        daemon.server_close()


def verdicts(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str]]:
    """Run the command: its status, and the verdict of each projection."""
    status = run(("parity", str(path), "--json"))
    found = json.loads(capsys.readouterr().out)
    return status, {one["name"]: one["verdict"] for one in found["projections"]}


def test_two_daemons_that_show_the_same_pass(
    daemons: tuple[Daemon, Daemon, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Panes and sessions, by two questions each."""
    _, _, path = daemons
    assert verdicts(path, capsys) == (0, {"panes": "passed", "sessions": "passed"})


def test_a_lost_pane_and_another_signature_fail(
    daemons: tuple[Daemon, Daemon, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each alone; the sessions are still the same. Each was seen in three takes."""
    v4, v5, path = daemons
    v4.pane(3)
    assert verdicts(path, capsys) == (1, {"panes": "failed", "sessions": "passed"})
    assert v5.asked == 4
    v5.pane(3, evidence_mode="poll")
    assert verdicts(path, capsys)[1]["panes"] == "failed"


def test_a_pane_that_comes_later_on_one_side_is_the_same(
    daemons: tuple[Daemon, Daemon, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the takes that a difference must stand."""
    v4, v5, path = daemons
    v4.pane(3)
    answer = v5.answer

    def late(question: str) -> dict[str, Any]:
        if question == "list_panes" and v5.asked >= 2 and len(v5.state["panes"]) == 2:
            v5.pane(3)
        return answer(question)

    monkeypatch.setattr(v5, "answer", late)
    assert verdicts(path, capsys) == (0, {"panes": "passed", "sessions": "passed"})


def test_a_daemon_that_is_gone_is_an_error(
    daemons: tuple[Daemon, Daemon, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its socket's file may still be there."""
    _, v5, path = daemons
    v5.shutdown()
    v5.server_close()
    assert verdicts(path, capsys) == (1, {"panes": "error", "sessions": "error"})


@pytest.mark.soak
def test_one_difference_among_thirty_thousand_rows_is_found(
    daemons: tuple[Daemon, Daemon, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing else."""
    v4, v5, path = daemons
    for number in range(3, 30_000):
        v4.pane(number)
        v5.pane(number, pane_presence="absent" if number == 17_777 else "present")
    assert run(("parity", str(path), "--only", "panes", "--json")) == 1
    (panes,) = json.loads(capsys.readouterr().out)["projections"]
    assert panes["counts"] == {"differs": 1}
    assert (panes["samples"], panes["differences"][0]["difference"]["key"]) == (29_999, "alpha / 17777")
