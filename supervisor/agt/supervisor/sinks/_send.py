"""One try to hand an alert to a sink. What fails says why in words that hold no secret."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import anyio
import msgspec

from agt.supervisor.sinks._spec import Sink

SECRET_MAX_BYTES: Final = 64 << 10
log = logging.getLogger("agt.alerts")


class SinkFailed(Exception):
    """Raised when a sink has not taken an alert; `final` when another try would not help."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


async def send(sink: Sink, body: bytes, *, run: Path) -> None:
    """Hand one alert over, within the sink's timeout.

    Raises:
        SinkFailed: when it was not taken.
    """
    try:
        with anyio.fail_after(sink.timeout_s):
            if sink.kind == "log":
                log.warning("alert %s", body.decode())
            elif sink.kind == "command":
                await _run(sink, body, run)
            else:
                await _post(sink, body, run)
    except TimeoutError:
        raise SinkFailed(f"not within {sink.timeout_s:g} s") from None


async def _run(sink: Sink, body: bytes, run: Path) -> None:
    command = [word.replace("{python}", sys.executable).replace("{run}", str(run)) for word in sink.command]
    try:
        done = await anyio.run_process(
            command, input=body, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        raise SinkFailed(f"{command[0]} can't be run: {error.strerror}", final=True) from error
    if done.returncode:
        raise SinkFailed(f"{command[0]} ended with status {done.returncode}")


async def _post(sink: Sink, body: bytes, run: Path) -> None:
    import httpx  # noqa: PLC0415 - only those who have a webhook pay for it.

    logging.getLogger("httpx").setLevel(logging.WARNING)  # It would write the address down, which may be a secret.
    headers = {"Content-Type": "application/json"}
    if sink.secret:
        headers["Authorization"] = f"Bearer {_secret(sink.secret, run)}"
    url = _secret(sink.url, run)
    try:
        # Redirects are not followed: the secret goes to nobody else. TLS is verified, as httpx does by itself.
        async with httpx.AsyncClient(timeout=sink.timeout_s, follow_redirects=False) as client:
            status = (await client.post(url, content=body, headers=headers)).status_code
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise SinkFailed(f"it can't be reached: {type(error).__name__}") from None  # The text may hold the address.
    if not 200 <= status < 300:
        raise SinkFailed(f"it answered {status}", final=400 <= status < 500 and status not in {408, 429})


def _secret(text: str, run: Path) -> str:
    """Return what `env:NAME` or `file:PATH` holds, anything else as it is."""
    kind, _, where = text.partition(":")
    if kind == "env":
        if not (found := os.environ.get(where, "").strip()):
            raise SinkFailed(f"the environment has no {where}", final=True)
        return found
    if kind != "file":
        return text
    try:
        with (run / where).open("rb") as file:
            return file.read(SECRET_MAX_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError):
        raise SinkFailed(f"{where} can't be read", final=True) from None


def encode(note: dict[str, object]) -> bytes:
    """Return the JSON that every kind of sink gets."""
    return msgspec.json.encode(note)
