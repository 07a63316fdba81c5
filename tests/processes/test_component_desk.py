"""Orders to components, against a keeper with real children: what is refused, and when an archive is over."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import cast

import anyio
import msgspec
import pytest

from agt.supervisor._bookkeeper import Bookkeeper
from agt.supervisor._component_desk import ComponentDesk
from agt.supervisor.actions import Refused
from agt.supervisor.care import ComponentOrder
from agt.supervisor.components import ComponentSpec, Keeper
from agt.supervisor.components.archive import KEPT_S

NOW = 2_000_000_000.0


class Noted:
    """Books that only remember."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def note(self, action: str, order: msgspec.Struct, *, by: str, outcome: str, says: str) -> None:
        self.rows.append((action, outcome))

    async def flush(self) -> None:
        """Nothing waits."""


class At:
    """A desk, the components behind it, and a clock that is set."""

    def __init__(self, run: Path, specs: tuple[ComponentSpec, ...]) -> None:
        self.now = NOW
        self.noted = Noted()
        self.keeper = Keeper(specs, run=run, rng=Random(1))
        self.desk = ComponentDesk(self.keeper, run, cast("Bookkeeper", self.noted), clock=lambda: self.now)

    async def refused(self, name: str, verb: str, **fields: object) -> str:
        """Give an order that has to be refused and return why."""
        with pytest.raises(Refused) as caught:
            await self.done(name, verb, **fields)
        return str(caught.value)

    async def done(self, name: str, verb: str, **fields: object) -> str:
        """Give an order and return what is answered."""
        return (await self.desk.order(name, verb, msgspec.convert(fields, ComponentOrder))).says  # type: ignore[arg-type]


@asynccontextmanager
async def desk(run: Path, *specs: ComponentSpec, leave: bool = False) -> AsyncIterator[At]:
    """Run a keeper with a desk for the length of a block; then stop the components, or leave them as when killed."""
    at = At(run, specs)
    async with anyio.create_task_group() as group:
        group.start_soon(at.keeper.run)
        with anyio.fail_after(15):
            await at.keeper.until_ready()
        yield at
        if leave:
            group.cancel_scope.cancel()
        with anyio.fail_after(15):
            await at.keeper.stop()


async def test_an_archive_is_over_after_thirty_days(run, component) -> None:
    """To the second, and whether or not its folder has been deleted; revived, it may stay."""
    async with desk(run, component("v4")) as at:
        says = await at.done("v4", "archive", reason="v5 has taken over")
        assert says.endswith("its files are kept until 2033-06-17")
        at.now = NOW + KEPT_S
        assert "v4 was kept until 2033-06-17" in await at.refused("v4", "revive")
        at.now -= 1
        assert await at.done("v4", "revive") == "v4 is ready"
        assert at.keeper.find("v4").state == "ready"


async def test_an_archived_component_is_revived_although_its_program_has_gone(run, component, until, events) -> None:
    """Its script is deleted: the copy runs in its place, and under the next supervisor too."""
    script, spec = run / "v4.py", component("v4")
    script.write_text(spec.command[-1])
    spec = msgspec.structs.replace(spec, command=(sys.executable, "-I", "-S", str(script)))
    async with desk(run, spec, leave=True) as at:
        await at.done("v4", "archive", reason="v5 has taken over")
        script.unlink()
        assert await at.done("v4", "revive") == "v4 is ready"
        first = at.keeper.find("v4").view.pid
    async with desk(run, spec) as at:
        assert at.keeper.find("v4").view.detail == "adopted"
        assert at.keeper.find("v4").view.pid == first
        assert await at.done("v4", "restart") == "v4 is ready"
    assert events().count("v4 started") == 3


async def test_an_archive_that_has_gone_is_not_taken_for_none(run, component) -> None:
    """The plan's own command is not run in its place."""
    async with desk(run, component("v4")) as at:
        await at.done("v4", "archive", reason="v5 has taken over")
        (run / "archive" / "v4").rename(run / "elsewhere")
        assert "the archive of v4 has gone" in await at.refused("v4", "revive")


async def test_what_others_wait_for_is_stopped_only_by_force(run, component) -> None:
    """By name or by stage; who rests already doesn't count; decommissioning asks only those that name it."""
    async with desk(run, component("base"), component("ui", stage="ui")) as at:
        assert "ui needs base; --force stops it anyway" in await at.refused("base", "stop")
        await at.done("base", "decommission", reason="not used")
        assert "agt component revive base" in await at.refused("base", "start")
        assert "agt component revive base" in await at.refused("base", "restart")
        await at.done("base", "revive")
        await at.done("ui", "stop")
        assert (await at.done("base", "stop")).startswith("base is stopped")


async def test_an_order_that_makes_no_sense_is_refused(run, component) -> None:
    """Each with what to do instead, and each in the audit."""
    async with desk(run, component("v4")) as at:
        assert "with a reason" in await at.refused("v4", "decommission", reason=" ")
        assert "with a reason" in await at.refused("v4", "archive")
        assert "agt component start v4" in await at.refused("v4", "revive")
        assert "it has: v4" in await at.refused("v5", "stop")
        await at.done("v4", "stop")
        assert "agt component start v4" in await at.refused("v4", "restart")
    assert [outcome for _, outcome in at.noted.rows] == ["refused"] * 4 + ["done", "refused"]


async def test_a_stop_that_the_disk_refuses_changes_nothing(run, component) -> None:
    """An order that would not outlive us is not obeyed."""
    async with desk(run, component("v4")) as at:
        (run / "components" / "v4.order.json.new").mkdir()  # Stands in for a disk that takes no new file.
        assert "stop v4" in await at.refused("v4", "stop")
        assert at.keeper.find("v4").state == "ready"
