"""An operator's way through document 001's phases 2 to 4: preview, default, restart; real processes and sockets."""

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import tomli_w

from agt.supervisor.sessions import SessionList, SessionReceipt
from agt.supervisor.view import Preview

Body = TypeVar("Body")

GATEWAY = """
import os, signal, socket, sys
import anyio
from agt.router import Message, Router, Runtimes, SelectorFile
from agt.router.serving import create_app, serve
from agt.router.testing import ScriptedPath
from agt.router.watching import watch

run = os.environ["AGT_RUN_DIR"]
runtimes = Runtimes(control="legacy", candidate="reliable")

async def main():
    selector = SelectorFile(run + "/selector.toml", runtimes=runtimes)
    router = Router(selector, runtimes=runtimes)
    for name in ("a", "b", "c", "d"):
        paths = {"legacy": ScriptedPath(anyio.current_time, legacy=True), "reliable": ScriptedPath(anyio.current_time)}
        router.attach(name, paths)
    router.send(Message("a", 1, b"set 1"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(router.run)
        tasks.start_soon(watch, router, selector)
        await tasks.start(serve, create_app(router), run + "/gateway.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
anyio.run(main)
"""
"""A gateway with four idle devices that could carry either way, and one command that nobody answers."""

PHASES = [
    {
        "name": "canary",
        "route": {"percent": 10},
        "soak": "3d",
        "gate": [{"metric": "samples", "at_least": 1000}],
    },
    {
        "name": "default",
        "route": {"default": "candidate", "pin_live_sessions": True},
        "soak": "3d",
        "gate": [{"name": "none left", "metric": "sessions_left_on_control", "equals": 0}],
    },
]


def test_operator_previews_switches_the_default_and_restarts_what_is_left(
    up, agt, plan, component, eventually, run: Path
) -> None:
    """Names, kinds and what can't be confirmed first; then new sessions only; then the old ones, until none is left."""
    spec = msgspec.structs.replace(component("gateway"), command=(sys.executable, "-c", GATEWAY))
    path = plan(spec)
    path.write_text(_with_phases(path.read_text()))
    supervisor = up(path)
    eventually(lambda: supervisor.all_ready and supervisor.control.view().status == "running")

    preview = _json(agt("set", "percentage", "25", "--dry-run", "--json"), Preview)
    assert (preview.moves, preview.devices, preview.by_kind) == (1, ("a",), {"warm": 1})
    assert (preview.in_flight, preview.unconfirmed, preview.to_candidate) == (1, 1, 1)
    assert preview.says == "moves 1 device; up to 1 command on legacy can't be confirmed"
    assert "sessions" not in supervisor.control.view().reason

    assert agt("advance", "--reason", "test")[0] == 0
    eventually(lambda: _listed(agt, "--pinned").total == 4)
    assert {session.at_restart for session in _listed(agt).sessions} == {"reliable"}
    assert "live session stays on legacy until it restarts" in agt("explain", "b")[1]
    eventually(lambda: "legacy: 4 devices, 4 live sessions (4 pinned)" in agt("status")[1])

    eventually(lambda: "4 of = 0" in supervisor.control.view().gates[0].reason)
    assert agt("sessions", "restart", "--all-on", "legacy", "--dry-run")[1] == "would be: 4 restarted, of 4\n"
    receipt = _json(agt("sessions", "restart", "--all-on", "legacy", "--per-second", "1000", "--json"), SessionReceipt)
    assert (sorted((*receipt.restarted, *receipt.timed_out)), receipt.timed_out) == (["a", "b", "c", "d"], ("a",))
    assert (_listed(agt, "--runtime", "legacy").total, _listed(agt).total) == (0, 4)
    eventually(lambda: [gate.verdict for gate in supervisor.control.view().gates] == ["passed"])
    alerts = [alert.message for alert in supervisor.control.alerts() if alert.source == "sessions"]
    assert len(alerts) == 1


def _with_phases(text: str) -> str:
    """Put this plan's phases in the place of the one that every process test has."""
    return tomli_w.dumps({**tomllib.loads(text), "phase": PHASES})


def _listed(agt: Callable[..., tuple[int, str, str]], *arguments: str) -> SessionList:
    return _json(agt("sessions", "list", "--json", *arguments), SessionList)


def _json(said: tuple[int, str, str], kind: type[Body]) -> Body:
    status, out, err = said
    assert status == 0, err
    return msgspec.json.decode(out, type=kind)
