"""`agt token`: who may use the control API over TCP, and as what.

Asked of the supervisor, so that it is in the audit; without one the file in the run directory is changed directly,
because revoking must always be possible. A supervisor notices that at its next request.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agt.supervisor._errors import SupervisorError
from agt.supervisor._request import NoAnswer
from agt.supervisor.cli._options import By, Json, RunDir, control, login, print_json, run_directory
from agt.supervisor.tokens import Role, TokenMade, TokenOrder, TokenView

if TYPE_CHECKING:
    from agt.supervisor.access import TokenFile

app = typer.Typer(help="Tokens for the control API over TCP.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Whose it is; sign-offs are recorded under it.")]


@app.callback()
def token() -> None:
    """Create, list and revoke tokens."""


@app.command()
def create(
    name: Name,
    role: Annotated[Role, typer.Option("--role", help="viewer reads and previews, operator acts.")],
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="When it ends by itself: `12h`, `30d`. [default: never]")
    ] = "",
    by: By = "",
    run_dir: RunDir = None,
    json: Json = False,
) -> None:
    """Create a token and print it, this once: only its hash is kept."""
    order = TokenOrder(name=name, role=role, lasts_s=_seconds(expires), by=by or login())
    try:
        made = control(run_dir).create_token(order)
    except NoAnswer:
        made = _created(run_dir, order)
    if json:
        print_json(made)
        return
    typer.echo(made.token)
    until = f" until {_date(made.expires)}" if made.expires is not None else ""
    typer.echo(f"{made.name} is {made.role}{until}; this is shown once, keep it safe", err=True)


@app.command("list")
def list_tokens(run_dir: RunDir = None, json: Json = False) -> None:
    """List the tokens, without what could be used."""
    try:
        page = control(run_dir).tokens()
    except NoAnswer:
        page = _file(run_dir).page()
    if json:
        print_json(page)
        return
    for one in page.tokens:
        typer.echo(_line(one))
    if not page.tokens:
        typer.echo("no tokens; make one: agt token create NAME --role viewer")


@app.command()
def revoke(name: Name, by: By = "", run_dir: RunDir = None, json: Json = False) -> None:
    """Let a token count no longer, open streams included."""
    try:
        revoked = control(run_dir).revoke_token(name, by=by or login())
    except NoAnswer:
        try:
            revoked = _file(run_dir).revoke(name)
        except KeyError:
            raise SupervisorError(f"there is no token {name!r}", "agt token list shows them") from None
    if json:
        print_json(revoked)
    else:
        typer.echo(f"{revoked.name} ({revoked.role}) is revoked")


def _file(run_dir: Path | None) -> "TokenFile":
    """Return the file of a run directory that has no supervisor."""
    from agt.supervisor.access import TokenFile  # noqa: PLC0415 - not needed while one answers.

    run = run_directory(run_dir)
    run.prepare()
    return TokenFile(run.path)


def _created(run_dir: Path | None, order: TokenOrder) -> TokenMade:
    from agt.supervisor.access import TokenInvalid  # noqa: PLC0415 - as above.

    try:
        return _file(run_dir).create(order)
    except TokenInvalid as error:
        raise SupervisorError(str(error)) from error


def _seconds(text: str) -> float | None:
    if not text:
        return None
    from agt.supervisor.rollout import parse_duration  # noqa: PLC0415 - only this option pays for it.

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from error


def _line(one: TokenView) -> str:
    until = "" if one.expires is None else f"  {'until' if one.valid else 'EXPIRED'} {_date(one.expires)}"
    return f"{one.name:<24} {one.role:<9} since {_date(one.created)}{until}"


def _date(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")
