"""The terminals as a process, `python -m agt.chaos.demo.agtmux.mux`: sessions that begin, live and end.

On `mux.sock`: `{"op": "events", "after": N}` answers `{"events"}` or `{"invalid_cursor"}`; `{"op": "everything"}`
answers `{"through", "panes"}`; `{"op": "act", "path": P, "acts": [[session, number, value], ...]}` answers `{"done"}`;
`{"op": "forget"}` loses the log, as a source that starts anew; `{"op": "status"}` names the sessions.
"""

import argparse
import signal
import sys
import time
from random import Random
from typing import Any

import anyio
import msgspec

from agt.chaos.checkers import Effect, Ignored
from agt.chaos.demo._files import DemoFiles, demo_files
from agt.chaos.demo._log import FLUSH_S, RecordLog
from agt.chaos.demo._memory import recall
from agt.chaos.demo._talk import serve_questions
from agt.chaos.demo.agtmux._names import LETTERS, mux_socket, session_name
from agt.chaos.demo.agtmux._terminals import InvalidCursor, Terminals
from agt.router.notifying import notify

QUIET_S = 5.0
"""A session that is about to end is taken away when nobody has touched it for so long."""


class Mux:
    """Terminals that people and daemons use."""

    def __init__(self, files: DemoFiles, *, sessions: int, passing: int, churn_s: float, seed: int) -> None:
        """Open the first sessions.

        Args:
            files: The run directory.
            sessions: How many live as long as the run.
            passing: How many come and go beside them.
            churn_s: How often one begins and one ends, in seconds.
            seed: Draws which one ends.
        """
        self._files, self._rng, self._churn_s = files, Random(f"{seed}/mux"), churn_s
        self._terminals, self._log = Terminals(), RecordLog(files.devices_log)
        for device, number in recall(files).watermarks.items():
            self._terminals.remember(device, number)
        self._lasting = frozenset(session_name(number) for number in range(sessions))
        self._begun = 0
        while self._begun < sessions:
            self._begin()
        self._begun = max(self._begun, len(LETTERS))  # Those that pass have numbers.
        for _ in range(passing):
            self._begin()

    async def run(self) -> None:
        """Serve until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve_questions, mux_socket(self._files.run), self._answer)
            tasks.start_soon(self._live)
            notify("READY=1")
            while True:
                await anyio.sleep(FLUSH_S)
                self._log.flush()

    def close(self) -> None:
        """Write down what is still in memory."""
        self._log.close()

    async def _live(self) -> None:
        """Let sessions come and go; a restart of this process goes on with numbers that nobody has used."""
        while True:
            await anyio.sleep(self._churn_s)
            self._take_away()
            closing = {pane.session for pane in self._terminals.everything()[1] if pane.closing}
            passing = [name for name in self._terminals.sessions if name not in self._lasting | closing]
            if passing:
                self._terminals.close(passing[0], now=time.time())
            self._begin()
            self._terminals.switch_mode(self._rng.choice(self._terminals.sessions))

    def _take_away(self) -> None:
        """End those that were announced to and that nobody touches any more."""
        for name in sorted({pane.session for pane in self._terminals.everything()[1] if pane.closing}):
            if time.time() - self._terminals.quiet_since(name) >= QUIET_S:
                self._terminals.end(name)

    def _begin(self) -> None:
        self._terminals.begin(session_name(self._begun), now=time.time())
        self._begun += 1

    async def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        operation = question.get("op")
        if operation == "events":
            try:
                return {"events": msgspec.to_builtins(self._terminals.events(int(question.get("after", 0))))}
            except InvalidCursor as problem:
                return {"invalid_cursor": str(problem)}
        if operation == "everything":
            through, panes = self._terminals.everything()
            return {"through": through, "panes": msgspec.to_builtins(panes)}
        if operation == "act":
            path = str(question.get("path", ""))
            return {"done": [self._act(path, *act) for act in question.get("acts", ())]}
        if operation == "forget":
            self._terminals.forget()
        elif operation != "status":
            raise ValueError(f"unknown operation {operation!r}; there are act, events, everything, forget, status")
        return {"sessions": self._terminals.sessions}

    def _act(self, path: str, session: str, number: int, value: int) -> bool:
        """Type, and write down what came of it; false when there is no such session."""
        now = time.time()  # Logs of different processes are joined by the wall clock.
        done = self._terminals.act(session, number, value, now=now)
        if done is None:
            return False
        record = (
            Effect(t=now, device=session, number=number, path=path)
            if done
            else Ignored(t=now, device=session, number=number, path=path)
        )
        self._log.add(record)
        return True


async def live(mux: Mux) -> None:
    """Run until told to end."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(mux.run)
            async for _ in signals:
                notify("STOPPING=1")
                tasks.cancel_scope.cancel()
                break


def main(arguments: list[str] | None = None) -> int:
    """Start the terminals."""
    parser = argparse.ArgumentParser(prog="python -m agt.chaos.demo.agtmux.mux", description="Simulated terminals.")
    parser.add_argument("--sessions", type=int, default=len(LETTERS), help="sessions that live as long as the run")
    parser.add_argument("--passing", type=int, default=4, help="sessions beside them that come and go")
    parser.add_argument("--churn", type=float, default=8.0, metavar="SECONDS", help="how often one begins and one ends")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    mux = Mux(
        demo_files(),
        sessions=options.sessions,
        passing=options.passing,
        churn_s=options.churn,
        seed=options.seed,
    )
    try:
        anyio.run(live, mux)
    finally:
        mux.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
