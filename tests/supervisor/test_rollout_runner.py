"""The runner over real sockets and a real router: record before forward, act before record when going back."""

import os
import sqlite3
import subprocess
import time
from contextlib import closing

import anyio
import msgspec
import pytest

from agt.router import Message, SelectorFile, moves_at, position
from agt.supervisor.actions import Action, Refused
from agt.supervisor.cli._explain import _from_gateway
from agt.supervisor.records import StoreUnavailable
from agt.supervisor.rollout import Rollout, Status, _live, parse_plan
from agt.supervisor.rollout._effects import SetRoute
from agt.supervisor.rollout._turns import TO_CONTROL
from support.rollout_run import PLAN, IdleDevice, rollout_on

pytestmark = pytest.mark.anyio

GOES_ON = (Status.RUNNING, Status.SUSPENDED)
"""A rollout that nobody holds; a machine that is too busy suspends it for a while."""


@pytest.fixture
def anyio_backend():
    """Uvicorn runs on asyncio only."""
    return "asyncio"


async def test_forward_is_refused_without_a_record_and_nothing_moves(tmp_path, monkeypatch):
    """When the journal can't be written, an operator's advance is refused and the selector stays as it is."""
    async with rollout_on(tmp_path) as (rollout, file):

        async def full(_entry):
            raise StoreUnavailable("the disk is full")

        monkeypatch.setattr(rollout._recorder, "decide", full)
        before = file.read().selector
        with pytest.raises(Refused, match="disk is full") as caught:
            await rollout.act(Action(action="advance", reason="test", version=9))
        assert caught.value.code == "unavailable"
        assert file.read().selector == before
        assert rollout.sections()["phase"] == "all-old"


async def test_screen_is_live_though_checks_are_a_minute_apart(tmp_path, monkeypatch):
    """A plan at its real speed starts as soon as its routers are up, and its figures move between two checks."""
    monkeypatch.setattr(_live, "LOOK_S", 0.2)
    slow = PLAN.replace('checks_every = "200ms"', 'checks_every = "1m"')
    async with rollout_on(tmp_path, IdleDevice("a"), text=slow) as (rollout, router, until):
        router.send(Message(device="a", number=1, payload=b"set 1 1"))
        await until(lambda: rollout.sections()["runtimes"][0].rate > 0)
        assert rollout.sections()["runtimes"][0].devices == 1
        assert len(rollout.sections()["history"][0].points) >= 2


async def test_forward_needs_the_version_and_back_does_not(tmp_path):
    """Advance without a version is stale; hold, rollback and kill need none and are answered with times."""
    async with rollout_on(tmp_path) as (rollout, file):
        with pytest.raises(Refused, match="needs the version"):
            await rollout.act(Action(action="advance", reason="test"))
        await rollout.act(Action(action="advance", reason="test", version=9))
        assert file.read().selector.percentage == 50
        receipt = await rollout.act(Action(action="rollback", by="mia"))
        assert receipt.routed_ms is not None
        assert file.read().selector.percentage == 0
        assert rollout.sections()["rollbacks"][-1].from_phase == "half"
        assert rollout.sections()["status"] == "rolled-back"


async def test_way_back_that_is_asked_for_twice_is_written_once(tmp_path):
    """A check that runs while an operator's rollback is being written asks again; the number must not rise by it."""
    async with rollout_on(tmp_path) as (rollout, file):
        await rollout.act(Action(action="advance", reason="test", version=9))
        await rollout.act(Action(action="rollback", by="mia"))
        again = SetRoute(rollout.state.journal, rollout.state.generation, TO_CONTROL, forward=False)
        await rollout._way.go_back(again)
        assert file.read().selector.generation == rollout.state.generation
        await rollout.check()
        assert [alert for alert in rollout.sections()["alerts"] if alert.source == "selector"] == []


