"""Components outlive their supervisor: after `kill -9` they go on, and the next one adopts them, never doubled."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import anyio
import msgspec
import pytest

from agt.supervisor._errors import LockHeld
from agt.supervisor.components import ComponentSpec, Keeper
from agt.supervisor.components._adopt import Occupied, Vacant, look
from agt.supervisor.components._files import ComponentFiles

KEEPER = """
import sys, anyio, msgspec
from pathlib import Path
from random import Random
from agt.supervisor.components import ComponentSpec, Keeper
specs = msgspec.json.decode(sys.argv[2], type=list[ComponentSpec])
anyio.run(Keeper(specs, run=Path(sys.argv[1]), rng=Random(1)).run)
"""


First = Callable[[Sequence[ComponentSpec]], subprocess.Popen[bytes]]


@pytest.fixture
def first_supervisor(run: Path) -> Iterator[First]:
    """Start a keeper in a process of its own, to be killed."""
    with ExitStack() as stack:

        def start(specs: Sequence[ComponentSpec]) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-c", KEEPER, str(run), msgspec.json.encode(specs).decode()]
            process = stack.enter_context(subprocess.Popen(command))
            stack.callback(process.kill)
            return process

        yield start


def kill(process: subprocess.Popen[bytes]) -> None:
    """`kill -9`, and wait until it is gone."""
    process.kill()
    process.wait()


@asynccontextmanager
async def second_supervisor(run: Path, specs: Sequence[ComponentSpec]) -> AsyncIterator[Keeper]:
    """Run the next keeper in this process and stop it, with its components, at the end."""
    keeper = Keeper(specs, run=run, rng=Random(2))
    async with anyio.create_task_group() as group:
        group.start_soon(keeper.run)
        yield keeper
        with anyio.fail_after(15):
            await keeper.stop()


def ready_in_record(run: Path, name: str) -> bool:
    """Whether the first supervisor has written down that the component is ready."""
    record = ComponentFiles(run / "components", name).read_record()
    return record is not None and record.ready


async def test_components_survive_kill_9_and_are_adopted(run, first_supervisor, component, until, events) -> None:
    """Same pids, no second start, ready at once although READY=1 was said to the dead one."""
    specs = [component("source", stage="sources"), component("gateway")]
    first = first_supervisor(specs)
    await until(lambda: ready_in_record(run, "gateway"))
    kill(first)
    async with second_supervisor(run, specs) as keeper:
        await until(lambda: keeper.ready)
        assert [view.detail for view in keeper.views] == ["adopted", "adopted"]
        assert [view.restarts for view in keeper.views] == [0, 0]
    started = [line for line in events() if line.endswith("started")]
    assert started == ["source started", "gateway started"]
    assert events()[-2:] == ["gateway stopped", "source stopped"]


async def test_an_adopted_component_is_watched_and_restarted(run, first_supervisor, component, until) -> None:
    """It is no child of the second supervisor, and its death is seen all the same."""
    specs = [component("gateway")]
    first = first_supervisor(specs)
    await until(lambda: ready_in_record(run, "gateway"))
    kill(first)
    async with second_supervisor(run, specs) as keeper:
        await until(lambda: keeper.ready)
        pid = keeper.views[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: keeper.views[0].restarts == 1 and keeper.ready)
        assert keeper.views[0].pid != pid


def lock_is_free(run, name) -> bool:
    """Whether nobody holds a component's lock."""
    held = ComponentFiles(run / "components", name).try_lock()
    if held is not None:
        os.close(held)
    return held is not None


async def test_a_component_that_died_unwatched_is_started(run, first_supervisor, component, until, events) -> None:
    """Nobody holds the lock: the old record means nothing."""
    specs = [component("gateway")]
    first = first_supervisor(specs)
    await until(lambda: ready_in_record(run, "gateway"))
    kill(first)
    record = ComponentFiles(run / "components", "gateway").read_record()
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    await until(lambda: lock_is_free(run, "gateway"))  # A process that is being killed holds it for a moment longer.
    async with second_supervisor(run, specs) as keeper:
        await until(lambda: keeper.ready)
        assert keeper.views[0].pid != record.pid
    assert events().count("gateway started") == 2


async def test_an_adopted_component_with_an_older_command_says_so(run, first_supervisor, component, until) -> None:
    """The plan has changed meanwhile: the running one goes on, and the view tells."""
    first = first_supervisor([component("gateway")])
    await until(lambda: ready_in_record(run, "gateway"))
    kill(first)
    async with second_supervisor(run, [component("gateway", environment={"NEW": "1"})]) as keeper:
        await until(lambda: keeper.ready)
        assert "with an older command" in keeper.views[0].detail


@pytest.fixture
def held(run: Path) -> Iterator[ComponentFiles]:
    """A component's files whose lock somebody holds."""
    (run / "components").mkdir()
    files = ComponentFiles(run / "components", "gateway")
    descriptor = files.try_lock()
    assert descriptor is not None
    yield files
    os.close(descriptor)


def write(files: ComponentFiles, **changes: object) -> None:
    """Write a record of this very process, with changes."""
    ticks = int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[19])
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    record = {"pid": os.getpid(), "start_ticks": ticks, "boot_id": boot, "digest": "d", **changes}
    files.record.write_bytes(msgspec.json.encode(record))


def test_a_held_lock_with_a_fitting_record_is_occupied(held: ComponentFiles) -> None:
    """The record names a live process of this boot with this start time."""
    write(held)
    found = look(held)
    assert isinstance(found, Occupied)
    os.close(found.pidfd)
    assert found.record.pid == os.getpid()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda files: files.record.write_text("{"), "gateway.json can't be read"),
        (lambda files: None, "gateway.json can't be read"),
        (lambda files: write(files, pid=-1), "gateway.json can't be read"),
        (lambda files: write(files, pid=1 << 22), "is gone"),
        (lambda files: write(files, start_ticks=1), "is another process by now"),
        (lambda files: write(files, boot_id="earlier"), "is from before the last boot"),
    ],
)
def test_a_held_lock_with_an_unfitting_record_is_refused(
    held: ComponentFiles, spoil: Callable[[ComponentFiles], object], why: str
) -> None:
    """Better not to start than to double: the refusal names the reason and the way out."""
    spoil(held)
    with pytest.raises(LockHeld, match=why) as caught:
        look(held)
    assert "fuser" in caught.value.hint


def test_a_free_lock_is_taken(run: Path) -> None:
    """Whatever the record says: nobody lives."""
    (run / "components").mkdir()
    files = ComponentFiles(run / "components", "gateway")
    write(files)
    found = look(files)
    assert isinstance(found, Vacant)
    assert files.try_lock() is None
    fcntl.flock(found.lock_fd, fcntl.LOCK_UN)
    os.close(found.lock_fd)
