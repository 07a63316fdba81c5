"""`agt mode`: the network mode of each gateway, with the measurements that it comes from."""

from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer

from agt.supervisor._errors import SupervisorError
from agt.supervisor._request import NoAnswer, request
from agt.supervisor._routers import find_routers
from agt.supervisor.cli._options import Json, RunDir, print_json, run_directory

if TYPE_CHECKING:
    from agt.router.modes import ModeSample, ModeStatus

TIMEOUT_S = 2.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(mode)


def mode(run_dir: RunDir = None, json: Json = False) -> None:
    """Say which network mode counts, by which measurements, and whether it is forced. Set it with `agt set mode`."""
    run = run_directory(run_dir)
    found = {name: _asked(path) for name, path in find_routers(run.path).items()}
    if json:
        print_json({"routers": found})
        return
    from agt.router.modes import mode_line  # noqa: PLC0415 - only this command pays for it.

    for name, status in found.items():
        typer.echo(f"{name if len(found) > 1 else 'mode'} {mode_line(status)}")
        _echo_samples("latency", status.measured.latencies)
        _echo_samples("bandwidth", status.measured.bandwidths)


def _echo_samples(kind: str, samples: "tuple[ModeSample, ...]") -> None:
    from agt.router.modes import sample_words  # noqa: PLC0415 - as above.

    for sample in samples:
        peers = f"median of {sample.peers} peers" if sample.peers > 1 else "1 peer"
        typer.echo(f"  {kind} {sample_words(kind, sample.value)} by {sample.how}, {peers}")


def _asked(path: Path) -> "ModeStatus":
    """Ask one gateway.

    Raises:
        SupervisorError: when it doesn't answer.
    """
    from agt.router.modes import ModeStatus  # noqa: PLC0415 - as above.

    try:
        status, body = request(path, "GET", "/mode", timeout_s=TIMEOUT_S)
        if status == HTTPStatus.OK:
            return msgspec.json.decode(body, type=ModeStatus)
        raise SupervisorError(f"{path} answers {status} to /mode", "is the gateway older than this command?")
    except NoAnswer as error:
        raise SupervisorError(f"no gateway answers at {path}: {error}", "is it running? `agt status` says") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SupervisorError(f"{path} answers what can't be read: {error}", "is it another version?") from error
