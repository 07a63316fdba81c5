"""Starts the bench's processes, one task each, and holds what they counted against each other."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from agt.chaos.bench._tasks import (
    Counted,
    DialTask,
    Idle,
    ListenTask,
    Ready,
    ReceiveTask,
    RoundTripTask,
    SendTask,
    Sent,
    Trips,
)

PATIENCE_S = 300.0
"""How long one process may take."""

Line = TypeVar("Line", bound=msgspec.Struct)


class RunVoid(Exception):
    """Raised when a measurement means nothing: a message lost, doubled or unacknowledged, or a process that failed."""


class Process:
    """A process with one task, and the lines it says."""

    def __init__(self, task: msgspec.Struct, module: str) -> None:
        self._name = type(task).__name__
        command = (sys.executable, "-m", module, msgspec.json.encode(task).decode())
        self._process = subprocess.Popen(  # noqa: S603 - our own module in our own interpreter
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._process.pid

    def line(self, kind: type[Line]) -> Line:
        """Wait for its next line."""
        assert self._process.stdout is not None, "made with a pipe"
        text = self._process.stdout.readline()
        if not text:
            raise RunVoid(f"a process of the bench ({self._name}) failed; what it said stands above")
        return msgspec.json.decode(text, type=kind)

    def stop(self) -> None:
        """Tell it to come to its end."""
        assert self._process.stdin is not None, "made with a pipe"
        self._process.stdin.close()

    def end(self) -> None:
        """Make sure that it is gone."""
        try:
            self.stop()
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None, "made with a pipe"
        self._process.stdout.close()


@contextmanager
def started(task: msgspec.Struct, module: str = "agt.chaos.bench._ends") -> Iterator[Process]:
    """Run a process of a module of the bench with a task, and see that it is gone afterwards."""
    process = Process(task, module)
    try:
        yield process
    finally:
        process.end()


def measure_round_trips(task: RoundTripTask) -> Trips:
    """Return round trips with both ends on one core."""
    with started(task) as process:
        return process.line(Trips)


def measure_throughput(subject: str, loop: str, *, messages: int, batched: int) -> Sent:
    """Return what a sender reached towards a receiver in another process.

    Raises:
        RunVoid: unless sent, acknowledged and received once are the same number.
    """
    with started(ReceiveTask(subject, loop)) as receiver:
        port = receiver.line(Ready).port
        task = SendTask(subject, loop, port, receiver.pid, warm_up=messages // 10, messages=messages, batched=batched)
        with started(task) as sender:
            sent = sender.line(Sent)
        receiver.stop()
        counted = receiver.line(Counted)
    if not sent.sent == sent.acknowledged == counted.unique or counted.unexpected:
        raise RunVoid(
            f"{subject} on {loop}: sent {sent.sent}, acknowledged {sent.acknowledged}, received {counted.unique} once "
            f"and {counted.unexpected} again; the run is void"
        )
    return sent


def measure_idle(loop: str, connections: int) -> tuple[Idle, Idle]:
    """Return what idle connections cost the accepting and the dialling process."""
    with started(ListenTask(loop, connections)) as listener:
        port = listener.line(Ready).port
        with started(DialTask(loop, port, connections)) as dialler:
            dialled = dialler.line(Idle)
            listener.stop()
            accepted = listener.line(Idle)
    if accepted.connections < connections:
        raise RunVoid(f"{accepted.connections} of {connections} idle connections were served; the run is void")
    return accepted, dialled
