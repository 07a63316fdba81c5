"""The runner over real sockets and a real router: record before forward, act before record when going back."""

import os
import sqlite3
import subprocess
import time
from contextlib import asynccontextmanager, closing

import anyio
import msgspec
import pytest

from agt.router import Ledger, Message, Router, Runtimes, SelectorFile, moves_at, order, position
from agt.router.serving import create_app, serve
from agt.router.testing import ScriptedDevice, ScriptedPath
from agt.router.watching import watch
from agt.supervisor.actions import Action, Refused
from agt.supervisor.cli._explain import _from_gateway
from agt.supervisor.records import StoreUnavailable
from agt.supervisor.rollout import Rollout, Status, _live, parse_plan
from agt.supervisor.rollout._effects import SetRoute
from agt.supervisor.rollout._engine import TO_CONTROL
from agt.transport import Barrier

pytestmark = pytest.mark.anyio

PLAN = """
schema = 1
name = "runner"
checks_every = "200ms"
[runtimes]
control = "old"
candidate = "new"
[[objective]]
name = "success"
metric = "success_ratio"
at_least = 0.99
[[phase]]
name = "all-old"
soak = "1h"
[[phase.gate]]
metric = "samples"
at_least = 1
[[phase]]
name = "half"
route = { percent = 50 }
soak = "1h"
"""


@pytest.fixture
def anyio_backend():
    """Uvicorn runs on asyncio only."""
    return "asyncio"


@asynccontextmanager
async def _rollout(run, *devices, text=PLAN):
    """A router on its socket with idle devices, watching its selector, and a rollout beside it that has begun."""
    names = Runtimes(control="old", candidate="new")
    file = SelectorFile(run / "selector.toml", runtimes=names)
    router = Router(file, runtimes=names, ledger=Ledger(("old", "new")))
    for device in devices:
        router.attach(device.name, device.paths)
    changed = anyio.Event()

    def on_change():
        nonlocal changed
        changed.set()
        changed = anyio.Event()

    async def until(holds):
        with anyio.fail_after(10):
            while not holds():
                await changed.wait()  # At each check, and whenever something is shown anew.

    rollout = Rollout(parse_plan(text), run, on_change=on_change)
    async with anyio.create_task_group() as group:
        group.start_soon(router.run)
        group.start_soon(serve, create_app(router), run / "gateway.sock")
        group.start_soon(watch, router, file)
        await group.start(rollout.run)
        await until(lambda: rollout.state.status is Status.RUNNING)
        yield (rollout, router, until) if devices else (rollout, file)
        group.cancel_scope.cancel()


async def test_forward_is_refused_without_a_record_and_nothing_moves(tmp_path, monkeypatch):
    """When the journal can't be written, an operator's advance is refused and the selector stays as it is."""
    async with _rollout(tmp_path) as (rollout, file):

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
    async with _rollout(tmp_path, _Device("a"), text=slow) as (rollout, router, until):
        router.send(Message(device="a", number=1, payload=b"set 1 1"))
        await until(lambda: rollout.sections()["runtimes"][0].rate > 0)
        assert rollout.sections()["runtimes"][0].devices == 1
        assert len(rollout.sections()["history"][0].points) >= 2


async def test_forward_needs_the_version_and_back_does_not(tmp_path):
    """Advance without a version is stale; hold, rollback and kill need none and are answered with times."""
    async with _rollout(tmp_path) as (rollout, file):
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
    async with _rollout(tmp_path) as (rollout, file):
        await rollout.act(Action(action="advance", reason="test", version=9))
        await rollout.act(Action(action="rollback", by="mia"))
        again = SetRoute(rollout.state.journal, rollout.state.generation, TO_CONTROL, forward=False)
        await rollout._way.go_back(again)
        assert file.read().selector.generation == rollout.state.generation
        await rollout.check()
        assert [alert for alert in rollout.sections()["alerts"] if alert.source == "selector"] == []


async def test_preview_is_in_words_and_changes_nothing(tmp_path):
    """A preview asks the router and leaves selector and state alone."""
    async with _rollout(tmp_path) as (rollout, file):
        before = (file.read().selector, rollout.state)
        preview = await rollout.preview(Action(action="set", percentage=25.0))
        assert preview.says == "goes to 25 %; moves no device"
        assert (file.read().selector, rollout.state.generation) == (before[0], before[1].generation)