async def test_kill_that_is_repeated_raises_no_alert_about_the_selector(tmp_path):
    """The selector is away because of the kill: that it can't be written is not what is wrong."""
    async with rollout_on(tmp_path) as (rollout, _file):
        await rollout.act(Action(action="kill-switch-on", by="mia", reason="one"))
        receipt = await rollout.act(Action(action="kill-switch-on", by="mia", reason="two"))
        assert receipt.says == "killed again by mia: two"
        assert [alert for alert in rollout.sections()["alerts"] if alert.source == "selector"] == []


async def test_decisions_are_lines_in_the_log(tmp_path, caplog):
    """Who reads supervisor.log afterwards finds each advance, way back and kill."""
    caplog.set_level("INFO", logger="agt.supervisor.rollout")
    async with rollout_on(tmp_path) as (rollout, _file):
        await rollout.act(Action(action="advance", reason="test", by="mia", version=9))
        await rollout.act(Action(action="rollback", by="mia", reason="practice"))
        await rollout.act(Action(action="kill-switch-on", by="mia"))
    said = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in said] == ["started", "advanced", "rolled-back", "killed"]
    assert "rolled-back: rolled back by mia: practice" in said


async def test_check_that_writes_while_a_way_back_does_is_no_trouble(tmp_path, monkeypatch):
    """Two settings within a second: the check's write meets the newer file, which is what was wanted."""
    async with rollout_on(tmp_path) as (rollout, file):
        await rollout.act(Action(action="set", percentage=50.0, version=9))
        way, written = rollout._way, rollout._way._write

        async def overtaken(selector, **how):
            monkeypatch.setattr(way, "_write", written)
            await rollout.act(Action(action="set", percentage=20.0))
            await written(selector, **how)

        monkeypatch.setattr(way, "_write", overtaken)
        state = rollout.state
        await way.go_forward(SetRoute(state.journal, state.generation + 1, TO_CONTROL, forward=True))
        assert file.read().selector.percentage == 20


async def test_way_back_that_is_written_ends_the_alert_of_one_that_was_not(tmp_path):
    """Once the file stands and every router has confirmed, an older trouble with the selector is over."""
    async with rollout_on(tmp_path) as (rollout, _file):
        await rollout.act(Action(action="advance", reason="test", version=9))
        rollout.raise_alert("degraded", "selector", "selector is at generation 5, not 4")
        await rollout.act(Action(action="rollback", by="mia"))
        found = [alert for alert in rollout.sections()["alerts"] if alert.source == "selector" and alert.open]
        assert found == []


async def test_preview_is_in_words_and_changes_nothing(tmp_path):
    """A preview asks the router and leaves selector and state alone."""
    async with rollout_on(tmp_path) as (rollout, file):
        before = (file.read().selector, rollout.state)
        preview = await rollout.preview(Action(action="set", percentage=25.0))
        assert preview.says == "goes to 25 %; moves no device"
        assert (file.read().selector, rollout.state.generation) == (before[0], before[1].generation)


async def test_preview_says_who_moves_how_and_what_is_in_flight(tmp_path):
    """By name and count, by kind of move, with what can't be confirmed; and it is what then happens."""
    devices = [IdleDevice(name) for name in "abcdefgh"]
    async with rollout_on(tmp_path, *devices) as (rollout, router, until):
        router.send(Message(device="a", number=1, payload=b"set 1 1"))
        preview = await rollout.preview(Action(action="set", percentage=25.0))
        there = [name for name in "abcdefgh" if position(name) < 25]
        assert preview.devices == tuple(there) == ("a", "f")
        assert (preview.moves, preview.to_candidate, preview.to_control) == (len(there), len(there), 0)
        assert (preview.by_kind, preview.in_flight, preview.unconfirmed) == ({"warm": 2}, 1, 1)
        assert (preview.percentage, preview.says) == (
            25.0,
            "moves 2 devices; up to 1 command on old can't be confirmed",
        )
        await rollout.act(Action(action="set", percentage=25.0, version=9))
        await until(lambda: router.status().moves.moving + router.status().moves.moved == preview.moves)


