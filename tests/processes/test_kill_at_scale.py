"""A kill of real devices on two real gateways, by the operator's own command: fast, whole, and nothing lost."""

import json
import subprocess
import sys

import anyio
import pytest

from agt.chaos.scale import KillFigures, KillWork, StageFailed, Troupe, kill_devices
from agt.chaos.scale._stage import _allow_files


def check(figures: KillFigures, work: KillWork) -> None:
    """Hold figures against what was promised of a kill."""
    assert not figures.violations
    assert not figures.disagreements
    assert figures.within_goals, figures.rounds
    assert len(figures.rounds) == work.rounds
    for one in figures.rounds:
        assert set(one.routers) == {f"gateway-{index + 1}.sock" for index in range(work.gateways)}
        assert not one.missing
    assert figures.messages["candidate"].delivered > 0
    # What was held while devices moved, and what came later, went over control.
    assert figures.messages["control"].delivered > 0


def test_two_hundred_devices_on_two_gateways(run) -> None:
    """Each device has both its sockets; routed under a second, settled under five, every command accounted for."""
    work = KillWork(devices=200, rounds=1, rate=400.0)
    check(anyio.run(kill_devices, work, run, lambda _: None), work)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_ten_thousand_devices_on_two_gateways() -> None:
    """As an operator would measure it: 20,000 connections, five kills, exit status 0, and the figures as JSON."""
    command = [sys.executable, "-m", "agt.supervisor.cli", "chaos", "kill", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    figures = json.loads(done.stdout)
    assert (figures["devices"], figures["connections"], len(figures["rounds"])) == (10_000, 20_000, 5)


def test_more_devices_than_this_system_has_files_for_are_refused() -> None:
    """Before anything is started, with the number that is needed and what to do."""
    with pytest.raises(StageFailed, match=r"need [0-9,]+ files a process.*ulimit -Hn"):
        _allow_files(Troupe(devices=10**9))


@pytest.mark.parametrize("gateways", [1, 2, 3, 16])
def test_every_device_is_on_one_gateway(gateways: int) -> None:
    """Shares follow one another and differ by one at most."""
    troupe = Troupe(devices=100, gateways=gateways)
    shares = [troupe.share(index) for index in range(gateways)]
    assert [first for first, _ in shares] == [sum(count for _, count in shares[:index]) for index in range(gateways)]
    assert sum(count for _, count in shares) == 100
    assert max(count for _, count in shares) - min(count for _, count in shares) <= 1
