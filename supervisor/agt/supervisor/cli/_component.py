"""`agt component` and `agt why`: one component at a time."""

from typing import Annotated

import typer

from agt.supervisor.care import ComponentOrder, Verb, Why
from agt.supervisor.cli._options import By, Json, Reason, RunDir, control, login, print_json
from agt.supervisor.view import ProcessView

app = typer.Typer(
    help="Single components: list, stop, start, restart, take out of service and back.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The component's name in the plan.")]
Force = Annotated[bool, typer.Option("--force", help="Although others wait for it.")]
Cause = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; recorded with the date.")]


def register(root: typer.Typer) -> None:
    """Add the commands."""
    root.add_typer(app, name="component")
    root.command()(why)


@app.command("list")
def list_components(run_dir: RunDir = None, json: Json = False) -> None:
    """List the components in start order."""
    page = control(run_dir).components()
    if json:
        print_json(page)
        return
    for line in _table(page.components):
        typer.echo(line)


@app.command()
def stop(
    name: Name, force: Force = False, reason: Reason = "", by: By = "", run_dir: RunDir = None, json: Json = False
) -> None:
    """Stop a component; it stays stopped until `start`, under later supervisors too."""
    _order("stop", name, run_dir, json=json, by=by, reason=reason, force=force)


@app.command()
def start(name: Name, reason: Reason = "", by: By = "", run_dir: RunDir = None, json: Json = False) -> None:
    """Start a stopped component; one that is held down is tried now, with a fresh budget."""
    _order("start", name, run_dir, json=json, by=by, reason=reason)


@app.command()
def restart(name: Name, reason: Reason = "", by: By = "", run_dir: RunDir = None, json: Json = False) -> None:
    """End a component's process and start it again, with the plan's command."""
    _order("restart", name, run_dir, json=json, by=by, reason=reason)


@app.command()
def decommission(
    name: Name, reason: Cause, force: Force = False, by: By = "", run_dir: RunDir = None, json: Json = False
) -> None:
    """Stop a component for good; later stages no longer wait for it, and only `revive` brings it back."""
    _order("decommission", name, run_dir, json=json, by=by, reason=reason, force=force)


@app.command()
def archive(
    name: Name, reason: Cause = "", force: Force = False, by: By = "", run_dir: RunDir = None, json: Json = False
) -> None:
    """Decommission a component and keep its command, environment and files, so that it can be revived for 30 days."""
    _order("archive", name, run_dir, json=json, by=by, reason=reason, force=force)


@app.command()
def revive(name: Name, reason: Reason = "", by: By = "", run_dir: RunDir = None, json: Json = False) -> None:
    """Start a decommissioned component again, with its archived files where its own have gone or have changed."""
    _order("revive", name, run_dir, json=json, by=by, reason=reason)


def why(
    component: Annotated[str, typer.Argument(metavar="COMPONENT", help="The component's name in the plan.")],
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Say what a component waits for, or why it is down: the chain of reasons, and the last lines of its output."""
    found = control(run_dir).why(component)
    if json:
        print_json(found)
        return
    for line in _chain(found):
        typer.echo(line)


def _order(
    verb: Verb, name: str, run_dir: RunDir, *, json: bool, by: str, reason: str = "", force: bool = False
) -> None:
    order = ComponentOrder(by=by or login(), reason=reason, force=force)
    receipt = control(run_dir).order_component(name, verb, order)
    if json:
        print_json(receipt)
    else:
        typer.echo(receipt.says)


def _table(views: tuple[ProcessView, ...]) -> list[str]:
    """One line a component."""
    width = max((len(view.name) for view in views), default=0)
    lines = []
    for view in views:
        pid = f"pid {view.pid}" if view.pid else ""
        line = f"{view.name:<{width}}  {view.stage:<8} {view.state:<10} {pid:<12} {view.restarts:>3} restarts"
        lines.append(f"{line}  {view.detail}".rstrip())
    return lines or ["the plan has no components"]


def _chain(found: Why) -> list[str]:
    """The component, and below it whom it waits for, each with its own reason."""
    lines = []
    for depth, link in enumerate(found.chain):
        mark = "" if depth == 0 else "  "
        lines.append(f"{mark}{link.name} is {link.state}: {link.says}")
    if found.output:
        lines.append(f"the last lines of {found.output_of}:")
        lines += [f"  | {line}" for line in found.output]
    return lines