async def test_preview_of_a_kill_is_of_everything(tmp_path):
    """Also what a cohort or an override holds."""
    async with rollout_on(tmp_path, IdleDevice("a"), IdleDevice("b")) as (rollout, router, until):
        await rollout.act(Action(action="set", percentage=100.0, version=9))
        await until(lambda: router.runtime_of("a") == router.runtime_of("b") == "new")
        preview = await rollout.preview(Action(action="kill-switch-on"))
        assert (preview.moves, preview.to_control, preview.devices) == (2, 2, ("a", "b"))


async def test_edit_by_hand_is_taken_for_what_it_is_and_keeps_its_comments(tmp_path):
    """Without a number, or under the old one: the rollout is held at what the hand wrote, which gets its number."""
    async with rollout_on(tmp_path, IdleDevice("a")) as (rollout, _router, until):
        path = tmp_path / "selector.toml"
        by_hand = (
            '# mine\n[runtimes]\ncontrol = "old"\ncandidate = "new"\n[runtime]\nnew_enabled = true\npercentage = {}\n'
        )
        before = rollout.state.generation
        path.write_text(by_hand.format(30))
        await until(lambda: rollout.state.percent == 30)
        assert (rollout.state.status, rollout.state.generation) == (Status.HELD, before + 1)
        await until(lambda: f"generation = {before + 1}" in path.read_text())
        assert path.read_text().startswith("# mine\n")
        path.write_text(path.read_text().replace("percentage = 30", "percentage = 0.5"))
        await until(lambda: rollout.state.percent == 0.5)
        await until(lambda: f"generation = {before + 2}" in path.read_text())
        await rollout.act(Action(action="resume", version=9))
        assert path.read_text().startswith("# mine\n")
        assert SelectorFile(path).read().selector.percentage == 0


async def test_explanation_comes_from_the_gateway_where_one_answers(tmp_path):
    """It knows what no file can: that a device has no attachment to the candidate."""
    async with rollout_on(tmp_path, IdleDevice("a")) as (rollout, router, until):
        router.attach("late", {"old": IdleDevice("late").paths["old"]})
        await rollout.act(Action(action="set", percentage=100.0, version=9))
        await until(lambda: router.runtime_of("a") == "new")
        told = await anyio.to_thread.run_sync(_from_gateway, tmp_path / "gateway.sock", "late", None)
        assert (told.runtime, told.held_by, told.reason) == ("old", "attachment", "no candidate attachment")
        assert told.moves_at == moves_at("late")
        assert await anyio.to_thread.run_sync(_from_gateway, tmp_path / "nobody.sock", "late", None) is None


async def test_override_forces_one_device_and_the_rollout_goes_on(tmp_path):
    """With owner, reason and end; what was carried before counts on; ending it lets the share decide again."""
    async with rollout_on(tmp_path, IdleDevice("a"), IdleDevice("d")) as (rollout, router, until):
        forced = Action(action="override", device="d", side="candidate", by="mia", reason="tests", version=9)
        with pytest.raises(Refused, match="new is not enabled"):
            await rollout.act(forced)
        await rollout.act(Action(action="advance", reason="test", version=9))
        await until(lambda: rollout.sections()["phases"][1].carried_s > 0.3)
        for wrong, says in (({"reason": ""}, "an owner and a reason"), ({"expires_at": 1.0}, "expired already")):
            with pytest.raises(Refused, match=says):
                await rollout.act(msgspec.structs.replace(forced, **wrong))
        until_s = time.time() + 3600
        receipt = await rollout.act(msgspec.structs.replace(forced, expires_at=until_s))
        assert receipt.says.startswith("d forced to new until ")
        await until(lambda: router.runtime_of("d") == "new" and rollout.sections()["overrides"] != ())
        (shown,) = rollout.sections()["overrides"]
        assert (shown.device, shown.runtime, shown.owner, shown.reason) == ("d", "new", "mia", "tests")
        assert shown.expires_at == round(until_s)
        assert rollout.sections()["phases"][1].carried_s > 0.3
        assert rollout.state.status in GOES_ON
        back = await rollout.act(Action(action="override", device="a", side="control", by="mia", reason="enough"))
        assert back.routed_ms is not None
        assert router.runtime_of("a") == "old"
        for name in "ad":
            await rollout.act(Action(action="override", device=name, version=9))
        await until(lambda: rollout.sections()["overrides"] == () and router.runtime_of("a") == "new")
        await until(lambda: router.runtime_of("d") == "old")
        assert rollout.state.status in GOES_ON


