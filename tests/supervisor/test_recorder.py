"""What waits to be written is written once, whoever asks for it, and however many ask at the same time."""

from pathlib import Path

import anyio
import pytest

from agt.supervisor.records import Entry
from agt.supervisor.rollout._recorder import Recorder

pytestmark = pytest.mark.anyio


def entry(says: str) -> Entry:
    """Return a decision with nothing but words."""
    return Entry(at=1.0, kind="test", says=says, numbers=b"{}", state=b"{}")


async def test_entries_are_written_once_though_several_flush_at_once(tmp_path: Path) -> None:
    """A check, a settled rollback and a forward decision may all write in the same moment."""
    recorder = await Recorder.open(tmp_path / "records.sqlite")
    for number in range(20):
        recorder.done(entry(f"back {number}"))
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(recorder.flush)
        tasks.start_soon(recorder.decide, entry("forward"))
    written = [one.says for one in await recorder.entries()]
    assert sorted(written) == sorted([*(f"back {number}" for number in range(20)), "forward"])
    assert [says for says in written if says != "forward"] == [f"back {number}" for number in range(20)]
    await recorder.aclose()
