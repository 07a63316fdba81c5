"""The users' side as a process, `python -m agt.chaos.demo.agtmux.ui`: people at work in their sessions.

It asks the daemon that serves by default for the sessions (the other one where that doesn't answer) and types into
each, by way of the gateway. As the demo's fleet it takes orders on `fleet.sock`: `clear`, `quiesce`, `resume`,
`status`; with `--idle` nobody is at work.
"""

import argparse
import signal
import sys
from random import Random
from typing import Any, Final

import anyio

from agt.chaos.demo._files import DemoFiles, demo_files
from agt.chaos.demo._log import RecordLog
from agt.chaos.demo._memory import recall
from agt.chaos.demo._names import DeviceName
from agt.chaos.demo._sources import Sources
from agt.chaos.demo._talk import NoAnswer, serve_questions
from agt.chaos.demo.agtmux._ask import ask_daemon
from agt.chaos.demo.agtmux._names import daemon_socket
from agt.router import SelectorFile
from agt.router.notifying import notify

LOOK_S: Final = 0.5
"""How often the list of sessions is asked for."""
FRESH_S: Final = 1.0
"""A session is used once its attachment has stood for so long."""
SETTLE_S: Final = 0.5
"""What was told last still takes so long to be written down by the terminals."""


class Users:
    """Types into every session that is listed."""

    def __init__(self, files: DemoFiles, *, runtimes: tuple[str, str], rate: float, seed: int) -> None:
        """Prepare.

        Args:
            files: The run directory.
            runtimes: Control's and the candidate's name.
            rate: Commands a second in each session; 0 for none.
            seed: Draws rhythm and values.
        """
        self._files, self._runtimes = files, runtimes
        self._selector = SelectorFile(files.selector)
        self._log = RecordLog(files.sources_log)
        self._leaving: set[str] = set()
        numbers = recall(files).numbers
        self.sources = Sources(
            (), rate=rate, rng=Random(f"{seed}/users"), log=self._log, numbers=numbers, control=runtimes[0]
        )

    async def run(self) -> None:
        """Work until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.sources.run, self._files.sources_socket)
            tasks.start_soon(self.sources.keep_log)
            tasks.start_soon(serve_questions, self._files.fleet_socket, self._answer)
            notify("READY=1")
            while True:
                await self._look()
                await anyio.sleep(LOOK_S)

    def close(self) -> None:
        """Write down what is still in memory."""
        self.sources.finish()
        self._log.close()

    async def _look(self) -> None:
        """Begin to use what is new, and leave what is about to end."""
        sessions = await self._sessions()
        if sessions is None:
            return
        usable = {
            str(one["session_name"])
            for one in sessions
            if not one.get("closing") and one.get("attached_s", FRESH_S) >= FRESH_S
        }
        known = self.sources.devices
        # An attachment that flickers is the gateway's to bridge: only a session that ends is left.
        ending = {str(one["session_name"]) for one in sessions if one.get("closing")}
        listed = {str(one["session_name"]) for one in sessions}
        for session in sorted(known & ending | known - listed):
            self.sources.retire(session)
            self._leaving.add(session)
        for session in sorted(self._leaving - listed):
            self.sources.farewell(session)
            self._leaving.discard(session)
        for session in sorted(usable - known):
            self.sources.admit(DeviceName(session, "lines"))

    async def _sessions(self) -> list[dict[str, Any]] | None:
        """Ask who serves by default, else the other; None when neither answers."""
        control, candidate = self._runtimes
        reading = self._selector.read().selector
        first = reading.default_runtime if reading is not None else control
        for runtime in (first, candidate if first == control else control):
            try:
                answer = await ask_daemon(daemon_socket(self._files.run, runtime), "list_sessions")
            except NoAnswer:
                continue
            return list(answer.get("sessions", ()))
        return None

    async def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        operation = question.get("op")
        if operation == "quiesce":
            self.sources.paused = True
            with anyio.move_on_after(float(question.get("within_s", 5.0))):
                await self.sources.all_told()
            await anyio.sleep(SETTLE_S)
        elif operation == "resume":
            self.sources.paused = False
        elif operation not in ("clear", "status"):
            raise ValueError(f"unknown operation {operation!r}; there are clear, quiesce, resume, status")
        return {"outstanding": self.sources.outstanding, "held_back": self.sources.held_back}


async def live(users: Users) -> None:
    """Run until told to end."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(users.run)
            async for _ in signals:
                notify("STOPPING=1")
                tasks.cancel_scope.cancel()
                break


def main(arguments: list[str] | None = None) -> int:
    """Start the users."""
    parser = argparse.ArgumentParser(prog="python -m agt.chaos.demo.agtmux.ui", description="People at work.")
    parser.add_argument("--control", default="v4", help="control's name")
    parser.add_argument("--candidate", default="v5", help="the candidate's name")
    parser.add_argument("--rate", type=float, default=5.0, help="commands a second in each session")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--idle", action="store_true", help="nobody types anything")
    options = parser.parse_args(arguments)
    users = Users(
        demo_files(),
        runtimes=(options.control, options.candidate),
        rate=0.0 if options.idle else options.rate,
        seed=options.seed,
    )
    try:
        anyio.run(live, users)
    finally:
        users.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