async def test_preview_says_who_moves_how_and_what_is_in_flight(tmp_path):
    """By name and count, by kind of move, with what can't be confirmed; and it is what then happens."""
    devices = [_Device(name) for name in "abcdefgh"]
    async with _rollout(tmp_path, *devices) as (rollout, router, until):
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
    async with _rollout(tmp_path, _Device("a"), _Device("b")) as (rollout, router, until):
        await rollout.act(Action(action="set", percentage=100.0, version=9))
        await until(lambda: router.runtime_of("a") == router.runtime_of("b") == "new")
        preview = await rollout.preview(Action(action="kill-switch-on"))
        assert (preview.moves, preview.to_control, preview.devices) == (2, 2, ("a", "b"))


async def test_exactly_so_many_devices_are_moved(tmp_path):
    """Seven of twenty, by their order; then three of those, the last in out first; more than there are is refused."""
    names = [f"device-{number}" for number in range(20)]
    ranked = sorted(names, key=order)
    async with _rollout(tmp_path, *map(_Device, names)) as (rollout, router, until):
        preview = await rollout.preview(Action(action="set", devices=7))
        assert set(preview.devices) == set(ranked[:7])
        for count in (7, 3):
            receipt = await rollout.act(Action(action="set", devices=count, version=9))
            assert receipt.says == f"set to exactly {count} devices by operator"
            await until(lambda count=count: {n for n in names if router.runtime_of(n) == "new"} == set(ranked[:count]))
        assert rollout.state.up_to == ranked[2]
        with pytest.raises(Refused, match="only 20 devices"):
            await rollout.act(Action(action="set", devices=21, version=9))
        await rollout.act(Action(action="set", devices=0))
        await until(lambda: not any(router.runtime_of(name) == "new" for name in names))


async def test_edit_by_hand_is_taken_for_what_it_is_and_keeps_its_comments(tmp_path):
    """Without a number, or under the old one: the rollout is held at what the hand wrote, which gets its number."""
    async with _rollout(tmp_path, _Device("a")) as (rollout, _router, until):
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
    async with _rollout(tmp_path, _Device("a")) as (rollout, router, until):
        router.attach("late", {"old": _Device("late").paths["old"]})
        await rollout.act(Action(action="set", percentage=100.0, version=9))
        await until(lambda: router.runtime_of("a") == "new")
        told = await anyio.to_thread.run_sync(_from_gateway, tmp_path / "gateway.sock", "late", None)
        assert (told.runtime, told.held_by, told.reason) == ("old", "attachment", "no candidate attachment")
        assert told.moves_at == moves_at("late")
        assert await anyio.to_thread.run_sync(_from_gateway, tmp_path / "nobody.sock", "late", None) is None


async def test_component_goes_back_alone(tmp_path):
    """Off needs neither version nor reason and takes only that component's devices; what is carried else stays."""
    devices = {"transport": _Device("a"), "codec": _Device("b")}
    async with _rollout(tmp_path, _Device("c")) as (rollout, router, until):
        for component, device in devices.items():
            router.attach(device.name, device.paths, component=component)
            await rollout.act(Action(action="component", name=component, on=True, version=9))
        await rollout.act(Action(action="set", percentage=100.0, version=9))
        await until(lambda: all(router.runtime_of(name) == "new" for name in "abc"))
        assert (await rollout.preview(Action(action="component", name="codec", on=False))).devices == ("b",)
        receipt = await rollout.act(Action(action="component", name="codec", on=False, by="mia"))
        assert receipt.routed_ms is not None
        assert [router.runtime_of(name) for name in "abc"] == ["new", "old", "new"]
        assert rollout.state.status is Status.HELD
        await until(lambda: rollout.sections()["components"] == {"transport": True, "codec": False})
        with pytest.raises(Refused, match="needs the version"):
            await rollout.act(Action(action="component", name="codec", on=True))