async def test_a_network_mode_is_forced_by_name_and_the_rollout_goes_on(tmp_path):
    """With an owner, until it is measured again; what the routers take for the mode is in the view."""
    async with rollout_on(tmp_path, IdleDevice("a")) as (rollout, router, until):
        forced = Action(action="mode", name="internet", by="mia", reason="drill", version=9)
        for wrong, says in (
            ({"name": "satellite"}, "there is no mode 'satellite'"),
            ({"by": ""}, "needs an owner"),
            ({"expires_at": 1.0}, "expired already"),
        ):
            with pytest.raises(Refused, match=says):
                await rollout.act(msgspec.structs.replace(forced, **wrong))
        foretold = await rollout.preview(forced)
        assert (foretold.moves, router.status().mode.mode) == (0, "unknown")
        receipt = await rollout.act(forced)
        assert receipt.says == "network mode forced to internet by mia: drill"
        await until(lambda: [one.mode for one in rollout.sections()["modes"]] == ["internet"])
        (shown,) = rollout.sections()["modes"]
        assert (shown.router, shown.forced_by, shown.measured) == ("gateway.sock", "mia", "unknown")
        assert shown.says.endswith("forced by mia: drill")
        assert router.status().mode.mode == "internet"
        back = await rollout.act(Action(action="mode", name="auto", by="mia", version=9))
        assert back.says == "network mode as measured again, by mia"
        await until(lambda: [one.mode for one in rollout.sections()["modes"]] == ["unknown"])
        assert router.selector.forced_mode is None


async def test_variables_are_shown_with_what_they_override(tmp_path):
    """Those that are set where a router runs."""
    async with rollout_on(tmp_path, IdleDevice("a")) as (rollout, router, until):
        router.set_environment({"CANARY_PERCENTAGE": "0", "DARK_LAUNCH": "true"}, "line 3 is not NAME=value")
        await until(lambda: len(rollout.sections()["switches"]) == 2)
        shown = {switch.says: switch.overrides for switch in rollout.sections()["switches"]}
        assert shown == {
            "CANARY_PERCENTAGE=0 changes nothing: percentage is 0": False,
            "shadow off -> candidate (DARK_LAUNCH=true)": True,
        }
        assert rollout.sections()["selector_problems"] == ("agt.env: line 3 is not NAME=value",)


async def test_restarted_supervisor_goes_on_where_it_was(tmp_path):
    """Phase, generation and status come from the records."""
    async with rollout_on(tmp_path) as (rollout, _):
        await rollout.act(Action(action="advance", reason="test", version=9))
        await rollout.act(Action(action="hold", by="mia"))
        before = rollout.state
    async with anyio.create_task_group() as group:
        again = Rollout(parse_plan(PLAN), tmp_path)
        await group.start(again.run)
        state = again.state
        assert (state.status, state.phase, state.generation) == (Status.HELD, 1, before.generation)
        group.cancel_scope.cancel()


