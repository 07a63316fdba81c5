"""Ask by running a command: status 0 is yes, everything else is no, with the last line that it printed.

The command leads a session of its own, so that one which hangs is ended with all that it started.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

import anyio
from anyio.abc import ByteReceiveStream, Process

SAYS_MAX: Final = 4096
"""Bytes of output that are kept, the last ones; the rest is read and thrown away."""
LINE_MAX: Final = 200


async def run_probe(command: Sequence[str], *, environment: Mapping[str, str], timeout_s: float) -> str:
    """Run the command once and say why the answer is no; empty when it is yes."""
    try:
        process = await anyio.open_process(
            list(command),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
    except OSError as error:
        return f"{command[0]} can't be started: {error.strerror or error}"
    async with process:
        try:
            with anyio.fail_after(timeout_s):
                said = await _drain(process.stdout)
                status = await process.wait()
        except TimeoutError:
            return f"{command[0]} does not end within {timeout_s:g} s"
        finally:
            _end_all(process)
    if status == 0:
        return ""
    line = (said.decode("utf-8", "replace").strip().splitlines() or [""])[-1][:LINE_MAX]
    return f"{command[0]} ends with status {status}{f': {line}' if line else ''}"


async def _drain(stream: ByteReceiveStream | None) -> bytes:
    assert stream is not None, "standard output is a pipe by default"
    said = b""
    with contextlib.suppress(anyio.EndOfStream):
        while True:
            said = (said + await stream.receive())[-SAYS_MAX:]
    return said


def _end_all(process: Process) -> None:
    """Kill what is left of the command's session; a pid that is not reaped yet can't belong to anybody else."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
