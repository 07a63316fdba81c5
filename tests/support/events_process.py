"""One part of the demo's events as a process, no fleet or router around it: `source`, `gateway` or `daemon`."""

import sys
from pathlib import Path

import anyio

from agt.chaos.demo._files import DemoFiles
from agt.chaos.demo._talk import serve_questions
from agt.chaos.demo.events import Courier, Door, EventLog, EventSource, EventTimes, Keeper

DEVICES = 20


async def source(files: DemoFiles, times: EventTimes, *, quiet: bool = "quiet" in sys.argv) -> None:
    """Report as fast as a source writes; a quiet one only serves what it has."""
    log = EventLog(files.event_log("lines"))
    one = EventSource("lines", log, identity=files.fleet_socket, times=times)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run, files.events_socket, files.nonce)
        number = 0
        while not quiet:
            number += 1
            for device in range(DEVICES):
                one.note(f"d{device}", number % 2, number)
            with anyio.move_on_after(0.05):
                await anyio.Event().wait()


async def gateway(files: DemoFiles, times: EventTimes) -> None:
    """Admit and deliver."""
    door = Door(files.events_socket, files.nonce, times=times)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(door.run)
        tasks.start_soon(Courier(files.listings_socket, door, gateway="", times=times).run)


async def daemon(files: DemoFiles, times: EventTimes) -> None:
    """Apply and answer."""
    keeper = Keeper(files.checkpoint, times)

    async def answer(question: dict[str, object]) -> dict[str, object]:
        return keeper.status() if question.get("op") == "status" else await keeper.answer(question)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keeper.run)
        tasks.start_soon(serve_questions, files.listings_socket, answer)


if __name__ == "__main__":
    part = {"source": source, "gateway": gateway, "daemon": daemon}[sys.argv[1]]
    anyio.run(part, DemoFiles(Path(sys.argv[2])), EventTimes.from_environment())
