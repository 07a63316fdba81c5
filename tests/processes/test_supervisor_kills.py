"""`kill -9` of the supervisor at random moments, while a fleet of devices talks through a real gateway.

What is held: a component never has a second process (neither doubled nor started anew), none is left over at the end,
and the gateway goes on sending between any two kills.
"""

import logging
import os
import re
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from agt.supervisor._request import NoAnswer, request

log = logging.getLogger(__name__)

PLAN = Path(__file__).parents[2] / "plans" / "demo.toml"
COMPONENTS = {"fleet", "gateway", "daemon"}
LATEST_KILL_S = 2.0
"""After the start: a supervisor adopts within the first second and then watches; both are hit."""
_SENT = re.compile(rb"^tcp_comm_packet_sent_total\{[^}]*\} ([0-9.e+]+)", re.MULTILINE)


def processes(run: Path) -> dict[str, set[int]]:
    """Each component's processes by name: the leaders of their sessions that were started for this run directory."""
    found: dict[str, set[int]] = defaultdict(set)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = folder.joinpath("environ").read_bytes().split(b"\0")
            leads = os.getsid(int(folder.name)) == int(folder.name)
        except (OSError, ProcessLookupError):
            continue
        if leads and f"AGT_RUN_DIR={run}".encode() in variables:
            names = [one.partition(b"=")[2].decode() for one in variables if one.startswith(b"AGT_COMPONENT=")]
            for name in names:
                found[name].add(int(folder.name))
    return found


def sent(run: Path) -> float:
    """How many packets the gateway has sent to devices; 0 when it doesn't answer yet."""
    try:
        _, body = request(run / "gateway.sock", "GET", "/metrics")
    except NoAnswer:
        return 0.0
    return sum(float(number) for number in _SENT.findall(body))


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills", [50])
def test_a_supervisor_that_is_killed_again_and_again_doubles_and_orphans_nothing(
    up, run: Path, eventually: Callable[..., None], monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    """One process a component over all supervisors; devices are served all the while; nothing is left after `down`."""
    monkeypatch.setenv("AGT_DEMO_DEVICES", "10")
    rng = Random(kills)
    seen: dict[str, set[int]] = defaultdict(set)
    last = 0.0
    for _ in range(kills):
        supervisor = up(PLAN, "--duration", "30m")
        eventually(lambda started=supervisor: started.run.supervisor_pid() == started.process.pid)
        moment = time.monotonic() + rng.uniform(0.0, LATEST_KILL_S)
        eventually(lambda moment=moment: time.monotonic() >= moment)
        supervisor.end(signal.SIGKILL)
        for name, pids in processes(run).items():
            seen[name] |= pids
        if seen.keys() >= COMPONENTS:  # The first kills may come before all were started.
            eventually(lambda before=last: sent(run) > before)
            last = sent(run)
    final = up(PLAN, "--duration", "30m")
    eventually(lambda: final.all_ready)
    for name, pid in final.pids.items():
        seen[name].add(pid)
    assert {name: len(pids) for name, pids in seen.items()} == dict.fromkeys(COMPONENTS, 1)
    assert [process.restarts for process in final.control.view().processes] == [0, 0, 0]
    eventually(lambda: sent(run) > last)
    log.info("%d kills, %.0f packets sent meanwhile, one process a component", kills, sent(run))
    assert final.end(signal.SIGTERM)[0] == 0
    assert processes(run) == {}
