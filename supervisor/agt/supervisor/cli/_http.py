"""`agt http`: the selector in front of two HTTP services, as a process; a supervisor may start it, but need not."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from agt.supervisor._errors import SupervisorError
from agt.supervisor.cli._options import Json, RunDir, print_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("http")(http)


def http(
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="What to serve, in front of what (TOML).")
    ] = Path("http.toml"),
    run_dir: RunDir = None,
    check: Annotated[
        bool, typer.Option("--check", help="Say everything that is wrong with the file, and end.")
    ] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the file's JSON Schema, and end.")] = False,
    json: Json = False,
) -> None:
    """Send each request to control or candidate, by the selector; runs until SIGTERM or Ctrl-C.

    Relative names in the file are in the run directory: --run-dir, else $AGT_RUN_DIR, else the file's own folder.
    """
    if schema:
        _print_schema()
    elif check:
        _check(config, json=json)
    else:
        _serve(config, run_dir, json=json)


def _print_schema() -> None:
    from agt.router.http import HttpConfig  # noqa: PLC0415 - only this command pays for it.
    from agt.router.schemas import schema_of  # noqa: PLC0415 - as above.

    print_json(schema_of(HttpConfig, title="agt http"))


def _check(path: Path, *, json: bool) -> None:
    from agt.router.http import HttpConfigInvalid, load_http_config  # noqa: PLC0415 - as above.

    try:
        config = load_http_config(path)
    except HttpConfigInvalid as error:
        if not json:
            raise
        print_json({"config": str(path), "ok": False, "problems": [str(problem) for problem in error.problems]})
        raise typer.Exit(1) from None
    if json:
        print_json({"config": str(path), "ok": True, "problems": []})
        return
    names = config.runtimes
    behind = ", ".join(f"{name} at {config.upstreams[name].url}" for name in (names.control, names.candidate))
    typer.echo(f"{path} is sound: {config.listen.address} in front of {behind}")


def _serve(path: Path, run_dir: Path | None, *, json: bool) -> None:
    from agt.router.http import default_folder, load_http_config, run_http  # noqa: PLC0415 - as above.

    loaded = load_http_config(path)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # Callers' mistakes are theirs, and counted.

    def listening(address: str) -> None:
        if json:
            print_json({"listening": address})
        else:
            typer.echo(f"listening on {address}")
        sys.stdout.flush()

    try:
        run_http(loaded, (run_dir or default_folder(path)).absolute(), listening=listening)
    except OSError as error:
        raise SupervisorError(str(error), "mend it and start again") from error
