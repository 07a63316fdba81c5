"""What the runner routes: by number of devices, by component, by cohort, forward and back in part; a real router."""

import pytest

from agt.router import SelectorFile, moves_at, order
from agt.supervisor.actions import Action, Refused
from agt.supervisor.rollout import Status
from support.rollout_run import PLAN, IdleDevice, rollout_on

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """Uvicorn runs on asyncio only."""
    return "asyncio"


async def advance(rollout):
    """Go to the next phase; held before, so that a busy machine, which suspends a rollout, is no matter."""
    await rollout.act(Action(action="hold"))
    await rollout.act(Action(action="advance", reason="test", version=9))


async def test_exactly_so_many_devices_are_moved(tmp_path):
    """Seven of twenty, by their order; then three of those, the last in out first; more than there are is refused."""
    names = [f"device-{number}" for number in range(20)]
    ranked = sorted(names, key=order)
    async with rollout_on(tmp_path, *map(IdleDevice, names)) as (rollout, router, until):
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


async def test_component_goes_back_alone(tmp_path):
    """Off needs neither version nor reason and takes only that component's devices; what is carried else stays."""
    devices = {"transport": IdleDevice("a"), "codec": IdleDevice("b")}
    async with rollout_on(tmp_path, IdleDevice("c")) as (rollout, router, until):
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
    async with rollout_on(tmp_path, IdleDevice("a"), text=text) as (rollout, _router, _until):
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
    async with rollout_on(tmp_path, *map(IdleDevice, names), text=text) as (rollout, router, until):

        def taken():
            return {name for name in names if router.runtime_of(name) == "new"}

        preview = await rollout.preview(Action(action="advance", reason="test", version=9))
        assert set(preview.devices) == set(ranked[:7])
        await advance(rollout)
        await until(lambda: taken() == set(ranked[:7]))
        await until(lambda: rollout.state.applied_at is not None)
        assert rollout.state.candidate_since is not None
        shown = rollout.sections()["phases"][1]
        assert (shown.note, shown.percent) == ("exactly 7 devices", moves_at(ranked[6]))
        await advance(rollout)
        await until(lambda: taken() == set(ranked[:9]) and rollout.state.applied_at is not None)
        with pytest.raises(Refused, match="too-many takes 21 devices: there are only 20 devices"):
            await advance(rollout)
        await rollout.act(Action(action="rollback", to="half"))
        assert taken() == set(ranked[:7])
        assert SelectorFile(tmp_path / "selector.toml").read().selector.runtime.up_to == ranked[6]
        await rollout.act(Action(action="set", percentage=0.0))
        await until(lambda: taken() == set())


async def test_rollback_in_part_takes_one_component_or_one_member_and_leaves_the_rest(tmp_path):
    """One command each, without version or reason; the rollout is held, and the phase's other words still hold."""
    route = 'route = { cohort = ["a", "b"], components = { transport = true, codec = true } }'
    text = PLAN.replace("route = { percent = 50 }", route)
    async with rollout_on(tmp_path, IdleDevice("a"), IdleDevice("b"), text=text) as (rollout, router, until):
        for component in ("transport", "codec"):
            router.attach(component, IdleDevice(component).paths, component=component)
        await advance(rollout)
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
