"""An answer out of a command: no shell, its own process group, a limit on time and on what it prints.

A command that runs too long or prints too much is killed with its children. Its standard error is only quoted, its
last line, when it fails.
"""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from subprocess import DEVNULL, PIPE
from typing import Final

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process

from agt.router.parity._json import DOCUMENT_MAX_BYTES, to_json
from agt.router.parity._source import Answer, Call, Limits, SourceFailed
from agt.router.parity._values import ABSENT, shown

STDERR_KEPT: Final = 4096
"""Bytes at the end of standard error that are kept for the reason."""


class CommandSource:
    """Runs a command for each answer, and takes its standard output."""

    def __init__(self, command: Sequence[str], *, limits: Limits | None = None) -> None:
        self._command = tuple(command)
        self._limits = limits or Limits(max_bytes=DOCUMENT_MAX_BYTES)
        self.name = f"command {shown(' '.join(command))}"
        """What messages call it."""

    async def ask(self, call: Call | None = None) -> Answer:
        """Run the command once.

        Raises:
            SourceFailed: when it can't be started, fails, takes too long or prints too much.
        """
        started = anyio.current_time()
        try:
            with anyio.fail_after(self._limits.timeout_s):
                printed = await self._run(_arguments(self._command, call), _input(call))
        except TimeoutError:
            raise SourceFailed(self.name, f"takes longer than {self._limits.timeout_s:g} s") from None
        return Answer(data=printed, took_s=anyio.current_time() - started)

    async def _run(self, arguments: list[str], given: bytes | None) -> bytes:
        try:
            process = await anyio.open_process(
                arguments, stdin=DEVNULL if given is None else PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
            )
        except (OSError, ValueError) as error:  # ValueError: a null byte in an argument.
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise SourceFailed(self.name, f"can't be started: {(why or type(error).__name__).lower()}") from None
        async with process:
            try:
                printed, complaint = await self._communicate(process, given)
                status = await process.wait()
            except BaseException:
                _kill(process)
                raise
        if status:
            last = complaint.decode("utf-8", "replace").strip().splitlines()[-1:]
            ended = f"was killed by signal {-status}" if status < 0 else f"ends with status {status}"
            raise SourceFailed(self.name, f"{ended}{f': {shown(last[0])}' if last else ''}", status=status)
        return printed

    async def _communicate(self, process: Process, given: bytes | None) -> tuple[bytes, bytes]:
        printed, complaint = bytearray(), bytearray()
        too_much = False

        async def read_output(stream: ByteReceiveStream) -> None:
            nonlocal too_much
            async for chunk in stream:
                printed.extend(chunk)
                if len(printed) > self._limits.max_bytes:
                    too_much = True
                    tasks.cancel_scope.cancel()

        async def read_complaint(stream: ByteReceiveStream) -> None:
            async for chunk in stream:
                complaint.extend(chunk)
                del complaint[:-STDERR_KEPT]

        async with anyio.create_task_group() as tasks:
            assert process.stdout is not None
            assert process.stderr is not None
            tasks.start_soon(read_output, process.stdout)
            tasks.start_soon(read_complaint, process.stderr)
            if process.stdin is not None and given is not None:
                tasks.start_soon(_write, process.stdin, given)
        if too_much:
            raise SourceFailed(self.name, f"prints more than {self._limits.max_bytes} bytes")
        return bytes(printed), bytes(complaint)


async def _write(stream: ByteSendStream, given: bytes) -> None:
    # A command that doesn't read its input is no error: what counts is what it prints.
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        await stream.send(given)
    with suppress(anyio.BrokenResourceError, OSError):
        await stream.aclose()


def _kill(process: Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _arguments(command: Sequence[str], call: Call | None) -> list[str]:
    """The command's words; `{seed}` and `{name}` stand for those of the call."""
    if call is None:
        return list(command)
    words = [word.replace("{seed}", str(call.seed)).replace("{name}", call.name) for word in command]
    return [*words, *call.arguments]


def _input(call: Call | None) -> bytes | None:
    if call is None or call.body is ABSENT:
        return None
    return to_json(call.body) + b"\n"