async def test_phases_switch_components_and_pins(tmp_path):
    """Each phase says all of them, so that going back takes back what it had switched on; a hand's own switch stays."""
    route = "route = { percent = 50, components = { transport = true, codec = true }, pin_live_sessions = true }"
    text = PLAN.replace("route = { percent = 50 }", route)
    async with _rollout(tmp_path, _Device("a"), text=text) as (rollout, _router, _until):
        file = SelectorFile(tmp_path / "selector.toml")
        assert file.read().selector.components == {"transport": False, "codec": False}
        await rollout.act(Action(action="advance", reason="test", version=9))
        selector = file.read().selector
        assert (selector.components, selector.runtime.pin_live_sessions) == ({"transport": True, "codec": True}, True)
        assert rollout.sections()["phases"][1].note == "codec, transport on, live sessions pinned"
        await rollout.act(Action(action="component", name="codec", on=False, by="mia"))
        await rollout.act(Action(action="set", percentage=20.0, by="mia"))
        assert file.read().selector.components == {"transport": True, "codec": False}
        await rollout.act(Action(action="rollback", to="all-old", by="mia"))
        selector = file.read().selector
        assert (selector.components, selector.runtime.pin_live_sessions) == (
            {"transport": False, "codec": False},
            False,
        )


async def test_override_forces_one_device_and_the_rollout_goes_on(tmp_path):
    """With owner, reason and end; what was carried before counts on; ending it lets the share decide again."""
    async with _rollout(tmp_path, _Device("a"), _Device("d")) as (rollout, router, until):
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
        assert (rollout.state.status, rollout.sections()["phases"][1].carried_s > 0.3) == (Status.RUNNING, True)
        back = await rollout.act(Action(action="override", device="a", side="control", by="mia", reason="enough"))
        assert back.routed_ms is not None
        assert router.runtime_of("a") == "old"
        for name in "ad":
            await rollout.act(Action(action="override", device=name, version=9))
        await until(lambda: rollout.sections()["overrides"] == () and router.runtime_of("a") == "new")
        await until(lambda: router.runtime_of("d") == "old")
        assert rollout.state.status is Status.RUNNING


async def test_a_network_mode_is_forced_by_name_and_the_rollout_goes_on(tmp_path):
    """With an owner, until it is measured again; what the routers take for the mode is in the view."""
    async with _rollout(tmp_path, _Device("a")) as (rollout, router, until):
        forced = Action(action="mode", name="internet", by="mia", reason="drill", version=9)
        for wrong, says in (
            ({"name": "satellite"}, "there is no mode 'satellite'"),
            ({"by": ""}, "needs an owner"),
            ({"expires_at": 1.0}, "expired already"),
        ):
            with pytest.raises(Refused, match=says):
                await rollout.act(msgspec.structs.replace(forced, **wrong))
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
    async with _rollout(tmp_path, _Device("a")) as (rollout, router, until):
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
    async with _rollout(tmp_path) as (rollout, _):
        await rollout.act(Action(action="advance", reason="test", version=9))
        await rollout.act(Action(action="hold", by="mia"))
        before = rollout.state
    async with anyio.create_task_group() as group:
        again = Rollout(parse_plan(PLAN), tmp_path)
        await group.start(again.run)
        state = again.state
        assert (state.status, state.phase, state.generation) == (Status.HELD, 1, before.generation)
        group.cancel_scope.cancel()


class _Device:
    """A device with a scripted path each way."""

    def __init__(self, name):
        self.name, self.far = name, ScriptedDevice()
        self.paths = {
            runtime: ScriptedPath(time.monotonic, self.far, barrier=Barrier.ACK, legacy=runtime == "old", ready=True)
            for runtime in ("old", "new")
        }


async def test_account_of_a_way_back_grows_until_it_is_settled(tmp_path):
    """All devices that moved are counted, not those of the first instant; the journal has the final figures."""
    devices = [_Device(name) for name in "abc"]
    async with _rollout(tmp_path, *devices) as (rollout, router, until):
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
    devices = [_Device(name) for name in "abc"]
    async with _rollout(tmp_path, *devices) as (rollout, router, until):
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
    async with _rollout(tmp_path, _Device("a")) as (rollout, router, until):
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
            async with _rollout(run) as (rollout, file):
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


