"""`agt metrics-proxy`: a run directory's metrics on a loopback port, for a Prometheus server."""

from typing import Annotated

import typer

from agt.supervisor.cli._options import RunDir, run_directory

PORT = 9465
"""Where it listens unless told otherwise."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("metrics-proxy")(metrics_proxy)


def metrics_proxy(
    port: Annotated[int, typer.Option(min=0, max=65535, help="On loopback; 0 takes a free one.")] = PORT,
    run_dir: RunDir = None,
) -> None:
    """Serve the metrics of all routers and of the supervisor on a loopback port, until interrupted.

    Prometheus finds them with `http_sd_configs: [{url: "http://127.0.0.1:9465/targets"}]`.
    """
    from agt.supervisor._metrics_proxy import open_port, run_proxy  # noqa: PLC0415 - only this command pays for a server.

    run = run_directory(run_dir)
    listening = open_port(port)
    typer.echo("metrics on http://{}:{}/targets".format(*listening.getsockname()))
    run_proxy(run.path, run.control, listening)
