"""`agt replay`: play a capture of device traffic through both paths, and say what each made of it."""

import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import anyio
import typer

from agt.chaos.replay._capture import MAX_CAPTURE_BYTES, Capture, CaptureRefused, read_capture
from agt.chaos.replay._compare import RunReport, compare
from agt.chaos.replay._play import Settings, Stage
from agt.chaos.replay._report import ReplayReport, describe
from agt.chaos.replay._script import Script, write_script

MAX_DEVICES = 200
"""Devices simulated at once; each takes up to six file descriptors."""
MAX_SHOWN = 20
"""Places with malformed bytes that are named one by one."""

app = typer.Typer(add_completion=False, help="Replay captured device traffic through both paths.")


class Wire(StrEnum):
    """Wires that captures can be read in."""

    CYNC = "cync"


def _retries(text: str) -> int | None:
    if text.lower() == "none":
        return None
    if not text.isdecimal():
        raise typer.BadParameter("give a number from 0 on, or none for no limit but the deadline")
    return int(text)


@app.command()
def replay(
    capture: Annotated[Path, typer.Argument(help="The capture: a text of timestamped chunks.", show_default=False)],
    wire: Annotated[Wire, typer.Option(help="What the devices speak.")] = Wire.CYNC,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    drop: Annotated[float, typer.Option(min=0, max=0.95, help="Share of packets that vanish.")] = 0.0,
    duplicate: Annotated[float, typer.Option(min=0, max=1, help="Share of packets that arrive twice.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the faults; the same seed strikes alike.")] = 1,
    max_retries: Annotated[
        str, typer.Option(help="Resends of a message after its first attempt; none: until its deadline.")
    ] = "3",
    speed: Annotated[
        float | None,
        typer.Option(min=0.001, help="Multiple of the capture's own pace; without it, as fast as the protocol allows."),
    ] = None,
) -> None:
    """Send what devices and controller sent in CAPTURE over loopback sockets, through each path in turn.

    Exit status: 0 when the candidate lost nothing and everything is as captured, 1 when not or when the file can't
    be replayed, 2 for wrong usage.
    """
    assert wire is Wire.CYNC, "the only wire so far"
    settings = Settings(drop=drop, duplicate=duplicate, seed=seed, max_retries=_retries(max_retries), speed=speed)
    started = time.monotonic()
    try:
        read = read_capture(_read_file(capture))
        script = write_script(read, max_devices=MAX_DEVICES)
    except CaptureRefused as refused:
        typer.echo(f"agt replay: {capture} {refused}", err=True)
        raise typer.Exit(1) from None
    _name_oddities(read, script)
    report = ReplayReport(
        capture=describe(read, script),
        runs={path: _run(path, script, settings) for path in ("control", "candidate")},
        seed=seed,
        seconds=round(time.monotonic() - started, 3),
    )
    typer.echo(report.as_json() if as_json else report.as_text())
    raise typer.Exit(0 if report.sound else 1)


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_CAPTURE_BYTES + 1)
    except OSError as error:
        typer.echo(f"agt replay: cannot read {path}: {error.strerror}; give the path of a capture", err=True)
        raise typer.Exit(2) from None


def _name_oddities(capture: Capture, script: Script) -> None:
    for item in capture.nonsense[:MAX_SHOWN]:
        typer.echo(f"malformed: {item}", err=True)
    if len(capture.nonsense) > MAX_SHOWN:
        typer.echo(f"malformed: and {len(capture.nonsense) - MAX_SHOWN} places more", err=True)
    if script.unplayable:
        typer.echo(f"left out: {script.unplayable} messages before any hello, or from the wrong side", err=True)


def _run(path: str, script: Script, settings: Settings) -> RunReport:
    stage = Stage(script, settings, reliable=path == "candidate", on_progress=_progress(path, script.messages))
    run = anyio.run(stage.run)
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    return compare(run, script)


def _progress(path: str, total: int) -> Callable[[int], None]:
    if not sys.stderr.isatty():
        return _stay_silent
    every = max(total // 100, 1)

    def show(done: int) -> None:
        if done % every == 0 or done == total:
            sys.stderr.write(f"\r{path:<10} {done:>6} of {total} messages")
            sys.stderr.flush()

    return show


def _stay_silent(_done: int) -> None:
    """Report to nobody: there is no terminal to draw on."""