async def test_phase_by_number_of_devices_takes_exactly_so_many(tmp_path):
    """Seven of twenty, by their order; a later phase of nine waits for the routers; back is the same seven, unasked."""
    names = [f"device-{number}" for number in range(20)]
    ranked = sorted(names, key=order)
    text = PLAN.replace("route = { percent = 50 }", "route = { devices = 7 }") + (
        '[[phase.gate]]\nmetric = "samples"\nat_least = 1\n'
        '[[phase]]\nname = "nine"\nroute = { devices = 9 }\nsoak = "1h"\n'
        '[[phase.gate]]\nmetric = "samples"\nat_least = 1\n'
        '[[phase]]\nname = "too-many"\nroute = { devices = 21 }\nsoak = "1h"\n'
    )
    async with _rollout(tmp_path, *map(_Device, names), text=text) as (rollout, router, until):

        def taken():
            return {name for name in names if router.runtime_of(name) == "new"}

        preview = await rollout.preview(Action(action="advance", reason="test", version=9))
        assert set(preview.devices) == set(ranked[:7])
        await rollout.act(Action(action="advance", reason="test", version=9))
        await until(lambda: taken() == set(ranked[:7]))
        await until(lambda: rollout.state.applied_at is not None)
        assert rollout.state.candidate_since is not None
        shown = rollout.sections()["phases"][1]
        assert (shown.note, shown.percent) == ("exactly 7 devices", moves_at(ranked[6]))
        await rollout.act(Action(action="advance", reason="test", version=9))
        await until(lambda: taken() == set(ranked[:9]) and rollout.state.applied_at is not None)
        with pytest.raises(Refused, match="too-many takes 21 devices: there are only 20 devices"):
            await rollout.act(Action(action="advance", reason="test", version=9))
        await rollout.act(Action(action="rollback", to="half"))
        assert taken() == set(ranked[:7])
        assert SelectorFile(tmp_path / "selector.toml").read().selector.runtime.up_to == ranked[6]
        await rollout.act(Action(action="set", percentage=0.0))
        await until(lambda: taken() == set())


async def test_rollback_in_part_takes_one_component_or_one_member_and_leaves_the_rest(tmp_path):
    """One command each, without version or reason; the rollout is held, and the phase's other words still hold."""
    route = 'route = { cohort = ["a", "b"], components = { transport = true, codec = true } }'
    async with _rollout(tmp_path, _Device("a"), _Device("b"), text=PLAN.replace("route = { percent = 50 }", route)) as (
        rollout,
        router,
        until,
    ):
        for component in ("transport", "codec"):
            router.attach(component, _Device(component).paths, component=component)
        await rollout.act(Action(action="advance", reason="test", version=9))
        await until(lambda: all(router.runtime_of(name) == "new" for name in "ab"))
        await until(lambda: rollout.sections()["components"] == {"transport": True, "codec": True})
        file = SelectorFile(tmp_path / "selector.toml")
        preview = await rollout.preview(Action(action="rollback", cohort=("a",)))
        assert (preview.devices, preview.to_control) == (("a",), 1)
        receipt = await rollout.act(Action(action="rollback", cohort=("a",), by="mia"))
        assert (receipt.says, receipt.routed_ms is not None) == ("cohort without a by mia", True)
        assert (router.runtime_of("a"), router.runtime_of("b")) == ("old", "new")
        await until(lambda: rollout.state.applied_at is not None)
        await rollout.act(Action(action="rollback", component="codec", by="mia"))
        selector = file.read().selector
        assert (selector.runtime.cohort, selector.components) == (("b",), {"transport": True, "codec": False})
        assert rollout.state.status is Status.HELD
        for wrong, says in (
            ({"cohort": ("a",)}, "'a' is not in the cohort"),
            ({"cohort": ("b",), "component": "codec"}, "a rollback goes to a phase, or"),
            ({"to": "all-old", "component": "codec"}, "a rollback goes to a phase, or"),
        ):
            with pytest.raises(Refused, match=says):
                await rollout.act(Action(action="rollback", **wrong))
        await until(lambda: rollout.state.applied_at is not None)
        await rollout.act(Action(action="rollback", cohort=("all",), by="mia"))
        assert router.runtime_of("b") == "old"
        assert file.read().selector.components == {"transport": True, "codec": False}
