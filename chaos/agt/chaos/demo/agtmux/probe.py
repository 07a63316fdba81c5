"""Small questions for a plan's checks, `python -m agt.chaos.demo.agtmux.probe QUESTION [RUNTIME]`: status 0, 75 or 1.

    serves v5         the daemon answers on its socket
    advances v5       its projection's version grows
    new-sessions v4   nothing lives there that a pin doesn't hold
    final-snapshot    there is a snapshot that is kept for good; takes one when there is none
    forget            a drill: the terminals lose their event log

The run directory is `AGT_RUN_DIR`. It runs again and again beside a busy system, so it imports nothing that is slow to.
"""

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PENDING = 75
"""Not yet (EX_TEMPFAIL of sysexits.h)."""
TIMEOUT_S = 5.0
ADVANCES_WITHIN_S = 10.0
LOOK_S = 0.2
NAMED_MAX = 5
FINAL = "final, before v4 is decommissioned"


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Dial the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


def say(path: Path, line: str) -> dict[str, Any]:
    """Say a line to a socket and read the document that it answers with."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(TIMEOUT_S)
        sock.connect(str(path))
        sock.sendall(line.encode() + b"\n")
        with sock.makefile("rb") as answer:
            found: dict[str, Any] = json.loads(answer.readline(1 << 22) or b"{}")
            return found


def get(path: Path, target: str) -> dict[str, Any]:
    """GET a JSON document of an HTTP server on a Unix socket."""
    connection = UnixConnection(path)
    try:
        connection.request("GET", target)
        found: dict[str, Any] = json.loads(connection.getresponse().read() or b"{}")
        return found
    finally:
        connection.close()


def serves(run: Path, runtime: str) -> tuple[int, str]:
    """Whether a daemon answers."""
    answer = say(run / f"{runtime}.sock", "list_sessions")
    return 0, f"{runtime} lists {len(answer['sessions'])} sessions at version {answer['version']}"


def advances(run: Path, runtime: str) -> tuple[int, str]:
    """Whether a daemon's projection goes on, and its cursor with it."""
    before = after = say(run / f"{runtime}.sock", "status")
    deadline = time.monotonic() + ADVANCES_WITHIN_S
    while time.monotonic() < deadline:
        time.sleep(LOOK_S)
        after = say(run / f"{runtime}.sock", "status")
        if after["version"] > before["version"] and after["committed"] > before["committed"]:
            return 0, f"version {before['version']} -> {after['version']}, committed {after['committed']}"
    return PENDING, f"version {after['version']} stands still"


def new_sessions(run: Path, runtime: str) -> tuple[int, str]:
    """Whether all that lives on a runtime has done so since before the default was switched."""
    listed = get(run / "gateway.sock", f"/sessions?runtime={runtime}&limit=1000")
    fresh = [str(one["device"]) for one in listed["sessions"] if not one.get("pinned")]
    if fresh:
        return PENDING, f"{len(fresh)} on {runtime} that no pin holds: {', '.join(fresh[:NAMED_MAX])}"
    return 0, f"{listed['total']} sessions left on {runtime}, all from before"


def final_snapshot(run: Path, _runtime: str) -> tuple[int, str]:
    """Take the last snapshot once, and keep it."""
    agt = [sys.executable, "-m", "agt.supervisor.cli", "snapshot"]
    where = ["--json", "--run-dir", str(run)]
    done = subprocess.run([*agt, "list", *where], capture_output=True, check=True)  # noqa: S603 - our own command.
    for one in json.loads(done.stdout)["snapshots"]:
        if one["says"] == FINAL:
            return 0, f"{one['id']} is kept"
    taken = subprocess.run([*agt, "take", "--keep", "--reason", FINAL, *where], capture_output=True, check=True)  # noqa: S603 - as above.
    return 0, f"{json.loads(taken.stdout)['id']} taken, and kept"


def forget(run: Path, _runtime: str) -> tuple[int, str]:
    """Let the terminals lose their log."""
    say(run / "mux.sock", json.dumps({"op": "forget"}))
    return 0, "every cursor is invalid now"


QUESTIONS = {
    "serves": serves,
    "advances": advances,
    "new-sessions": new_sessions,
    "final-snapshot": final_snapshot,
    "forget": forget,
}


def main(arguments: list[str] | None = None) -> int:
    """Ask one question."""
    parser = argparse.ArgumentParser(prog="python -m agt.chaos.demo.agtmux.probe", description="Asks for a plan.")
    parser.add_argument("question", choices=tuple(QUESTIONS))
    parser.add_argument("runtime", nargs="?", default="")
    options = parser.parse_args(arguments)
    try:
        status, says = QUESTIONS[options.question](Path(os.environ["AGT_RUN_DIR"]), options.runtime)
    except (OSError, ValueError, KeyError, subprocess.CalledProcessError, http.client.HTTPException) as error:
        status, says = 1, f"{options.question}: {error}"
    sys.stdout.write(f"{says}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