async def test_account_of_a_way_back_grows_until_it_is_settled(tmp_path):
    """All devices that moved are counted, not those of the first instant; the journal has the final figures."""
    devices = [IdleDevice(name) for name in "abc"]
    async with rollout_on(tmp_path, *devices) as (rollout, router, until):
        await rollout.act(Action(action="set", percentage=100.0, version=9))
        await until(lambda: all(router.runtime_of(name) == "new" for name in "abc"))
        router.send(Message(device="a", number=1, payload=b"set 1 1"))
        await rollout.act(Action(action="rollback", by="mia"))
        await until(lambda: rollout.sections()["rollbacks"][-1].moved == 2)
        assert rollout.sections()["rollbacks"][-1].settled_ms is None
        devices[0].paths["new"].arrive()
        devices[0].paths["new"].answer()
        await until(lambda: rollout.sections()["rollbacks"][-1].settled_ms is not None)
        (shown,) = rollout.sections()["rollbacks"]
        assert (shown.moved, shown.resent, shown.indeterminate) == (3, 0, 0)
        await until(lambda: "settled" in _kinds(tmp_path))
    assert _kinds(tmp_path)[-2:] == ["rolled-back", "settled"]


async def test_way_back_that_is_followed_by_another_settles_all_the_same(tmp_path):
    """What a newer change of route moves isn't counted for the older one, which has its time of settling too."""
    devices = [IdleDevice(name) for name in "abc"]
    async with rollout_on(tmp_path, *devices) as (rollout, router, until):
        await rollout.act(Action(action="set", percentage=100.0, version=9))
        await until(lambda: all(router.runtime_of(name) == "new" for name in "abc"))
        router.send(Message(device="a", number=1, payload=b"set 1 1"))
        await rollout.act(Action(action="rollback", by="mia"))
        await until(lambda: rollout.sections()["rollbacks"][-1].moved == 2)
        await rollout.act(Action(action="kill-switch-on", by="mia"))
        devices[0].paths["new"].arrive()
        devices[0].paths["new"].answer()
        await until(lambda: all(view.settled_ms is not None for view in rollout.sections()["rollbacks"]))
        assert [view.moved for view in rollout.sections()["rollbacks"]] == [2, 1]


async def test_restarted_supervisor_shows_what_was_shown(tmp_path):
    """Ways back and what left phases had carried are there again, from the journal."""
    async with rollout_on(tmp_path, IdleDevice("a")) as (rollout, router, until):
        await until(lambda: rollout.sections()["phases"][0].carried_s > 0.3)
        await rollout.act(Action(action="advance", reason="test", version=9))
        await until(lambda: router.status().settled_generation == rollout.state.generation)
        await rollout.act(Action(action="rollback", by="mia"))
        await until(lambda: "settled" in _kinds(tmp_path))
        before = rollout.sections()
    async with anyio.create_task_group() as group:
        again = Rollout(parse_plan(PLAN), tmp_path)
        await group.start(again.run)
        after = again.sections()
        group.cancel_scope.cancel()
    assert after["rollbacks"] == before["rollbacks"] != ()
    assert after["phases"][0].carried_s == before["phases"][0].carried_s > 0.3


def _kinds(run):
    with closing(sqlite3.connect(f"file:{run / 'records.sqlite'}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT kind FROM journal ORDER BY number")]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tiny tmpfs needs root")
async def test_kill_and_rollback_work_on_a_full_disk(tmp_path):
    """With no byte left the kill renames the selector aside, and a rollback ends the same way: all on control."""
    for verb in ("kill-switch-on", "rollback"):
        run = tmp_path / verb
        run.mkdir()
        if _run("mount", "-t", "tmpfs", "-o", "size=4m", "agt-test", str(run)):
            pytest.skip("this kernel or container refuses to mount a tmpfs")
        try:
            async with rollout_on(run) as (rollout, file):
                await rollout.act(Action(action="advance", reason="test", version=9))
                _fill(run / "filler")
                await rollout.act(Action(action=verb, by="mia"))
                assert file.read().selector is None
                assert (run / "selector.toml.killed").exists()
                assert rollout.state.percent == 0
        finally:
            assert _run("umount", str(run)) == 0


def _fill(path):
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def _run(*command):
    return subprocess.run(command, capture_output=True, check=False).returncode
